"""Everything that is printed goes through this file or `console.py`: a terminal shows it, and never obeys it."""

import codecs
import os
import re
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TextIO, cast

# What is printed where the encoding, such as ASCII, lacks our own signs.
PLAIN = dict(zip("×–−µ─│┄┊┌┐└┘┬┴┼├┤╭╮╰╯◀▶▲▼◁▷", "x--u-|.:+++++++++++++<>^v<>"))
PLAIN |= {"±": "+/-", "≤": "<=", "≥": ">=", "→": "->", "·": "*", "½": "1/2", "²": "^2", "ᵢ": "_i", "ₖ": "_k"}
PLAIN |= {"…": "...", "✓": "yes", "✗": "no", "∂": "d", "‖": "||", "∘": "o"}


def say(*lines: object, err: bool = False) -> None:
    """Print lines on stdout, or on stderr with `err`. Control characters and line breaks in them are escaped.

    Each line and its line break are one write: between two, another process may write on the same terminal.
    """
    stream = sys.stderr if err else sys.stdout
    for line in lines:
        print(f"{visible(str(line), stream.encoding)}\n", end="", file=stream, flush=True)


def say_traceback(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    """Print an error that nobody has foreseen, in place of Python's own function."""
    say(*"".join(traceback.format_exception(error)).splitlines(), err=True)


def say_at_once(line: str) -> None:
    """Print a line on stderr and show the cursor, though another line or a progress bar may be half printed."""
    with suppress(OSError):
        if os.isatty(1):
            os.write(1, b"\x1b[?25h")
        if line:
            os.write(2, visible(line, sys.stderr.encoding).encode(sys.stderr.encoding or "utf-8") + b"\n")


def visible(text: str, encoding: str | None) -> str:
    r"""Escape what a terminal would obey, or could not show, in names that a stranger may have chosen.

    >>> visible("run\x1b[2J ± 1", "ascii")
    'run\\x1b[2J +/- 1'
    """
    return _fitting("".join(c if c.isprintable() else _escaped(c) for c in text), encoding)


def _fitting(text: str, encoding: str | None) -> str:
    """Spell in ASCII what the encoding lacks: our own signs and Greek letters by a word, others by an escape."""
    known = encoding or "utf-8"
    return text.encode(known, "plain").decode(known)


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def _spelled(character: str) -> str:
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(character, ""))
    word = greek and (greek[2].lower() if greek[1] == "SMALL" else greek[2].title())
    return PLAIN.get(character) or word or _escaped(character)


codecs.register_error("plain", _plain)


class Output:
    """stdout or stderr, whose end does not end the work: once it cannot be written any more, it leads to nowhere.

    That is, when its reader has gone or its disk is full; `lost` is then the reason.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.lost: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # click would write to it
            raise AttributeError(name)
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        try:
            return self.stream.write(_fitting(text, self.stream.encoding))
        except OSError as error:
            self._give_up(error)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Lead to nowhere also what Python itself still flushes, when it ends."""
        self.lost = self.lost or error
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
            self.stream.flush()


@contextmanager
def opened() -> Iterator[Output]:
    """Inside, print by an `Output` for stdout, which is yielded, and another for stderr; warnings take one line."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed; else the next file that is opened would take its number
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open as long as Python runs
    before = sys.stdout, sys.stderr, warnings.showwarning
    output, errors = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, errors)
    warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}", err=True)
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr, warnings.showwarning = before
