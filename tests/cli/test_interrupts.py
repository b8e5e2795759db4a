"""Ctrl-C becomes one line, whatever the code that it meets makes of it."""

import signal
import sys
import time

import pytest
from support.commands import pyrovae

from pyrovae.cli import interrupts
from pyrovae.cli.list import KINDS
from pyrovae.training.interrupts import Interrupts


@pytest.fixture(autouse=True)
def _python_s_own_handler():
    """A job in the background ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted():
    signal.raise_signal(signal.SIGINT)
    raise AssertionError


def interrupted_in_c():
    """As numpy's C interface does."""
    try:
        interrupted()
    except KeyboardInterrupt:
        raise ImportError("numpy.core.multiarray failed to import") from None


class Interrupting:
    def __del__(self):
        interrupted()


def interrupted_in_a_destructor():
    Interrupting()
    time.sleep(60)


@pytest.mark.parametrize("work", [interrupted, interrupted_in_c, interrupted_in_a_destructor])
def test_ctrl_c_is_one_line(work, monkeypatch, capsys):
    monkeypatch.setitem(KINDS, "presets", work)
    before, hook, begun = signal.getsignal(signal.SIGINT), sys.unraisablehook, time.monotonic()
    assert pyrovae("list presets") == 130
    assert capsys.readouterr().err == "pyrovae: interrupted\n"
    assert time.monotonic() - begun < 30
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == (before, hook)


def test_an_end_of_file_is_no_ctrl_c(monkeypatch):
    monkeypatch.setitem(KINDS, "presets", lambda: (_ for _ in ()).throw(EOFError("a file is cut off")))
    with pytest.raises(EOFError, match="cut off"):
        pyrovae("list presets")


SWALLOWS = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:  # an optional part, which some libraries try to import
    pass
"""


@pytest.fixture
def answers(monkeypatch):
    """The lines by which the process would have ended."""
    answers = []
    monkeypatch.setattr(interrupts, "leave", lambda why="interrupted": answers.append(why))
    return answers


def test_an_import_is_not_left_to_notice_ctrl_c(answers, here, monkeypatch):
    (here / "swallows.py").write_text(SWALLOWS)
    monkeypatch.syspath_prepend(here)
    signal.signal(signal.SIGINT, lambda *_: None)  # not Python's own: the command line's
    for context, answer in (
        (interrupts.noted(), "interrupted"),
        (interrupts.answered(lambda: "interrupted; go on"), "interrupted; go on"),
    ):
        with context:
            __import__("swallows")
        assert answers == [answer]
        del sys.modules["swallows"], answers[:]


def test_a_second_ctrl_c_ends_at_once(answers):
    signal.signal(signal.SIGINT, lambda *_: None)
    with interrupts.noted() as noted:
        for times in (0, 1):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            assert answers == ["interrupted"] * times
    assert noted()


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.noted() as noted, interrupts.answered(lambda: ""):
        signal.raise_signal(signal.SIGINT)
        assert isinstance(signal.getsignal(signal.SIGTERM), Interrupts)
    assert not noted()
