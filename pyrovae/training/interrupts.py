"""Delay Ctrl-C and SIGTERM until a step, a file or an import is complete."""

import _thread
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SOON = 0.05  # seconds


class Insisted(KeyboardInterrupt):
    """Raised at a second signal, without waiting: whatever was being done may be half done."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal by KeyboardInterrupt; if an import is under way, once it has ended."""
    if not in_import(frame):
        raise KeyboardInterrupt
    interrupt_soon(number)


def in_import(frame: FrameType | None) -> bool:
    """Whether the code at `frame` runs in an import, where libraries lose exceptions or make others of them."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def interrupt_soon(number: int = signal.SIGINT) -> None:
    """Let the signal arrive again a moment later."""
    timer = threading.Timer(SOON, _thread.interrupt_main, (number,))
    timer.daemon = True
    timer.start()


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Delay KeyboardInterrupt until the end of the block; yields a function that says whether a signal has arrived.

    A second signal raises `Insisted` at once. Python delivers signals to the main thread alone: in any other thread
    nothing changes.
    """
    arrived: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        arrived.append(number)
        if len(arrived) > 1:
            raise Insisted

    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS if main}
    # A signal that is handled in another way, such as ignored, stays so.
    handled = {number: by for number, by in handlers.items() if by in (signal.default_int_handler, interrupt)}
    for number in handled:
        signal.signal(number, note)
    try:
        yield lambda: bool(arrived)
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt
