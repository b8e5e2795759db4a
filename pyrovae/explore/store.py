"""Numbers in the fewest bytes that a text can hold: one array after another, deflated, in base 85."""

import base64
import zlib
from typing import Any

import numpy as np

from pyrovae.explore.rounding import Rounded

BYTES = 3  # of a rounded number; deflating takes out those that say nothing


class Store:
    """Arrays in one piece. `put` and `put_rounded` return what the page needs in order to take one out again."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def put(self, numbers: np.ndarray) -> dict[str, Any]:
        """Numbers as they are: float32, int32, int16 or uint8."""
        at = self._add(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes())
        return {"type": numbers.dtype.name, "at": at, "size": numbers.size}

    def put_rounded(self, numbers: Rounded) -> dict[str, Any]:
        """The step of each row, then all lowest bytes, all middle and all highest ones."""
        unsigned = (numbers.whole + 2 ** (8 * BYTES - 1)).numpy()
        planes = [(unsigned >> (8 * byte) & 255).astype(np.uint8).tobytes() for byte in range(BYTES)]
        at = self._add(numbers.steps.numpy().astype("<f4").tobytes() + b"".join(planes))
        return {"type": "rounded", "at": at, "size": unsigned.size, "rows": len(unsigned)}

    def text(self) -> str:
        """Deflated, five letters for four bytes; none of them can end or open anything in a page."""
        return base64.b85encode(zlib.compress(b"".join(self.parts), 9)).decode().replace("<", ",")

    def _add(self, content: bytes) -> int:
        at, self.size = self.size, self.size + len(content)
        self.parts.append(content)
        return at
