"""What Ctrl-C does to a command."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pyrovae.training.interrupts import SIGNALS, Interrupts, in_import

from .processes import is_first
from .terminal import say_at_once

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

Handler = Callable[[int, FrameType | None], object]
SOON = 0.05  # seconds


@contextmanager
def noted() -> Iterator[Callable[[], bool]]:
    """Note each Ctrl-C and raise KeyboardInterrupt; yields a function that says whether there was one.

    An exception that comes afterwards is due to it, of whatever class it is. The command line ends at once inside an
    import, and at a second Ctrl-C.
    """
    before, arrived = signal.getsignal(signal.SIGINT), list[int]()

    def note(number: int, frame: FrameType | None) -> None:
        arrived.append(number)
        if before is not signal.default_int_handler and (len(arrived) > 1 or in_import(frame)):
            leave()
        raise KeyboardInterrupt

    with _handled((signal.SIGINT,), note), _nothing_lost():
        yield lambda: bool(arrived)


@contextmanager
def answered(why: Callable[[], str]) -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise KeyboardInterrupt, which the command answers; in an import it ends by `why`."""
    with _handled(SIGNALS, Interrupts(lambda: leave(why()))):
        yield


def leave(why: str = "interrupted") -> NoReturn:
    """End this process at once with a line, from within whatever it does, which may be to write a line itself."""
    say_at_once(f"pyrovae: {why}" if is_first() else "")
    os._exit(130)


@contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: Handler) -> Iterator[None]:
    """Handle these signals so inside the block, but for ignored ones. Only the main thread can, and needs to."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers if main}
    handled = {number: earlier for number, earlier in before.items() if earlier not in (signal.SIG_IGN, None)}
    for number in handled:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in handled.items():
            signal.signal(number, earlier)


@contextmanager
def _nothing_lost() -> Iterator[None]:
    """Inside, a KeyboardInterrupt that Python can only ignore, as in a destructor, is raised again a moment later."""
    before = sys.unraisablehook

    def hook(unraisable: "UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            timer = threading.Timer(SOON, _strike_main)
            timer.daemon = True
            timer.start()
        else:
            before(unraisable)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _strike_main() -> None:
    """Send this process the signal of Ctrl-C; the main thread gets it even where it waits for something."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
