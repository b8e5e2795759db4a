"""Errors for bad input, and helpers to write their messages."""

import difflib
import os
import re
from collections.abc import Iterable
from numbers import Integral


class InputError(ValueError):
    """Bad input. The message is one line: what was expected, and what was there instead.

    >>> try:
    ...     Config(latnet_dim=3)
    ... except InputError as error:
    ...     print(error)
    unknown setting 'latnet_dim'; did you mean 'latent_dim'?
    """

    def __init__(self, message: str) -> None:
        """Escape line breaks and terminal codes, which names of files and arrays in the message may contain.

        Leave out the shapes that Pyro adds to every error inside a trace.
        """
        message = re.sub(r"\n *Trace Shapes:.*", "", message, flags=re.DOTALL)
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in message))


def reason(error: Exception) -> str:
    """Return the last line of the first paragraph of a message, where libraries name the cause, without any tensor."""
    paragraph = re.split(r"\n\n|:\n(?=tensor|Parameter)", str(error))[0].strip()
    return (paragraph.splitlines() or [type(error).__name__])[-1].strip()


def expect_text(what: str, *names: str) -> None:
    r"""Raise `InputError` for the name of a file or folder that is no text, and so cannot be written to a file.

    >>> expect_text("out", "run-\udce9")
    Traceback (most recent call last):
    pyrovae.errors.InputError: out: expected a name in UTF-8, got 'run-\udce9'; rename it
    """
    for name in names:
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise InputError(f"{what}: expected a name in UTF-8, got {name!r}; rename it")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint such as `; did you mean 'mnist'?`, or "" if no known name is similar."""
    similar = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {similar[0]!r}?" if similar else ""


def one_of(what: str, name: str, known: Iterable[str]) -> str:
    """Return `name`; raise `InputError` if it is not one of the `known` names."""
    known = list(known)
    if name not in known:
        raise InputError(f"{what}: expected one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")
    return name


def at_least(least: int, **counts: object) -> None:
    """Raise `InputError` if one of the named counts is not a whole number of at least `least`."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, Integral):
            raise InputError(f"{name}: expected a whole number, got {count!r}")
        if count < least:
            raise InputError(f"{name}: expected {least} or more, got {count}")


def whole_from_environment(name: str, least: int, most: int | None = None, default: int | None = None) -> int:
    """Return the whole number that an environment variable holds; `InputError` for anything else."""
    text = os.environ.get(name)
    if text is None and default is not None:
        return default
    limits = f"of {least} or more" if most is None else f"from {least} to {most}"
    if text is None or not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= (most or int(text)):
        got = "nothing" if text is None else repr(text)
        raise InputError(f"{name}: expected a whole number {limits}, as torchrun sets it, got {got}")
    return int(text)
