"""Packs arrays of numbers into one short text for the page: all arrays in a row, deflated, in base 85."""

import base64
import zlib
from typing import NotRequired, TypedDict

import numpy as np

from pyrovae.pages.explorer.rounding import Rounded

DEFLATED_BITS = 8  # of a rounded number: the lower bits are close to random, so deflating them saves nothing


class Stored(TypedDict):
    """Where an array begins in the store, in bytes, and how `store.js` reads it."""

    type: str  # "float32", "int32", "uint8", or "rounded"
    at: int
    size: NotRequired[int]  # of an array as it is
    rows: NotRequired[int]  # of a rounded matrix
    columns: NotRequired[int]


class Store:
    """Collects arrays; each `put...` method returns the `Stored` by which the page reads the array again."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def put(self, numbers: np.ndarray) -> Stored:
        """Store an array of float32, int32 or uint8 as it is."""
        at = self._add(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes())
        return {"type": numbers.dtype.name, "at": at, "size": numbers.size}

    def put_places(self, places: np.ndarray) -> Stored:
        """Store whole numbers as differences of neighbours, because most differences are equal and deflate well."""
        return self.put(np.diff(places, prepend=0).astype(np.int32))

    def put_rounded(self, numbers: Rounded) -> Stored:
        """Store a rounded matrix: first the bits that deflate well, then those that do not.

        In this order: the steps of rows and of columns, the number of low bits for each row, the highest 8 bits of all
        numbers, and the low bits of each row.
        """
        multiples = numbers.multiples.numpy()
        low_bits = [max(0, int(row).bit_length() + 1 - DEFLATED_BITS) for row in np.abs(multiples).max(1)]
        counts = np.array(low_bits, dtype=np.uint8)
        high = ((multiples >> counts[:, None].astype(np.int64)) + 2 ** (DEFLATED_BITS - 1)).astype(np.uint8)
        steps = [part.numpy().astype("<f4").tobytes() for part in (numbers.row_steps, numbers.column_steps)]
        low = [_lowest_bits(row, count) for row, count in zip(multiples, low_bits)]
        at = self._add(b"".join([*steps, counts.tobytes(), high.tobytes(), *low]))
        return {"type": "rounded", "at": at, "rows": len(multiples), "columns": multiples.shape[1]}

    def text(self) -> str:
        """Return all arrays, deflated, as text: five letters for four bytes, none of which can open or close a tag."""
        return base64.b85encode(zlib.compress(b"".join(self.parts), 9)).decode().replace("<", ",")

    def _add(self, content: bytes) -> int:
        at, self.size = self.size, self.size + len(content)
        self.parts.append(content)
        return at


def _lowest_bits(row: np.ndarray, count: int) -> bytes:
    """Return the lowest `count` bits of each number, highest bit first, filled up to whole bytes."""
    bits = row[:, None] >> np.arange(count - 1, -1, -1) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()
