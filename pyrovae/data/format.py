"""What the numbers of a source are: images, or the rows of a table. One reading, wherever they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from pyrovae.config.values import CONDITIONS
from pyrovae.data.columns import by_column, numbered, read_columns, stacked
from pyrovae.data.conditions import apart, read_conditions
from pyrovae.data.gate import read_images
from pyrovae.data.sparse import DENSE, SPARSE, Compressed, as_dense, read_sparse
from pyrovae.data.vectors import expect_rows, is_table, read_vectors
from pyrovae.errors import InputError, one_of
from pyrovae.parts.kinds import Kind

Array = np.ndarray | Compressed


class Sets(NamedTuple):
    """What was read of several sets: images or vectors by set, and the names and kinds of a table's columns."""

    tensors: dict[str, Any]  # of tensors, or of `SparseRows`
    columns: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    given: Mapping[str, Tensor] = {}  # by set, the values (N, K) of the columns that a model is given
    conditions: Mapping[str, Kind] = {}  # these columns by name


@dataclass(frozen=True)
class Format:
    """How arrays are read, by the settings of those names: as images, or, if `pixels` says so, as rows of a table."""

    pixels: str = "grey"
    shape: Sequence[int] = ()  # of images that are flat rows
    background: str = "white"  # on which transparent images are drawn
    label_column: str = ""
    columns: Sequence[str] = ()  # NAME=KIND, where a column is of another kind than it looks like
    kinds: Sequence[Kind] = ()  # of a table that was read before, and that this one has, too
    conditions: Sequence[str] = ()  # the columns of a table that a model is given
    given: Mapping[str, Kind] = field(default_factory=dict)  # their kinds in a table that was read before
    layer: str = ""  # of an h5ad file, in place of X
    further: bool = False  # rows of a table that was read before: of some columns they may have no value

    @property
    def mixed(self) -> bool:
        """Whether each column of a table has a kind of its own."""
        return self.pixels == "columns"

    def is_table(self, dims: int) -> bool:
        """Say whether arrays of so many dimensions are the rows of a table."""
        return is_table(self.pixels, dims, self.shape)

    @property
    def scored(self) -> "Format":
        """How the other columns are read, once those are set apart that a model is given."""
        others = [each for each in self.columns if each.rpartition("=")[0] not in self.conditions]
        if others and not self.mixed:
            one_of("columns", others[0].rpartition("=")[0], self.conditions)
        return replace(self, columns=others, conditions=())

    def apart(self, names: Sequence[str], place: str, label: int | None = None) -> tuple[list[int], list[int]]:
        """Return where the columns of a table are that are scored, and those that are conditions."""
        if not self.is_table(2):
            self._refuse_images(place)
        return apart(names, self.conditions, place, label)

    def _refuse_images(self, place: str) -> None:
        if self.conditions:
            known, got = ", ".join(CONDITIONS), ",".join(self.conditions)
            raise InputError(f"condition: expected {known} for images, as those in {place}, got {got!r}")

    def refuse_conditions(self, place: str) -> None:
        """Raise `InputError` if a model is to be given columns of a sparse matrix."""
        if self.conditions:
            raise InputError(
                f"condition: expected {', '.join(CONDITIONS)} for the sparse rows in {place}, got"
                f" {','.join(self.conditions)!r}; columns of obs, in an h5ad file, can be conditions"
            )

    def read_given(self, table: Mapping[str, np.ndarray], place: str) -> tuple[Tensor | None, dict[str, Kind]]:
        """Return the values (N, K) of the columns that a model is given, and their kinds by name; None if of none."""
        if not table:
            return None, {}
        return read_conditions(table, place, dict(each.rpartition("=")[::2] for each in self.columns), self.given)

    def read(
        self,
        arrays: Mapping[str, Array],
        place: str,
        names: Sequence[str] = (),
        plain: bool = False,
    ) -> Sets:
        """Read arrays, one for each set, by `read_images`, `read_vectors` or `read_columns`.

        `names` are those of a table's columns, and `plain` is that of `read_images`. Columns that are conditions
        are no part of the rows. Sparse matrices are the rows of a table, which stay sparse if the protocol lets them.
        """
        sparse = {name: array for name, array in arrays.items() if isinstance(array, Compressed)}
        if sparse:
            return self._read_sparse(sparse, [*arrays], place, names)
        return self._read_dense(
            {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}, place, names, plain
        )

    def _read_sparse(
        self, matrices: Mapping[str, Compressed], sets: Sequence[str], place: str, names: Sequence[str]
    ) -> Sets:
        if self.pixels not in (*SPARSE, *DENSE):
            raise InputError(
                f"pixels: expected {', '.join((*SPARSE, *DENSE))} for the sparse rows in {place}, got {self.pixels!r}"
            )
        self.refuse_conditions(place)
        if others := [name for name in sets if name not in matrices]:
            raise InputError(
                f"dataset: expected {' and '.join(sets)} alike in {place}, got some sparse, and {others[0]} not"
            )
        if len(widths := {matrix.shape[1] for matrix in matrices.values()}) > 1:
            raise InputError(
                f"dataset: expected rows of one width in {place}, got {' and '.join(map(str, sorted(widths)))}"
            )
        if self.pixels in DENSE:
            return Sets(read_vectors(as_dense(matrices, place), place, self.pixels, names, self.further), tuple(names))
        return Sets({**read_sparse(matrices, place, self.pixels, names)}, tuple(names))

    def _read_dense(self, arrays: Mapping[str, np.ndarray], place: str, names: Sequence[str], plain: bool) -> Sets:
        if not self.is_table(max(array.ndim for array in arrays.values())):
            self._refuse_images(place)
            return Sets(read_images(arrays, place, self.shape, self.background, plain))
        if self.conditions:
            return self._read_apart(arrays, place, names)
        if not self.mixed:
            return Sets(read_vectors(arrays, place, self.pixels, names, self.further), tuple(names))
        expect_rows(arrays, place, self.pixels)
        rows, kinds = read_columns(by_column(_together(arrays), names, place), place, self.columns, self.kinds)
        parts = rows.split([len(array) for array in arrays.values()])
        return Sets(dict(zip(arrays, parts, strict=True)), tuple(names), kinds)

    def _read_apart(self, arrays: Mapping[str, np.ndarray], place: str, names: Sequence[str]) -> Sets:
        """Read rows of which some columns are conditions; without names they are column1, column2, ..."""
        expect_rows(arrays, place, self.pixels)
        names = names or numbered(next(iter(arrays.values())).shape[1])
        scored, chosen = self.apart(names, place)
        given = by_column(_together({part: array[:, chosen] for part, array in arrays.items()}), self.conditions, place)
        called = [names[column] for column in scored]
        rest = {part: array[:, scored] for part, array in arrays.items()}
        if not self.mixed:  # numbers beside words
            rest = {
                part: stacked(by_column(array, called, place), place) if array.dtype.kind == "O" else array
                for part, array in rest.items()
            }
        sets = self.scored.read(rest, place, called)
        numbers, conditions = self.read_given(given, place)
        parts = () if numbers is None else numbers.split([len(array) for array in arrays.values()])
        return sets._replace(given=dict(zip(arrays, parts)), conditions=conditions)


def _together(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the rows of all sets, whose kinds are those of them together; words would make words of numbers."""
    return np.concatenate([array.astype(object) if array.dtype.kind in "US" else array for array in arrays.values()])


DEFAULT = Format()  # grey images
