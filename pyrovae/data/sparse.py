"""Sparse rows: tables of counts that are mostly 0, of which only the other values are kept."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.storage import allocate, fits
from pyrovae.data.vectors import named_columns, unfit
from pyrovae.errors import InputError

CHUNK = 2**22  # values that are read at a time
SPARSE = ("counts", "binary")  # the protocols that keep rows sparse: a 0 stays a 0
DENSE = ("real", "standardized")  # those that read such rows, too, as dense ones
MOST_COLUMNS = 2**24


class SparseRows:
    """Rows (N, D) of float32 that keep only values other than 0, as far as a set of a dataset needs a tensor.

    The values of row i are `values[starts[i] : starts[i] + counts[i]]`, in the `columns` of the same places. Rows that
    are picked share these two with the rows they come from, so that splitting a table copies none of its values.
    `to_dense`, which tensors have, too, returns the rows as a tensor (N, D).

    >>> rows = SparseRows(*map(torch.tensor, ([0, 1], [1, 2], [2, 0, 1], [5.0, 1.0, 3.0])), 3)
    >>> rows[slice(1, 2)].to_dense()
    tensor([[1., 3., 0.]])
    """

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self, starts: Tensor, counts: Tensor, columns: Tensor, values: Tensor, width: int) -> None:
        self.starts, self.counts, self.columns, self.values = starts, counts, columns, values
        self.shape = torch.Size((len(starts), width))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor | slice) -> "SparseRows":
        return SparseRows(self.starts[rows], self.counts[rows], self.columns, self.values, self.shape[1])

    def split(self, size: int) -> list["SparseRows"]:
        return [self[slice(start, start + size)] for start in range(0, len(self), size)]

    def dim(self) -> int:
        return 2

    def to_dense(self) -> Tensor:
        """Return these rows as a tensor (N, D); values that lie at one place add up, as in scipy."""
        total = int(self.counts.sum())
        before = self.counts.cumsum(0) - self.counts
        at = torch.arange(total) + (self.starts - before).repeat_interleave(self.counts)
        places = self.columns[at] + (torch.arange(len(self)) * self.shape[1]).repeat_interleave(self.counts)
        return torch.zeros(self.shape.numel()).index_add_(0, places, self.values[at]).view(self.shape)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the rows are made of."""
        return {name: getattr(self, name) for name in ("starts", "counts", "columns", "values")}


Stored = Tensor | SparseRows  # what a set keeps: images, the rows of a table, or sparse ones


