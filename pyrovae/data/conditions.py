"""The columns of a table that a model is given: set apart by their names, and read by their kinds."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.columns import kind_of, numbers_of
from pyrovae.errors import InputError, did_you_mean
from pyrovae.parts.kinds import SHOWN, Kind


def apart(
    names: Sequence[str], conditions: Sequence[str], place: str, label: int | None = None
) -> tuple[list[int], list[int]]:
    """Return where the columns are that are scored, and those that are conditions, in the order of `conditions`.

    The column that is the `label` is not scored, and may be a condition. Raises `InputError` for a condition that is no
    column, and if no other column is left.
    """
    expect_columns(conditions, names, place)
    scored = [column for column, name in enumerate(names) if column != label and name not in conditions]
    if conditions and not scored:
        raise InputError(f"condition: expected other columns in {place}, too, got {', '.join(conditions)} alone")
    return scored, [[*names].index(name) for name in conditions]


def expect_columns(conditions: Sequence[str], names: Sequence[str], place: str) -> None:
    """Raise `InputError` if a condition is not the name of a column; `place` says where the columns are."""
    for name in conditions:
        if name not in names:
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            known = f"{', '.join(names[:SHOWN])}{more}"
            raise InputError(
                f"condition: expected columns of {place}, {known}, got {name!r}{did_you_mean(name, names)}"
            )


def read_conditions(
    table: Mapping[str, np.ndarray], place: str, chosen: Mapping[str, str], known: Mapping[str, Kind]
) -> tuple[Tensor, dict[str, Kind]]:
    """Return the columns of `table`, each (N,), as float32 (N, K), and their kinds by name.

    They are read as `read_columns` reads them, but that numbers greater than 0 are real, unless `chosen` says
    otherwise, so that they are standardised as they are. `known` are the kinds of a table that was read before. A
    warning says the kinds. Raises `InputError` for values that do not fit their kind, and for one that is missing.
    """
    kinds, read = {}, []
    for name, values in table.items():
        kind = known.get(name) or kind_of(values, chosen.get(name, ""), name, place)
        if kind.kind == "positive" and name not in chosen and name not in known:
            kind = Kind("real", "gaussian")
        numbers = numbers_of(values, kind, name, place)
        if gaps := int(np.isnan(numbers).sum()):
            raise InputError(
                f"condition: expected a value of {name} in every row of {place}, as the model is given it, got"
                f" {gaps:,} without; leave these rows out, or {name} among the columns that are scored"
            )
        kinds[name] = kind
        read.append(numbers)
    if not known:
        said = ", ".join(f"{name} as {kind.kind}" + _of(kind) for name, kind in kinds.items())
        warnings.warn(f"dataset: the model is given columns of {place}: {said}", stacklevel=4)
    return torch.from_numpy(np.stack(read, 1).astype(np.float32)), kinds


def _of(kind: Kind) -> str:
    return f" of {len(kind.categories)}" if kind.categories else ""
