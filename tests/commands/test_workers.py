"""The processes of a sweep: they end with it, and what they did is kept."""

import _thread
import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from support.commands import metrics, pyrovae
from support.sweeps import TINY


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def interrupted_when(condition):
    """Inside, this process gets the signal of Ctrl-C as soon as the condition holds."""

    def interrupt():
        wait_for(condition)
        _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def epochs_in(folder):
    return sum(path.read_text().count("\n") for path in folder.glob("*/metrics.jsonl"))


def rests(folder):
    before = epochs_in(folder)
    time.sleep(1.0)
    return epochs_in(folder) == before


def test_a_sweep_goes_on_after_ctrl_c_and_after_a_kill_and_equals_one_that_was_left_alone(here, capsys):
    line, out = f"--latent-dim 2 --epochs 40 {TINY}", here / "sweep"
    with interrupted_when(lambda: epochs_in(out) > 2):
        assert pyrovae(f"sweep {line} --seed 0,1 --jobs 2 --out sweep") == 130
    assert capsys.readouterr().err.endswith("the same command goes on from the last epochs\n")
    assert rests(out)  # no worker goes on
    before = epochs_in(out)
    command = [
        sys.executable,
        "-m",
        "pyrovae",
        "sweep",
        *line.split(),
        "--seed",
        "0,1",
        "--jobs",
        "2",
        "--out",
        "sweep",
    ]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: epochs_in(out) > before + 2)
        finally:
            process.send_signal(signal.SIGKILL)
    wait_for(lambda: rests(out))  # once the workers see that the sweep is gone
    assert epochs_in(out) < 80
    assert pyrovae(f"sweep {line} --seed 0,1 --jobs 2 --out sweep") == 0
    assert pyrovae(f"train {line.replace('--no-figures', '')} --seed 1 --out alone") == 0
    one, other = metrics("sweep/seed=1"), metrics("alone")
    assert len(one) == len(other) == 40
    assert one[-1]["test"] == pytest.approx(other[-1]["test"], rel=1e-4)
