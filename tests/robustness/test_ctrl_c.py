"""Ctrl-C at any moment of any command: one line, exit code 130, and nothing half written."""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyrovae.cli import COMMANDS
from pyrovae.runs.files import PART

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")

STRIKES = int(os.environ.get("PYROVAE_STRIKES", "2"))  # for each command; results/reliability.md: 12
SECONDS = float(os.environ.get("PYROVAE_STRIKE_SECONDS", "6"))  # the time of a command whose end has not been seen yet
TINY = "--hidden 16 --device cpu"
LINES = {
    "train": f"train --epochs 5 {TINY} --out new",
    "evaluate": "evaluate run --samples 20 --images 60 --device cpu",
    "plot": "plot run",
    "sample": "sample run",
    "impute": "impute gaps --out whole.csv",
    "compress": "compress coded images.bits --figure sizes.png",
    "decompress": "decompress coded coded.bits",
    "explore": "explore run",
    "report": "report run",
    "compare": "compare run label --out new.png",
    "sweep": f"sweep --epochs 5 {TINY} --seed 0,1 --jobs 2 --no-figures --out new",
    "bench": "bench --dataset digits --rows pyro-resident,pyrovae --repetitions 1 --hidden 16 --device cpu --out new",
    "gradients": "gradients run --draws 3 --images 10 --particles 2 --device cpu",
    "explain": "explain run --images 5 --figure new.png",
    "list": "list",
    "--help": "--help",
}
# What the command `pyrovae` does; Python's own start, which nobody can answer for, is over at the first line. A job in
# the background inherits an ignored SIGINT.
START = """
import signal
from pyrovae.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
print("started", flush=True)
main()
"""


def test_each_command_is_tried():
    assert LINES.keys() == {*COMMANDS, "--help"}


def struck(line, folder, seconds, group):
    """Start a command in the folder, and interrupt it (or its whole group, as a terminal does) after so many seconds.

    Returns its exit code, what it printed on stdout and stderr, and how long it took.
    """
    command = [sys.executable, "-c", START, *shlex.split(line)]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "started\n"
        begun = time.monotonic()
        with_end = process.poll() is not None
        while not with_end and time.monotonic() < begun + seconds:
            time.sleep(min(0.01, seconds))
            with_end = process.poll() is not None
        if not with_end:  # it is not waited for yet, so the number is still its own
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        out, error = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    return process.returncode, out, error, time.monotonic() - begun


def processes_in(folder):
    """The command lines of all processes whose working directory is the folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink() == folder:
                lines.append((path / "cmdline").read_text())
        except OSError:  # it has ended meanwhile, or is another user's
            continue
    return lines


def assert_nothing_half_done(folder):
    deadline = time.monotonic() + 20  # the processes of a sweep end by themselves if the sweep has ended at once
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left
    assert not [path for path in folder.rglob("*") if path.name.startswith(PART)]
    for path in folder.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", LINES)
def test_ctrl_c_at_any_moment(command, made_world, coded, tmp_path):
    chance, seconds, survived = random.Random(command), 0.5 if command == "--help" else SECONDS, 0
    for strike in range(STRIKES):
        folder = tmp_path.resolve() / str(strike)
        folder.mkdir()
        names = ("run", "label", "labelled.npz", "gaps", "gaps.csv")
        for path in (*(made_world / name for name in names), *coded.iterdir()):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
        code, out, error, took = struck(LINES[command], folder, chance.uniform(0.02, seconds), group=strike % 2)
        if code == 0:  # it had just ended
            assert (error, out[-1:]) == ("", "\n")
            seconds = took
        else:
            assert code == 130, error
            (line,) = error.splitlines()
            assert line.startswith("pyrovae: interrupted")
            begun = (folder / "new/config.toml").exists() and not (folder / "new/summary.json").exists()
            assert line.endswith("go on with: pyrovae train --resume --out new") or not begun
            survived += 1
        assert_nothing_half_done(folder)
        shutil.rmtree(folder)
    print(f"{command}: {survived} interrupted, {STRIKES - survived} ended before")
