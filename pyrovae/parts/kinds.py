"""What a column of a table holds: what its likelihood and its encoder have to know of it."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

# The kinds of columns, each with the likelihoods that score it, the one by default first.
LIKELIHOODS_OF = {
    "real": ("gaussian", "student_t", "laplace"),
    "positive": ("lognormal",),
    "count": ("negative_binomial", "poisson"),
    "binary": ("bernoulli",),
    "category": ("categorical",),
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
