"""Checks the IDX files of MNIST and similar sets before torchvision reads them whole."""

import math
import struct
from pathlib import Path

from pyrovae.data.gate import check_pixels
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.storage import fits
from pyrovae.errors import InputError

UBYTE = 0x0800  # the first four bytes of a file of bytes; the number of dimensions is added to them


def check_idx(path: Path) -> None:
    """Raise `InputError` if a file contradicts its header or is too large; a missing file is accepted."""
    dimensions = 3 if "idx3" in path.name else 1
    header = 4 * (1 + dimensions)  # bytes
    try:
        if not path.exists():
            return
        check_file(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(header)
        if len(head) < header:
            raise ValueError(f"{size} bytes")
        magic, *shape = struct.unpack(f">{1 + dimensions}I", head)
        if magic != UBYTE + dimensions:
            raise ValueError(f"one that begins with {head[:4].hex()}")
        if 0 in shape or math.prod(shape) != size - header:
            raise ValueError(f"a header that says {'×'.join(map(str, shape))}, and {size - header:,} bytes after it")
        check_pixels(*shape[1:] or (1, 1))
        if not fits(2 * size):  # torchvision keeps two copies of it for a while
            raise ValueError(f"{size:,} bytes, too many for the memory")
    except (OSError, ValueError) as error:
        raise InputError(
            f"dataset: expected an IDX file of bytes in {dimensions} dimensions at {path}, got {error};"
            " without it, it is downloaded again"
        ) from None
