"""Puts the PNG files of run folders into the page, each beside the same figure of the other runs."""

import base64
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrovae.figures.style import DENSITY
from pyrovae.pages.report.words import CAPTIONS
from pyrovae.runs.run import Run

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_BYTES = 2**25  # of a figure: 32 MB; those that pyrovae draws have up to 1 MB


@dataclass(frozen=True)
class PngFile:
    """A PNG file for the page: its data URL and its sides in CSS pixels, or the reason why it is left out."""

    source: str = ""
    width: int = 0
    height: int = 0
    fault: str = ""


def figures_by_name(runs: Sequence[Run], most: int = MOST_BYTES) -> list[tuple[str, list[PngFile | None]]]:
    """Return each figure by name with the file of each run, or None where a run has none; skip figures that no run has.

    A file is shown only if it is a PNG file of at most `most` bytes inside the run folder.
    """
    rows = [(name, [_read(run.path, name, most) for run in runs]) for name in CAPTIONS]
    return [(name, pictures) for name, pictures in rows if any(pictures)]


def _read(folder: Path, figure: str, most: int) -> PngFile | None:
    name = f"figures/{figure}.png"
    path = folder / name
    if not os.path.lexists(path):
        return None
    if path.is_symlink() or path.parent.is_symlink():
        return PngFile(fault=f"{name} is left out: it is a link to somewhere else")
    try:
        return png(path, most)
    except (OSError, ValueError) as error:
        return PngFile(fault=f"{name} is left out: {getattr(error, 'strerror', None) or error}")


def png(path: Path, most: int = MOST_BYTES) -> PngFile:
    """Read a PNG file. Raises ValueError if it is something else, or larger than `most` bytes."""
    if not path.is_file():
        raise ValueError("it is not a file")
    if path.stat().st_size > most:
        raise ValueError(f"it has more than {most:,} bytes")
    content = path.read_bytes()
    if not content.startswith(PNG_SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 45:
        raise ValueError("it is not a PNG file")
    width, height = struct.unpack(">II", content[16:24])
    if not (0 < width < 2**16 and 0 < height < 2**16):
        raise ValueError(f"it has {width} × {height} pixels")
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return PngFile(source, max(1, round(width / DENSITY)), max(1, round(height / DENSITY)))
