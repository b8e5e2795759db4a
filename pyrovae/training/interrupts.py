"""Delay Ctrl-C and SIGTERM until a step or a file is complete."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Insisted(KeyboardInterrupt):
    """Raised at a second signal, without waiting: whatever was being done may be half done."""


@dataclass(frozen=True)
class Interrupts:
    """A handler of signals that raises KeyboardInterrupt; but while a module is imported, it calls `leave`.

    That is to end the process: libraries lose exceptions in their imports, or make others of them.
    """

    leave: Callable[[], object]

    def __call__(self, _: int, frame: FrameType | None) -> None:
        if in_import(frame):
            self.leave()
        raise KeyboardInterrupt


def in_import(frame: FrameType | None) -> bool:
    """Whether the code at `frame` is called by an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


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
    handled = {number: handler for number, handler in handlers.items() if _raises(handler)}
    for number in handled:
        signal.signal(number, note)
    try:
        yield lambda: bool(arrived)
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt


def _raises(handler: object) -> bool:
    return handler is signal.default_int_handler or isinstance(handler, Interrupts)
