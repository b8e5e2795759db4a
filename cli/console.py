"""Tables and progress bars, printed by rich; `terminal.py` says what holds for all that is printed."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from .terminal import visible


class Console(rich.console.Console):
    """Prints texts as they are: rich reads no markup, emoji or numbers in them, and they are escaped as by `say`."""

    def __init__(self) -> None:
        super().__init__(file=sys.stdout, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape a text before rich lays it out."""
        return super().render_str(visible(text, self.encoding), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Escape what comes in another way, too, but for the line breaks, which rich itself makes."""
        for segment in super().render(renderable, options):
            lines = [visible(line, self.encoding) for line in segment.text.split("\n")]
            yield segment if segment.control else Segment("\n".join(lines), segment.style)

    @contextmanager
    def trimmed(self) -> Iterator[None]:
        """Print what is printed inside without the blanks at the ends of its lines."""
        with self.capture() as capture:
            yield
        self.file.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())
        self.file.flush()
