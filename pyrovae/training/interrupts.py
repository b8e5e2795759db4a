"""Ctrl-C and SIGTERM, held back while something must not be torn apart."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Insisted(KeyboardInterrupt):
    """A second signal, that did not wait: what was under way may be half done."""


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """Inside, a signal that would raise KeyboardInterrupt waits; yields what tells whether one came.

    It is raised at the end, if it was not before. A second one raises `Insisted` at once. Only the main thread hears
    signals: in another one nothing changes.
    """
    came: list[int] = []

    def hold(number: int, _: Any) -> None:
        came.append(number)
        if len(came) > 1:
            raise Insisted

    main = threading.current_thread() is threading.main_thread()
    held = [number for number in SIGNALS if main and signal.getsignal(number) is signal.default_int_handler]
    for number in held:
        signal.signal(number, hold)
    try:
        yield lambda: bool(came)
    finally:
        for number in held:
            signal.signal(number, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
