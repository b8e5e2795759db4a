"""What the numbers of a source are: images, or the rows of a table. One reading, wherever they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor

from pyrovae.data.columns import by_column, read_columns
from pyrovae.data.gate import read_images
from pyrovae.data.vectors import expect_rows, is_table, read_vectors
from pyrovae.parts.kinds import Kind


class Sets(NamedTuple):
    """What was read of several sets: images or vectors by set, and the names and kinds of a table's columns."""

    tensors: dict[str, Tensor]
    columns: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True)
class Format:
    """How arrays are read, by the settings of those names: as images, or, if `pixels` says so, as rows of a table."""

    pixels: str = "grey"
    shape: Sequence[int] = ()  # of images that are flat rows
    background: str = "white"  # on which transparent images are drawn
    label_column: str = ""
    columns: Sequence[str] = ()  # NAME=KIND, where a column is of another kind than it looks like
    kinds: Sequence[Kind] = ()  # of a table that was read before, and that this one has, too
    further: bool = False  # rows of a table that was read before: of some columns they may have no value

    @property
    def mixed(self) -> bool:
        """Whether each column of a table has a kind of its own."""
        return self.pixels == "columns"

    def is_table(self, dims: int) -> bool:
        """Say whether arrays of so many dimensions are the rows of a table."""
        return is_table(self.pixels, dims, self.shape)

    def read(
        self,
        arrays: Mapping[str, np.ndarray],
        place: str,
        names: Sequence[str] = (),
        plain: bool = False,
    ) -> Sets:
        """Read arrays, one for each set, by `read_images`, `read_vectors` or `read_columns`.

        `names` are those of a table's columns, and `plain` is that of `read_images`.
        """
        if not self.is_table(max(array.ndim for array in arrays.values())):
            return Sets(read_images(arrays, place, self.shape, self.background, plain))
        if not self.mixed:
            return Sets(read_vectors(arrays, place, self.pixels, names, self.further), tuple(names))
        expect_rows(arrays, place, self.pixels)
        # Kinds are those of all sets together; words beside numbers would make words of these.
        sets = [array.astype(object) if array.dtype.kind in "US" else array for array in arrays.values()]
        together = np.concatenate(sets)
        rows, kinds = read_columns(by_column(together, names, place), place, self.columns, self.kinds)
        parts = rows.split([len(array) for array in sets])
        return Sets(dict(zip(arrays, parts, strict=True)), tuple(names), kinds)


DEFAULT = Format()  # grey images
