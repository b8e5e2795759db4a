"""What is printed: no name makes the terminal obey, no encoding stops a command, and no reader has to stay."""

import ast
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from support.builders import ROOT
from support.commands import pyrovae
from support.sweeps import edited

from pyrovae import Run
from pyrovae.cli import COMMANDS
from pyrovae.cli.terminal import Output, opened, say, say_traceback, visible

HOSTILE = "a\x1b]0;owned\x07\x1b[2J\x9b5m\u202egnp\u2028\r\nfake line"
TINY = "--hidden 16 --device cpu --no-figures"
QUIET = ("list", "--help")  # they print no name that anybody else has chosen
LINES = {  # RUN: a run folder of a hostile name and content
    "train": f"train --epochs 1 {TINY} --out RUN-new",
    "train --resume": "train --resume --epochs 3 --no-figures --out RUN",
    "evaluate": "evaluate RUN --samples 50 --images 20 --device cpu",
    "plot": "plot RUN losses",
    "sample": "sample RUN --out RUN.png",
    "impute": "impute gaps --samples 10 --out RUN-whole.csv",
    "compress": "compress coded RUN.bits --images 20",
    "decompress": "decompress coded coded.bits --out RUN.npz",
    "explore": "explore RUN",
    "report": "report RUN",
    "compare": "compare RUN label",
    "sweep": f"sweep --epochs 1 --seed 0,1 {TINY} --out RUN-sweep",
    "bench": "bench --dataset digits --rows pyrovae --repetitions 1 --hidden 16 --device cpu --out RUN-bench",
    "gradients": "gradients RUN --draws 2 --images 5 --particles 2 --device cpu",
    "explain": "explain RUN --images 5",
    "list": "list",
    "--help": "--help",
    "bad input": "sample label --label RUN",
}
WRITTEN = {
    "train": "RUN-new/summary.json",
    "evaluate": "RUN/evaluation.json",
    "plot": "RUN/figures/losses.png",
    "sample": "RUN.png",
    "impute": "RUN-whole.csv",
    "compress": "RUN.bits",
    "decompress": "RUN.npz",
    "explore": "RUN/explore.html",
    "sweep": "RUN-sweep/sweep.json",
    "gradients": "RUN/gradients.json",
}


def named(text, name):
    return text.replace("RUN", name)


@pytest.fixture
def run(request, world, coded, in_this_process, monkeypatch):
    """Give the run the name of this test's `run_name`, or a plain one, and its summary a hostile content."""
    name = getattr(request, "param", "stranger")
    shutil.copytree(coded, world, dirs_exist_ok=True)
    (world / "run").rename(name)
    for path, key in ((name, "note"), (name, "device"), (name, "weights"), ("label", "dataset"), ("label", "note")):
        edited(world / path / "summary.json", **{key: HOSTILE})
    monkeypatch.setattr("pyrovae.cli.bench.resources.Popen", Finished)
    return name


class Finished:
    """Stands in for the training whose memory the benchmark measures."""

    returncode = None

    def __init__(self, *_, **__):
        self.pid = os.spawnvp(os.P_NOWAIT, "true", ["true"])


def called(command, name):
    return pyrovae([named(word, name) for word in shlex.split(LINES[command])])


def test_each_command_is_tried():
    assert {line.split()[0] for line in LINES.values()} == {*COMMANDS, "--help"}


# --- names that a stranger has chosen ---


def assert_shown(text):
    assert text
    assert all(character.isprintable() or character == "\n" for character in text)
    assert not re.search("^fake line", text, re.MULTILINE)


@pytest.mark.parametrize("run", [HOSTILE], indirect=True, ids=["hostile"])
@pytest.mark.parametrize("command", [command for command in LINES if command not in QUIET])
def test_a_terminal_obeys_no_name(command, run, capsys):
    code = called(command, run)
    printed = capsys.readouterr()
    assert code == (2 if command == "bad input" else 0), printed.err
    assert_shown(printed.err if command == "bad input" else printed.out)
    if command not in ("train", "sweep", "bench"):
        assert r"\x1b" in printed.out + printed.err


@pytest.mark.parametrize("run", [HOSTILE], indirect=True, ids=["hostile"])
@pytest.mark.parametrize("command", ["train", "compare", "explain", "evaluate", "gradients"])
def test_a_terminal_obeys_rich_alone(command, run, capsys, monkeypatch):
    """rich, which takes stdout for a terminal here, moves the cursor and chooses colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert called(command, run) == 0
    printed = capsys.readouterr().out
    assert "\x1b[2J" not in printed
    assert_shown(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", printed))


WAYS = {
    "print",
    "click.echo",
    "click.secho",
    "os.write",
    "sys.stdout.write",
    "sys.stderr.write",
    "Console",
    "get_console",
}


def ways_of(path):
    """The calls by which a file prints past `say` and our `Console`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, keywords = ast.unparse(node.func), {keyword.arg for keyword in node.keywords}
        bar = imported.get(name) in ("rich.progress.Progress", "rich.progress.track") and "console" not in keywords
        if bar or (name in WAYS and imported.get(name) != "console.Console"):
            yield f"{path.name}:{node.lineno}: {name}"


def test_no_file_of_the_command_line_prints_in_another_way():
    ours = [path for path in sorted((ROOT / "cli").rglob("*.py")) if path.parent.name != "rows"]
    assert not [way for path in ours if path.name not in ("terminal.py", "console.py") for way in ways_of(path)]
    assert [way.split(": ")[1] for way in ways_of(ROOT / "cli/terminal.py")] == ["print", "os.write", "os.write"]


