"""The files that MNIST and its relatives lie in, looked at before torchvision reads them whole."""

import math
import struct
from pathlib import Path

from pyrovae.data.sources.source import check_file, check_pixels
from pyrovae.data.storage import fits
from pyrovae.errors import InputError

UBYTE = 0x0800  # of the first four bytes; the last is the number of dimensions


def check_idx(path: Path) -> None:
    """Raise InputError if there is a file that does not hold what its first bytes say; none at all is fine."""
    dimensions = 3 if "idx3" in path.name else 1
    wanted = 4 * (1 + dimensions)
    try:
        if not path.exists():
            return
        check_file(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(wanted)
        if len(head) < wanted:
            raise ValueError(f"{size} bytes")
        magic, *shape = struct.unpack(f">{1 + dimensions}I", head)
        if magic != UBYTE + dimensions:
            raise ValueError(f"one that begins with {head[:4].hex()}")
        if 0 in shape or math.prod(shape) != size - wanted:
            raise ValueError(f"a header that says {'×'.join(map(str, shape))}, and {size - wanted:,} bytes after it")
        check_pixels(*shape[1:] or (1, 1))
        if not fits(2 * size):  # torchvision holds it twice
            raise ValueError(f"{size:,} bytes, too many for the memory")
    except (OSError, ValueError) as error:
        raise InputError(
            f"dataset: expected an IDX file of bytes in {dimensions} dimensions at {path}, got {error};"
            " without it, it is downloaded again"
        ) from None
