"""Any two commands at work on one run: both succeed, or the second is refused in one line; and no file is torn.

A training or an evaluation has a run to itself. All other commands read whole files and write whole files, and run
beside each other and beside those.
"""

import contextlib
import itertools
import json
import shutil

import pytest
from support.forked import Command

from pyrovae import Run
from pyrovae.runs.files import PART

COMMANDS = {
    "resume": "train --resume --out run --epochs 4 --no-figures",
    "replace": "train --force --out run --epochs 2 --hidden 16 --device cpu --no-figures",
    "evaluate": "evaluate run --samples 20 --no-latents --device cpu",
    "gradients": "gradients run --draws 2 --images 20 --particles 2 --device cpu",
    "plot": "plot run losses samples",
    "report": "report run",
    "explore": "explore run",
    "sample": "sample run",
    "compare": "compare run",
}
ALONE = {"resume", "replace", "evaluate"}
PAIRS = [*itertools.combinations_with_replacement(COMMANDS, 2)]
REFUSED = "expected run to itself, got one that another process is at work on"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("whole")
    for line in (
        "train --out run --epochs 2 --hidden 16 --device cpu --no-figures",
        "report run",
        COMMANDS["evaluate"],
    ):
        with Command(line, root) as process:
            process.communicate(timeout=120)
            assert process.returncode == 0
    return root / "run"


def check_files(run):
    """Check that every file is whole: it reads as what it should be, and no temporary file is left."""
    opened = Run(run)
    assert opened.metrics
    assert opened.vae
    if opened.finished:
        assert opened.summary
        assert opened.evaluation is None or opened.evaluation["images"]
    for page in run.glob("*.html"):
        assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    for picture in run.glob("figures/*.png"):
        assert picture.read_bytes().endswith(b"IEND\xaeB`\x82")
    for content in run.glob("*.json"):
        json.loads(content.read_text(encoding="utf-8"))
    assert not list(run.rglob(f"{PART}*"))


def outcomes(names, folder):
    """Start these commands at once; return their exit codes and what they wrote to stderr."""
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(Command(COMMANDS[name], folder)) for name in names]
        errors = [command.communicate(timeout=200)[1] for command in started]
    codes = [command.returncode for command in started]
    assert {*codes} <= {0, 2}, errors
    for code, error in zip(codes, errors):
        assert error.count("\n") <= 1, error
        assert not code or error.startswith("pyrovae: "), error
    check_files(folder / "run")
    return codes, errors


def test_all_commands_that_replace_no_weights_succeed_at_once(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    codes, errors = outcomes([name for name in COMMANDS if name not in ALONE] + ["evaluate"], tmp_path)
    assert {*codes} == {0}, errors


@pytest.mark.parametrize("names", [COMMANDS, [*COMMANDS][::-1]], ids=["trainings first", "trainings last"])
def test_all_commands_at_once_succeed_or_are_refused(names, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    codes, _ = outcomes([*names], tmp_path)
    assert 0 in codes


@pytest.mark.slow
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=map("-".join, PAIRS))
def test_two_commands_at_once_both_succeed_or_one_is_refused(first, second, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    codes, errors = outcomes([first, second], tmp_path)
    if not {first, second} & {"resume", "replace"}:  # nobody replaces what the other reads
        assert {*codes} == {0} or ({first, second} <= ALONE and REFUSED in "".join(errors)), errors
    elif {first, second} <= ALONE:
        assert 0 in codes, errors
