"""Counts given their total: the library size of a row, as it was observed."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Tensor, nn

from pyrovae.parts.densities import declared
from pyrovae.parts.likelihoods.likelihood import Likelihood


class GivenTotal(nn.Module):
    r"""Wraps a likelihood of counts by log means, so that the decoder says which share of its total a row has where.

    p(x | z, l) = Πᵢ p(xᵢ; log μᵢ = log l + log softmax(h)ᵢ), and l is the total of the row that is scored, Σᵢ xᵢ: how
    deep a cell was sequenced says nothing of what it is. It is a mass function of x for each l, and all scores are of x
    given l. Rows that are drawn take their l from `totals`, those of as many training rows, and means are at the median
    of these; `Program.reconstruct` is at the row's own. Lopez et al. (2018), scVI, with `use_observed_lib_size`.
    """

    examples = 1000  # training rows whose totals are kept
    totals: Tensor  # (examples,), from the least to the largest

    def __init__(self, likelihood: Likelihood, width: int) -> None:
        super().__init__()
        self.likelihood, self.features, self.domain = likelihood, likelihood.features, likelihood.domain
        self.register_buffer("totals", torch.full((self.examples,), float(width)))

    def initialise(self, x: Tensor, y: Tensor | None = None) -> None:
        """Keep the totals of training rows x (examples, D)."""
        self.totals.copy_(x.sum(-1).sort().values)

    def forward(self, h: Tensor) -> TorchDistribution:
        return CountsGivenTotal(self.likelihood, _shares(h), self.totals)

    @property
    def formula(self) -> str | None:
        whole = declared(self.likelihood, "formula")
        return None if whole is None else f"{whole}\nof h₁ = log l + log softmax(h₁), l = Σᵢ xᵢ"

    def log_density(self, h: Tensor, x: Tensor) -> Tensor | None:
        log_density = declared(self.likelihood, "log_density")
        return None if log_density is None else log_density(_at(_shares(h), x.sum(-1)), x)


class CountsGivenTotal(TorchDistribution):
    """Counts (..., D) given their total, by the `likelihood` of features (..., K, D), the first of them log shares."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    support = constraints.independent(constraints.nonnegative_integer, 1)
    has_rsample = False

    def __init__(self, likelihood: Likelihood, h: Tensor, totals: Tensor) -> None:
        self.likelihood, self.h, self.totals = likelihood, h, totals
        super().__init__(h.shape[:-2], h.shape[-1:], validate_args=False)

    def given(self, total: Tensor) -> TorchDistribution:
        """Return the distribution of counts whose rows have these totals (...)."""
        return self.likelihood(_at(self.h, total))

    def of(self, x: Tensor) -> TorchDistribution:
        """Return the distribution given the totals of rows x (..., D)."""
        return self.given(x.sum(-1))

    def log_prob(self, value: Tensor) -> Tensor:
        return self.of(value).log_prob(value)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = (*sample_shape, *self.batch_shape)
        drawn = torch.randint(len(self.totals), shape, device=self.totals.device)
        return self.given(self.totals[drawn]).sample()

    @property
    def mean(self) -> Tensor:
        return self.given(self.totals.median()).mean

    @property
    def variance(self) -> Tensor:
        return self.given(self.totals.median()).variance

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "CountsGivenTotal":
        return CountsGivenTotal(self.likelihood, self.h.expand(*batch_shape, *self.h.shape[-2:]), self.totals)


def _shares(h: Tensor) -> Tensor:
    """Return features (..., K, D) of which the first, logits of all columns together, are log shares."""
    return torch.cat([h[..., :1, :].log_softmax(-1), h[..., 1:, :]], -2)


def _at(h: Tensor, total: Tensor) -> Tensor:
    """Return features whose first is the logarithm of shares (..., K, D) times totals (...)."""
    log_total = total.clamp_min(torch.finfo(h.dtype).tiny).log()[..., None, None]  # a row without counts has mean 0
    log_mean = h[..., :1, :] + log_total
    return torch.cat([log_mean, h[..., 1:, :].expand(*log_mean.shape[:-2], -1, -1)], -2)