class Numbers(Protocol):
    """An array (n,), or what reads parts of one from a file."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> np.ndarray: ...


@dataclass(frozen=True)
class Compressed:
    """A sparse matrix (N, D) in CSR, row after row, as it comes: arrays, or what reads parts of one from a file.

    Row i has the values `data[indptr[i] : indptr[i + 1]]`, in the columns `indices` of the same places.
    """

    indptr: Numbers
    indices: Numbers
    data: Numbers
    shape: tuple[int, int]
    remedy: str = ""  # what to do about values that are no counts

    ndim = 2

    def __len__(self) -> int:
        return self.shape[0]

    @classmethod
    def of(cls, matrix: Any) -> "Compressed":
        """Return a matrix of scipy, in any format, as CSR."""
        rows = matrix.tocsr()
        return cls(rows.indptr, rows.indices, rows.data, rows.shape)


def read_sparse(
    matrices: Mapping[str, Compressed], place: str, protocol: str, columns: Sequence[str] = ()
) -> dict[str, SparseRows]:
    """Return sparse matrices as `SparseRows`, read a few million values at a time; what is too large lies in a file.

    `columns` names the columns for messages, and `place` says where the matrices are from. Raises `InputError` for
    values that the `protocol`, counts or binary, does not have, NaN among them, and for a matrix that is damaged.
    """
    return {name: _read(matrix, f"{name.replace('images', 'rows')} in {place}", protocol, columns)
            for name, matrix in matrices.items()}  # fmt: skip


def as_dense(matrices: Mapping[str, Compressed], place: str) -> dict[str, np.ndarray]:
    """Return sparse matrices as dense ones, for protocols of which a 0 does not stay a 0, if they fit in memory."""
    arrays = {}
    for name, matrix in matrices.items():
        if not fits(4 * matrix.shape[0] * matrix.shape[1]):
            raise InputError(
                f"pixels: expected {' or '.join(SPARSE)}, which stay sparse, for {len(matrix):,} rows of"
                f" {matrix.shape[1]:,} columns in {place}, which are too many for the memory as dense rows"
            )
        arrays[name] = _read(matrix, f"{name.replace('images', 'rows')} in {place}", "", ()).to_dense().numpy()
    return arrays


def _read(matrix: Compressed, what: str, protocol: str, names: Sequence[str]) -> SparseRows:
    n, width = matrix.shape
    if not (n and 0 < width <= MOST_COLUMNS):
        raise InputError(f"dataset: expected {what} (N, D), with D up to {MOST_COLUMNS:,}, got shape {matrix.shape}")
    size = len(matrix.data)
    if len(matrix.indptr) != n + 1 or len(matrix.indices) != size:
        raise _damaged(what, f"{len(matrix.indptr):,} starts of {n:,} rows, {len(matrix.indices):,} columns of"
                             f" {size:,} values")  # fmt: skip
    ends = torch.from_numpy(np.asarray(matrix.indptr[:]).astype(np.int64))
    counts = ends.diff()
    if ends[0] != 0 or ends[-1] != size or (counts < 0).any():
        raise _damaged(what, "rows that do not follow one another")
    columns, values = allocate((size,), torch.int32), allocate((size,), torch.float32)
    for start in range(0, size, CHUNK):
        part = slice(start, start + CHUNK)
        places, numbers = np.asarray(matrix.indices[part]), np.asarray(matrix.data[part])
        if places.dtype.kind not in "iu" or ((places < 0) | (places >= width)).any():
            raise _damaged(what, f"values in other columns than its {width:,}")
        _expect_fit(numbers, places, what, protocol, names, matrix.remedy)
        columns[part], values[part] = (torch.from_numpy(x) for x in (places.astype("i4"), numbers.astype("f4")))
    return SparseRows(ends[:-1], counts, columns, values, width)


def _expect_fit(
    values: np.ndarray, columns: np.ndarray, what: str, protocol: str, names: Sequence[str], remedy: str
) -> None:
    """Raise `InputError` for values that are no numbers, or not such as the protocol has; name their columns."""
    if values.dtype.kind not in "buif":
        raise InputError(f"dataset: expected {what} to be numbers, got type {values.dtype.name}")
    finite = np.abs(values, dtype=float) <= np.finfo(np.float32).max
    bad, wanted = (~finite, "finite numbers") if not finite.all() else unfit(values, protocol)
    if bad.any():
        chosen = np.isin(np.arange(columns.max() + 1), columns[bad])
        first = values[bad][0].item()
        raise InputError(
            f"dataset: expected {wanted}, in {what}, got {first:.6g} in {named_columns(chosen, names)}{remedy}"
        )


def _damaged(what: str, got: str) -> InputError:
    return InputError(f"dataset: expected {what} as a sparse matrix, row after row, got a damaged one: {got}")


def by_rows(kind: str, matrix: Compressed, place: str) -> Compressed:
    """Return a stored matrix in CSR; one in CSC, column after column, is converted in memory, and a warning says so.

    Raises `InputError` for other kinds, and for one that does not fit in memory.
    """
    if kind == "csr":
        return matrix
    if kind != "csc":
        raise InputError(f"dataset: expected a matrix in CSR or CSC in {place}, got {kind!r}; save X.tocsr()")
    if not fits(24 * len(matrix.data)):
        raise InputError(f"dataset: expected a matrix in CSR in {place}, as it is too large to convert, got CSC")
    from scipy.sparse import csc_matrix

    columns = csc_matrix(
        tuple(np.asarray(part[:]) for part in (matrix.data, matrix.indices, matrix.indptr)), matrix.shape
    )
    columns.check_format(full_check=True)
    warnings.warn(f"dataset: the matrix in {place} is stored by columns (CSC): converted to rows (CSR)", stacklevel=4)
    return replace(Compressed.of(columns), remedy=matrix.remedy)


def compressed(rows: Any, remedy: str = "") -> Compressed:
    """Return dense rows (N, D) that are read part by part, such as those of a file, as a sparse matrix."""
    n, width = rows.shape
    parts = [
        slice(start, start + max(1, CHUNK // max(1, width))) for start in range(0, n, max(1, CHUNK // max(1, width)))
    ]
    counts = [np.count_nonzero(rows[part], axis=1) for part in parts]
    indptr = np.concatenate([[0], *counts]).cumsum()
    indices, data = (
        allocate((int(indptr[-1]),), torch.int32).numpy(),
        allocate((int(indptr[-1]),), torch.float64).numpy(),
    )
    for part in parts:
        few = rows[part]
        at = slice(indptr[part.start], indptr[min(part.stop, n)])
        indices[at], data[at] = few.nonzero()[1], few[few != 0]
    return Compressed(indptr, indices, data, (n, width), remedy)
