"""Leaves missing values out of a likelihood."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor, nn
from torch.distributions import Independent

from pyrovae.parts.densities import declared
from pyrovae.parts.likelihoods.likelihood import Likelihood


class Seen(nn.Module):
    """Wraps a likelihood so that it scores the values that are there; those that are NaN count nothing.

    The values must be independent given the code: the score is then log p of what was seen, log ∫ p(x | z) dx_missing.
    """

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood, self.features, self.domain = likelihood, likelihood.features, likelihood.domain
        self.width = getattr(likelihood, "width", None)  # of `columns`

    def forward(self, h: Tensor) -> TorchDistribution:
        whole = self.likelihood(h)
        if not isinstance(whole, Independent):
            raise ValueError(
                "likelihood: expected one that ends in .to_event(), so that missing values can be left out"
            )
        return SeenValues(whole.base_dist).to_event(whole.reinterpreted_batch_ndims)

    @property
    def formula(self) -> str | None:
        whole = declared(self.likelihood, "formula")
        return None if whole is None else f"{whole}\nover the xᵢ that are not missing"

    def log_density(self, h: Tensor, x: Tensor) -> Tensor | None:
        missing, log_density = x.isnan(), declared(self.likelihood, "log_density")
        return None if log_density is None else torch.where(missing, 0.0, log_density(h, x.nan_to_num()))


class SeenValues(TorchDistribution):
    """The distribution `base` of single values, of which a missing one, NaN, has log-probability 0."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}

    def __init__(self, base: TorchDistribution) -> None:
        self.base = base
        self.has_rsample = base.has_rsample
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        return _OrMissing(self.base.support)

    @property
    def mean(self) -> Tensor:
        return self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.base.variance

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "SeenValues":
        return SeenValues(self.base.expand(torch.Size(batch_shape)))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base.sample(torch.Size(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base.rsample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        missing = value.isnan()
        if hasattr(self.base, "scored"):  # `OptimalNormal` fits its scale to the scored values
            scored = self.base.scored
            self.base.scored = ~missing if scored is None else ~missing & scored
        # What is put in for a missing value has no weight, but its gradient must be finite.
        filled = torch.where(missing, inside(self.base), value)
        return torch.where(missing, 0.0, self.base.log_prob(filled))


class _OrMissing(constraints.Constraint):
    """Accepts NaN beside what another constraint accepts."""

    def __init__(self, constraint: Any) -> None:
        self.constraint = constraint
        self.is_discrete, self.event_dim = constraint.is_discrete, constraint.event_dim

    def check(self, value: Tensor) -> Tensor:
        return value.isnan() | self.constraint.check(value.nan_to_num())


def inside(distribution: TorchDistribution) -> float:
    """Return a number in the support of a distribution of single values: 0, or 1 if that must be positive."""
    if hasattr(distribution, "inside"):
        return float(distribution.inside)
    return 1.0 if isinstance(distribution.support, type(constraints.positive)) else 0.0
