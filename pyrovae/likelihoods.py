"""p(x | z, y): decoder features become a distribution over images.

A likelihood declares `features`, the decoder's outputs per pixel, and `domain`, the pixel protocols over which it is a
density or a mass function. `relaxed` are protocols that it scores although it is neither there. Its constructor may ask
by name for `shape` (C, H, W) and for any setting of `Config`.
"""

import pyro.distributions as dist
import torch
from torch import Tensor, nn


class Bernoulli(nn.Module):
    r"""log p(x | z) = Σ x log π + (1 − x) log(1 − π), with π the sigmoid of the feature.

    On pixels 0 or 1 it is a mass function. On `grey` pixels, fractions, it is the relaxed score of most tutorials:
    the cross-entropy, which no constant normalises; Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.
    """

    features = 1
    domain = ("dynamic", "static", "threshold")
    relaxed = ("grey",)

    def forward(self, h: Tensor) -> dist.Distribution:
        (logits,) = h.unbind(-4)  # (..., features, C, H, W)
        return dist.Bernoulli(logits=logits, validate_args=False).to_event(3)  # unvalidated: grey pixels are fractions


class Gaussian(nn.Module):
    r"""log p(x | z) = Σ log N(x; μ, σ²), with μ the feature and one σ for all pixels: fixed by `scale`, or learned."""

    features = 1
    domain = ("grey", "standardized")

    def __init__(self, scale: float | None = None) -> None:
        super().__init__()
        log_scale = torch.tensor(1.0 if scale is None else scale).log()
        self.log_scale = nn.Parameter(log_scale, requires_grad=scale is None)

    def forward(self, h: Tensor) -> dist.Distribution:
        (loc,) = h.unbind(-4)
        return dist.Normal(loc, self.log_scale.exp()).to_event(3)


class Unseen(nn.Module):
    """A likelihood that scores only the pixels where `mask` (C, H, W) is true: those that the context does not show."""

    def __init__(self, likelihood: nn.Module, mask: Tensor) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, h: Tensor) -> dist.Distribution:
        pixels = self.likelihood(h)
        return pixels.base_dist.mask(self.mask).to_event(pixels.reinterpreted_batch_ndims)


LIKELIHOODS = {"bernoulli": Bernoulli, "gaussian": Gaussian}
