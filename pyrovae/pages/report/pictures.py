"""The figures of runs, side by side."""

import base64
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyrovae.errors import InputError
from pyrovae.figures.style import DENSITY
from pyrovae.pages.report.words import CAPTIONS
from pyrovae.runs.run import Run
from pyrovae.runs.trust import check_links

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST = 2**25  # bytes of a figure, which are 32 MB; ours have up to one


@dataclass(frozen=True)
class Picture:
    """A PNG file for a page: its data, and its sides in the page's pixels; or why it is left out."""

    source: str = ""
    width: int = 0
    height: int = 0
    fault: str = ""


def pictures_of(runs: Sequence[Run]) -> list[tuple[str, list[Picture | None]]]:
    """By the figure's name: that of each run, or None. Figures that no run has are left out."""
    found = [(name, [_picture(run.path, name) for run in runs]) for name in CAPTIONS]
    return [(name, pictures) for name, pictures in found if any(pictures)]


def _picture(folder: Path, name: str) -> Picture | None:
    name = f"figures/{name}.png"
    path = folder / name
    if not path.exists():
        return None
    try:
        check_links(folder, [name])
        return png(path)
    except InputError:
        return Picture(fault=f"{name} is left out: it is a link to somewhere else")
    except (OSError, ValueError) as error:
        return Picture(fault=f"{name} is left out: {getattr(error, 'strerror', None) or error}")


def png(path: Path) -> Picture:
    """A PNG file as it is. Raises ValueError for what is none."""
    if not path.is_file():
        raise ValueError("it is no file")
    if path.stat().st_size > MOST:
        raise ValueError(f"it has more than {MOST:,} bytes")
    content = path.read_bytes()
    if not content.startswith(SIGNATURE) or content[12:16] != b"IHDR" or len(content) < 45:
        raise ValueError("it is no PNG file")
    width, height = struct.unpack(">II", content[16:24])
    if not (0 < width < 2**16 and 0 < height < 2**16):
        raise ValueError(f"it has {width} × {height} pixels")
    source = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(source, max(1, round(width / DENSITY)), max(1, round(height / DENSITY)))
