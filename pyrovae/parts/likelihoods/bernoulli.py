"""The Bernoulli likelihood: pixels that are on or off."""

import pyro.distributions as dist
from torch import Tensor
from torch.nn import functional as F

from pyrovae.parts.likelihoods import relaxed
from pyrovae.parts.likelihoods.likelihood import Elementwise


class Bernoulli(Elementwise):
    r"""log p(x | z) = Σ x log π + (1 − x) log(1 − π), with π the sigmoid of the feature.

    On pixels that are 0 or 1 it is a mass function. On `grey` pixels, which are fractions, it is the relaxed score of
    most tutorials: the cross-entropy, which is no density; Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.
    """

    formula = "Πᵢ πᵢ^xᵢ (1 − πᵢ)^(1 − xᵢ)\nπᵢ = σ(hᵢ)"
    features = 1
    domain: tuple[str, ...] = ("dynamic", "static", "threshold", "binary")
    relaxed: tuple[str, ...] = ("grey",)

    def __init__(self, pixels: str = "grey") -> None:
        super().__init__()
        self.fractions = pixels in self.relaxed

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        (logits,) = self.split(h)
        return relaxed.Bernoulli(logits, self.fractions).to_event(self.dims)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        (logits,) = self.split(h)
        return -F.binary_cross_entropy_with_logits(logits, x, reduction="none")
