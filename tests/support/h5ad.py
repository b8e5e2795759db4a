"""Writes h5ad files as AnnData does, by its format alone."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse


def write_h5ad(path: Path, x: Any = None, obs: Mapping[str, Any] | None = None, columns: Any = (), **more: Any) -> str:
    """Write a matrix X, columns of `obs` (words become categories), names of `var`, layers, and `raw`."""
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["encoding-type"] = "anndata"
        if x is not None:
            write_matrix(file, "X", x)
        frame(file, "obs", obs or {}, [])
        frame(file, "var", {}, columns)
        for name, layer in more.pop("layers", {}).items():
            write_matrix(file.require_group("layers"), name, layer)
        if (raw := more.pop("raw", None)) is not None:
            write_matrix(file.create_group("raw"), "X", raw)
            frame(file["raw"], "var", {}, more.pop("raw_columns", ()))
    return f"h5ad:{path}"


def write_matrix(group: Any, name: str, x: Any) -> None:
    if not scipy.sparse.issparse(x):
        group.create_dataset(name, data=x)
        return
    part = group.create_group(name)
    part.attrs["encoding-type"], part.attrs["shape"] = f"{x.format}_matrix", x.shape
    for field in ("data", "indices", "indptr"):
        part.create_dataset(field, data=getattr(x, field), compression="gzip")


def frame(group: Any, name: str, values: Mapping[str, Any], index: Any) -> None:
    import h5py

    part = group.create_group(name)
    part.attrs["encoding-type"], part.attrs["_index"] = "dataframe", "_index"
    part.create_dataset("_index", data=np.array([*index], dtype=object), dtype=h5py.string_dtype())
    for column, cells in values.items():
        cells = np.asarray(cells)
        if cells.dtype.kind != "U":
            part.create_dataset(column, data=cells)
            continue
        categories = sorted({*cells.tolist()} - {""})
        inner = part.create_group(column)
        inner.attrs["encoding-type"] = "categorical"
        inner.create_dataset("categories", data=np.array(categories, dtype=object), dtype=h5py.string_dtype())
        inner.create_dataset("codes", data=[categories.index(cell) if cell else -1 for cell in cells.tolist()])


@contextlib.contextmanager
def changed(path: Path):
    """Open a file to damage it."""
    import h5py

    with h5py.File(path, "r+") as file:
        yield file
