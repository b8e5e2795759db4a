"""Delay Ctrl-C and SIGTERM until a step or a file is complete."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Insisted(KeyboardInterrupt):
    """Raised at a second signal, without waiting: whatever was being done may be half done."""


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
    # A signal that is handled in another way, such as ignored, stays so.
    handled = [number for number in SIGNALS if main and signal.getsignal(number) is signal.default_int_handler]
    for number in handled:
        signal.signal(number, note)
    try:
        yield lambda: bool(arrived)
    finally:
        for number in handled:
            signal.signal(number, signal.default_int_handler)
    if arrived:
        raise KeyboardInterrupt
