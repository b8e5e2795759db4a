"""What Ctrl-C does to a command."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from pyrovae.training.interrupts import SIGNALS, in_import, interrupt, interrupt_soon

if TYPE_CHECKING:
    from sys import UnraisableHookArgs


@contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """Note each Ctrl-C and raise KeyboardInterrupt; yields a function that says whether there was one.

    An exception that comes afterwards is due to it, of whatever class it is. Inside an import, and at a second Ctrl-C,
    the handler from before takes over: the one of the command line ends the process at once.
    """
    before, arrived = signal.getsignal(signal.SIGINT), list[int]()

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        if callable(before) and (len(arrived) > 1 or in_import(frame)):
            before(number, frame)
        raise KeyboardInterrupt

    with _handled((signal.SIGINT,) if callable(before) else (), note), _nothing_lost():
        yield lambda: bool(arrived)


@contextmanager
def raised() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise KeyboardInterrupt, which the command answers in its own words.

    An import that is under way ends first.
    """
    with _handled(tuple(number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN), interrupt):
        yield


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle these signals so inside the block. Only the main thread can, and needs to."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in numbers if main}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def _nothing_lost() -> Iterator[None]:
    """Inside, a KeyboardInterrupt that Python can only ignore, as in a destructor, is raised again a moment later."""
    before = sys.unraisablehook

    def hook(unraisable: "UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            interrupt_soon()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before
