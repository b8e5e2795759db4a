"""Numbers in few bytes that a text can hold: one array after another, deflated, in base 85."""

import base64
import zlib
from typing import Any

import numpy as np

from pyrovae.pages.explorer.rounding import Rounded

FIRST = 8  # bits of a rounded number that are worth deflating: those after them are as good as random


class Store:
    """Arrays in one piece. `put` and its kin return what the page needs in order to take one out again."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def put(self, numbers: np.ndarray) -> dict[str, Any]:
        """Numbers as they are: float32, int32 or uint8."""
        at = self._add(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes())
        return {"type": numbers.dtype.name, "at": at, "size": numbers.size}

    def put_places(self, places: np.ndarray) -> dict[str, Any]:
        """Whole numbers, each as its difference from the one before it: most of these are the same."""
        return self.put(np.diff(places, prepend=0).astype(np.int32))

    def put_rounded(self, numbers: Rounded) -> dict[str, Any]:
        """Steps of rows and columns, and of each row how many bits come last; all numbers' first bits, and the last."""
        whole = numbers.whole.numpy()
        last = np.array([max(0, int(row).bit_length() + 1 - FIRST) for row in np.abs(whole).max(1)], dtype=np.uint8)
        first = ((whole >> last[:, None].astype(np.int64)) + 2 ** (FIRST - 1)).astype(np.uint8)
        steps = [part.numpy().astype("<f4").tobytes() for part in (numbers.rows, numbers.columns)]
        rest = [_bits(row, count) for row, count in zip(whole, last.tolist())]
        at = self._add(b"".join([*steps, last.tobytes(), first.tobytes(), *rest]))
        return {"type": "rounded", "at": at, "rows": len(whole), "columns": whole.shape[1]}

    def text(self) -> str:
        """Deflated, five letters for four bytes; none of them can end or open anything in a page."""
        return base64.b85encode(zlib.compress(b"".join(self.parts), 9)).decode().replace("<", ",")

    def _add(self, content: bytes) -> int:
        at, self.size = self.size, self.size + len(content)
        self.parts.append(content)
        return at


def _bits(row: np.ndarray, count: int) -> bytes:
    """The last bits of whole numbers, so many of each, highest first; filled up to a byte."""
    bits = row[:, None] >> np.arange(count - 1, -1, -1) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()