def test_lone_surrogates_warnings_and_tracebacks_are_escaped(capsys):
    say("Bilder \udcfc", "two\nlines")
    assert capsys.readouterr().out == "Bilder \\udcfc\ntwo\\nlines\n"
    with opened():
        warnings.showwarning(UserWarning(f"{HOSTILE} \udcff"), UserWarning, "file", 1)
    assert_shown(capsys.readouterr().err)
    say_traceback(ValueError, ValueError("a\x1b]0;owned\x07 \udcff"), None)
    assert_shown(capsys.readouterr().err)


def test_a_line_and_its_break_are_one_write(monkeypatch):
    written = []
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Output(io.TextIOWrapper(Raw(written), "utf-8", write_through=True)))
        say("one", "two", err=True)
    assert [text for text in written if text] == [b"one\n", b"two\n"]


class Raw(io.BytesIO):
    """Keeps what is written to it in a list, as many writes as there were."""

    def __init__(self, written):
        super().__init__()
        self.written = written

    def write(self, content):
        self.written.append(bytes(content))
        return len(content)


# --- encodings ---


@pytest.mark.parametrize("run", [HOSTILE], indirect=True, ids=["hostile"])
@pytest.mark.parametrize(("encoding", "commands"), [("ascii", LINES), ("cp1252", ("list", "explain", "evaluate"))])
def test_every_character_fits_the_encoding(encoding, commands, run, monkeypatch, capsys):
    for command in commands:
        printed = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", io.TextIOWrapper(printed, encoding))
            assert called(command, run) == (2 if command == "bad input" else 0), command
            sys.stdout.flush()
        if command != "bad input":
            assert_shown(printed.getvalue().decode(encoding))


@pytest.mark.parametrize(
    ("text", "ascii_text"),
    [
        ("8×8 ± ½ – ≤", "8x8 +/- 1/2 - <="),
        ("N(z; μ, diag σ²); Σᵢ πᵢ", "N(z; mu, diag sigma^2); Sigma_i pi_i"),
        ("Bilder ü 数 †", r"Bilder \xfc \u6570 \u2020"),
    ],
)
def test_our_own_signs_are_spelled_and_others_escaped(text, ascii_text):
    assert visible(text, "ascii") == ascii_text
    assert visible(text, "utf-8") == text


def test_a_posix_locale_shows_the_presets(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "pyrovae", "list", "presets"]
    shown = subprocess.run(command, env=os.environ | plain, capture_output=True, cwd=tmp_path, check=True)
    assert b"8x8" in shown.stdout
    assert shown.stderr == b""


# --- readers that go, and disks that are full ---


def gone():
    read, write = os.pipe()
    os.close(read)
    return os.fdopen(write, "w", encoding="utf-8")


def full():
    return open("/dev/full", "w", encoding="utf-8")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("command", [command for command in LINES if command != "bad input"])
def test_the_work_is_done_though_nothing_can_be_printed(command, run, monkeypatch, capsys):
    trains = command in ("train", "train --resume", "sweep")
    for broken, code, line in (
        (gone, 0, ""),
        (full, 0 if trains else 1, "pyrovae: expected to print everything on stdout, got: No space left on device\n"),
    ):
        name = f"{run}-{broken.__name__}"
        Path(run).rename(name)
        with monkeypatch.context() as patch, broken() as stream:
            patch.setattr(sys, "stdout", stream)
            assert called(command, name) == code
        assert capsys.readouterr().err == line
        if command in WRITTEN:
            written = Path(named(WRITTEN[command], name))
            assert written.stat().st_size > 0
            assert written.suffix != ".json" or json.loads(written.read_text(encoding="utf-8"))
        Path(name).rename(run)


def test_what_was_lost_is_remembered_and_nothing_is_printed_after_it():
    with full() as stream:
        output = Output(stream)
        output.write("lost")
        output.flush()
        assert output.lost.strerror == "No space left on device"
        output.write("after")
        output.flush()  # to nowhere
        stream.flush()


AROUND = {  # what the shell does with stdout and stderr -> the exit code, and what is left on stderr
    "| head -n 1": (0, ""),
    "| true": (0, ""),
    "> /dev/full": (0, "pyrovae: expected to print everything on stdout, got: No space left on device\n"),
    ">&-": (0, ""),
    "<&- >&- 2>&-": (0, ""),
    "2>&1 > /dev/full | true": (0, ""),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_training_goes_on_to_its_end_without_its_readers(tmp_path):
    """And Python ends without a word: real pipes, and processes of their own."""
    train = f"{shlex.quote(sys.executable)} -m pyrovae train --epochs 3 {TINY}"
    shells = [
        subprocess.Popen(
            ["bash", "-c", f"{train} --out run-{number} {around}; exit ${{PIPESTATUS[0]}}"],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, around in enumerate(AROUND)
    ]
    for number, (shell, around) in enumerate(zip(shells, AROUND)):
        _, error = shell.communicate(timeout=300)
        assert (shell.returncode, error) == AROUND[around], around
        run = Run(tmp_path / f"run-{number}")
        assert run.finished
        assert len(run.metrics) == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("around", AROUND)
def test_the_help_ends_without_a_word_about_its_reader(around, tmp_path):
    command = f"{shlex.quote(sys.executable)} -m pyrovae --help {around}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    code, error = AROUND[around]
    assert (done.returncode, done.stderr) == (1 if "full" in around else code, error)
