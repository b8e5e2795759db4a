"""What a column of a table holds: what its likelihood and its encoder have to know of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pyrovae.errors import InputError, did_you_mean

EXACT = 2**24  # the largest count up to which float32 holds every one
SHOWN = 20  # categories in a message, at most

# The kinds of columns, each with the likelihoods that score it, the one by default first.
LIKELIHOODS_OF = {
    "real": ("gaussian", "student_t", "laplace"),
    "positive": ("lognormal",),
    "count": ("negative_binomial", "poisson"),
    "binary": ("bernoulli",),
    "category": ("categorical",),
}

WANTED = {
    "real": "finite numbers",
    "positive": "numbers greater than 0",
    "count": f"whole numbers from 0 to {EXACT:,}",
    "binary": "0 and 1",
}


@dataclass(frozen=True)
class Kind:
    """What a column holds, and the likelihood that scores it.

    A category is kept as its place in `categories`. `mean` and `std` are those of the training values that are there,
    as the network reads them: their logarithms if the column is positive, log(1 + x) of counts.
    """

    kind: str  # real, positive, count, binary or category
    likelihood: str
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    std: float = 1.0

    def __str__(self) -> str:
        more = f" of {len(self.categories)}" if self.categories else ""
        return f"{self.kind}{more} ({self.likelihood})"

    def fits(self, x: Tensor) -> Tensor:
        """Say which values this column may have; of a category, which places."""
        if self.kind == "category":
            return (x >= 0) & (x < len(self.categories)) & (x == x.round())
        if self.kind == "binary":
            return (x == 0) | (x == 1)
        if self.kind == "count":
            return (x >= 0) & (x <= EXACT) & (x == x.round())
        return x.isfinite() & (x > 0) if self.kind == "positive" else x.isfinite()

    @property
    def wanted(self) -> str:
        """Which values `fits` accepts, in words."""
        return WANTED.get(self.kind) or f"places of categories from 0 to {len(self.categories) - 1}"

    def number(self, value: Any, what: str) -> float:
        """Return a value, as somebody names it, as a number: of a category its place. `what` names the column.

        Raises `InputError` for a value that the column cannot have, and names the categories.
        """
        if self.categories:
            if (name := word(value)) in self.categories:
                return float(self.categories.index(name))
            more = f" and {len(self.categories) - SHOWN:,} more" if len(self.categories) > SHOWN else ""
            known = ", ".join(self.categories[:SHOWN]) + more
            raise InputError(f"{what}: expected one of {known}, got {name!r}{did_you_mean(name, self.categories)}")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not self.fits(torch.tensor(number)):  # in float32, as tables are kept
            raise InputError(f"{what}: expected {self.wanted}, got {value!r}")
        return number

    def scaled(self, x: Tensor) -> Tensor:
        """Return values of this column as the network reads them, of about mean 0 and standard deviation 1."""
        if self.kind == "positive":
            x = x.clamp_min(torch.finfo(x.dtype).tiny).log()
        elif self.kind == "count":
            x = (1 + x).log()
        return (x - self.mean) / self.std

    @property
    def typical(self) -> float:
        """A value in the middle of the training values: 0 of truth values and categories."""
        if self.kind == "positive":
            return math.exp(self.mean)
        return float(round(math.expm1(self.mean))) if self.kind == "count" else self.mean

    def fitted(self, values: Tensor) -> "Kind":
        """Return this kind with the mean and the standard deviation of training values, without those missing."""
        if self.kind in ("binary", "category"):
            return self
        x = replace(self, mean=0.0, std=1.0).scaled(values[~values.isnan()].double())
        return replace(self, mean=x.mean().item(), std=x.std(correction=0).item() or 1.0)


def encoded(kinds: Sequence[Kind], x: Tensor) -> Tensor:
    """Return values (..., D) of columns as networks read them, (..., width): scaled, and categories one-hot."""
    inputs = []
    for kind, values in zip(kinds, x.unbind(-1), strict=True):
        if kind.categories:
            inputs += [(values == category).to(x) for category in range(len(kind.categories))]
        else:
            inputs.append(kind.scaled(values))
    return torch.stack(inputs, -1)


def width(kinds: Sequence[Kind]) -> int:
    """Return how many numbers `encoded` makes of a row."""
    return sum(len(kind.categories) or 1 for kind in kinds)


def word(value: object) -> str:
    """Return a category as text; a whole number without its point."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}" if value == int(value) else repr(value)
    return str(value)
