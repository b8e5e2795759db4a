"""Bad input, and how it is told."""

import difflib
import re
from collections.abc import Iterable
from numbers import Integral
from typing import Any


class InputError(ValueError):
    """Bad input, told in one line: what was expected and what came.

    >>> try:
    ...     Config(latnet_dim=3)
    ... except InputError as error:
    ...     print(error)
    unknown setting 'latnet_dim'; did you mean 'latent_dim'?
    """

    def __init__(self, message: str) -> None:
        """Names of files and arrays may hold line breaks, or codes that a terminal obeys: these are spelled out."""
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


def reason(error: Exception) -> str:
    """An error in one line: the last of its first paragraph, where libraries name the cause, before any tensor."""
    told = re.split(r"\n\n|:\n(?=tensor|Parameter)", str(error))[0].strip()
    return (told.splitlines() or [type(error).__name__])[-1].strip()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'mnist'?`, or nothing if no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def one_of(what: str, name: str, known: Iterable[str]) -> str:
    """`name`, if it is known."""
    known = list(known)
    if name not in known:
        raise InputError(f"{what}: expected one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    return name


def at_least(least: int, **counts: Any) -> None:
    """Raise `InputError` for a count, by its name, that is no whole number or less than `least`."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise InputError(f"{name}: expected a whole number, got {count!r}")
        if count < least:
            raise InputError(f"{name}: expected {least} or more, got {count}")
