"""The Bernoulli score of grey pixels, made a density."""

import pyro.distributions as dist
from torch import Tensor, nn


class ContinuousBernoulli(nn.Module):
    r"""log p(x | z) = Σ x log λ + (1 − x) log(1 − λ) + log C(λ), with λ the sigmoid of the feature and x in [0, 1].

    C(λ) = 2 artanh(1 − 2λ) / (1 − 2λ) normalises it. Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.
    """

    features = 1
    domain = ("grey",)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        (logits,) = h.unbind(-4)
        return dist.ContinuousBernoulli(logits=logits).to_event(3)
