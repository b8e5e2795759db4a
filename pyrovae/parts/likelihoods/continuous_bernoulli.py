"""The continuous Bernoulli likelihood: the Bernoulli score of grey pixels, normalised to a density."""

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.nn import functional as F

from pyrovae.parts.likelihoods.likelihood import Elementwise


class FromLogits(dist.ContinuousBernoulli):  # type: ignore[misc]  # Pyro derives it from torch's when imported
    """The density ∝ exp(ηx) on [0, 1], accurate for any logit η.

    The class of torch computes with the probability, clamped away from 0 and 1. In float32 its density integrates to
    only 0.53 at η = −30, which costs nats to a decoder that is sure of its black pixels.
    """

    def _cont_bern_log_norm(self) -> Tensor:
        """Return log C = log(η / tanh(η/2)), the logarithm of the normalising constant."""
        x, away, near = self._split()
        return torch.where(near, 2 + x / 6 - x**2 / 360, away / (away / 2).tanh()).log()

    @property
    def mean(self) -> Tensor:
        """The mean, ½ coth(η/2) + ½ − 1/η."""
        x, away, near = self._split()
        return 0.5 + torch.where(near, self.logits * (1 / 12 - x / 720), 0.5 / (away / 2).tanh() - 1 / away)

    @property
    def variance(self) -> Tensor:
        """The variance, 1/η² − ¼ / sinh²(η/2)."""
        x, away, near = self._split()
        return torch.where(near, 1 / 12 - x / 240 + x**2 / 6048, away**-2 - 0.25 / (away / 2).sinh() ** 2)

    def icdf(self, value: Tensor) -> Tensor:
        """Return log(1 + u (exp(η) − 1)) / η, computed from the end of [0, 1] where the exponential cannot overflow."""
        falling, slope = self.logits <= 0, -self.logits.abs().clamp(min=1e-6)
        distance = torch.log1p(torch.where(falling, value, 1 - value) * slope.expm1()) / slope
        return torch.where(falling, distance, 1 - distance)

    def _split(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return η², η with its values near 0 replaced by 1, and a mask of these values.

        Near 0 the formulas would subtract large numbers from each other, so a series replaces them there.
        """
        near = self.logits.abs() < 0.1
        return self.logits**2, torch.where(near, 1.0, self.logits), near


class ContinuousBernoulli(Elementwise):
    r"""log p(x | z) = Σ x log λ + (1 − x) log(1 − λ) + log C(λ), with λ the sigmoid of the feature and x in [0, 1].

    C(λ) = 2 artanh(1 − 2λ) / (1 − 2λ) normalises it. Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.
    """

    formula = "Πᵢ C(λᵢ) λᵢ^xᵢ (1 − λᵢ)^(1 − xᵢ)\nλᵢ = σ(hᵢ), C(λ) = 2 artanh(1 − 2λ) / (1 − 2λ)"
    features = 1
    domain: tuple[str, ...] = ("grey", "dequantised")

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        (logits,) = self.split(h)
        return FromLogits(logits=logits).to_event(self.dims)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        (logits,) = self.split(h)
        near_zero = logits.abs() < 1e-2  # where C is 0 / 0
        away = torch.where(near_zero, 1.0, logits)
        log_c = torch.where(near_zero, 2 + logits**2 / 6, away * (away.exp() + 1) / away.expm1())
        return log_c.log() - F.binary_cross_entropy_with_logits(logits, x, reduction="none")
