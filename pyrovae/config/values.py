"""What the values of settings may be, and how they are read from text: types and checks that several of them share."""

import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from pyrovae.errors import InputError

FILES = ("folder", "npz", "csv", "parquet", "h5ad", "pt", "mat")  # what data of one's own may be: KIND:PATH
DEVICES = r"auto|cpu|cuda(:[0-9]{1,2})?"
SCALES = ("shared", "pixel", "optimal")
# Control characters, and surrogates, which a text in UTF-8 cannot contain.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# The pixel protocols of images, and those of the rows of a table, which are vectors.
IMAGES = ("grey", "dynamic", "static", "threshold", "bytes", "dequantised", "standardized")
BITS = {"bytes": 0, "dequantised": 8}  # protocols of bytes, and how many bits finer their unit is, per dimension
VECTORS = ("standardized", "real", "counts", "binary", "columns")
CONDITIONS = ("none", "label", "quadrant1", "quadrant2", "quadrant3")  # beside the columns of a table
MOST = 1_000_000_000  # the largest count: products of larger ones overflow
MOST_LAYERS = 100
LARGEST = 1e30  # the largest number: 32-bit floats overflow beyond it


def _one_or_several(value: object) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


Count = Annotated[int, Field(ge=1, le=MOST)]
# A number or a list of them. Tags let pydantic speak of the one that is meant alone.
Counts = Annotated[
    Annotated[Count, Tag("one")] | Annotated[tuple[Count, ...], Tag("several")], Discriminator(_one_or_several)
]
Shape = tuple[Count, ...]
Widths = tuple[Annotated[int, Field(le=MOST)], ...]


def folder(value: object) -> object:
    """Refuse an empty path, which Python takes for the working directory."""
    if isinstance(value, str) and not value:
        raise ValueError("expected a folder")
    return value


def listed(value: object) -> object:
    """Split a text at its commas; make a list of one number of a number."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return (value,) if isinstance(value, int) else value


def kinds(value: object) -> object:
    """Return NAME=KIND for each column of a dict, of a text, or of a TOML file, whose keys are the columns."""
    if isinstance(value, str | Path) and str(value).endswith(".toml"):
        try:
            value = tomllib.loads(Path(value).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ValueError(f"expected a TOML file of columns and their kinds ({error})") from None
    if isinstance(value, dict):
        if other := next((name for name, kind in value.items() if not isinstance(kind, str)), None):
            raise ValueError(f'expected a text, as in {other} = "count"')
        return tuple(f"{name}={kind}" for name, kind in value.items())
    return listed(value)


def named_kinds(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is not NAME=KIND, and a column that is named twice."""
    names = [name for name, equals, kind in (each.rpartition("=") for each in value) if name and equals and kind]
    if len(names) < len(value) or len({*names}) < len(names):
        raise ValueError("expected NAME=KIND for each column once, as age=count, or a TOML file of them")
    return value


def names(value: object) -> object:
    """Return names as a text with commas between them."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return value
    return ",".join(part.strip() for part in parts)


def condition(value: str) -> str:
    """Refuse an empty name, one that is there twice, and columns beside a condition that is none."""
    columns = value.split(",")
    if not all(columns) or len({*columns}) < len(columns):
        raise ValueError(f"expected {', '.join(CONDITIONS)}, or columns of a table, each once, as age,sex")
    if len(columns) > 1 and (alone := {*columns} & {*CONDITIONS} - {"label"}):
        raise ValueError(f"expected {min(alone)} alone, or columns of a table")
    return value


def widths(value: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse layers without units, and too many of them."""
    if min(value, default=1) < 1:
        raise ValueError("expected one or more layer widths of at least 1, as 512,256")
    if len(value) > MOST_LAYERS:
        raise ValueError(f"expected at most {MOST_LAYERS} layers")
    return value


def shape(value: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse all but two or three numbers, or none."""
    if len(value) not in (0, 2, 3):
        raise ValueError("expected two or three numbers, as 28,28 or 3,32,32")
    return value


def some(value: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse an empty list of widths."""
    if not value:
        raise ValueError("expected one or more layer widths of at least 1, as 512,256")
    return value


def one_or_several(value: object) -> object:
    """Split a text that has commas; return a list of one number as that number."""
    if isinstance(value, str) and "," in value:
        value = listed(value)
    if isinstance(value, list | tuple):
        if not 1 <= len(value) <= MOST_LAYERS:
            raise ValueError(f"expected from 1 to {MOST_LAYERS} numbers of dimensions, as 40,20")
        return value[0] if len(value) == 1 and not isinstance(value[0], list | tuple) else value
    return value


def number_or_scale(value: Any) -> float | str:
    """Return the name of a way to learn a scale, or a positive number."""
    if isinstance(value, str) and value in SCALES:
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 1 / LARGEST <= number <= LARGEST:
        raise ValueError(f"expected a number greater than 0, {', '.join(SCALES[:-1])} or {SCALES[-1]}")
    return number


def number_or_text(value: object) -> object:
    """Refuse truth values, which are numbers to Python, and texts with control characters."""
    if any(isinstance(part, bool) for part in (value if isinstance(value, list | tuple) else [value])):
        raise ValueError("expected a number or a text")
    if isinstance(value, str | Path) and CONTROL.search(str(value)):
        raise ValueError("expected a text without control characters")
    return value


def colour(value: str) -> str:
    """Refuse what is no colour of CSS."""
    from PIL import ImageColor

    try:
        ImageColor.getrgb(value)
    except ValueError:
        raise ValueError("expected a colour, as white, black or #8899aa") from None
    return value


def device(value: str) -> str:
    """Refuse what is no device's name."""
    if not re.fullmatch(DEVICES, value):
        raise ValueError("expected auto, cpu, cuda or cuda:1")
    return value


def expect_protocol(pixels: str, dims: int) -> None:
    """Raise `InputError` for a protocol of images where data are vectors (1 dimension), and the other way round."""
    kind, known = ("a table, whose rows are vectors", VECTORS) if dims == 1 else ("images", IMAGES)
    if pixels not in known:
        raise InputError(f"pixels: expected one of {', '.join(known)} for {kind}, got {pixels!r}")
