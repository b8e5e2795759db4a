"""Leaves the pixels that the context shows out of a likelihood."""

import pyro.distributions as dist
from torch import Tensor, nn
from torch.distributions import Independent

from pyrovae.parts.likelihoods.likelihood import Likelihood


class Unseen(nn.Module):
    """Wraps a likelihood so that it scores only pixels where `mask` (C, H, W) is true, those that y does not show."""

    mask: Tensor

    def __init__(self, likelihood: Likelihood, mask: Tensor) -> None:
        super().__init__()
        self.likelihood, self.features = likelihood, likelihood.features
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        pixels = self.likelihood(h)
        if not isinstance(pixels, Independent):
            raise ValueError("likelihood: expected one that ends in .to_event(3), so that seen pixels can be left out")
        if hasattr(pixels.base_dist, "scored"):  # `OptimalNormal` fits its scale to the scored pixels
            pixels.base_dist.scored = self.mask
        return pixels.base_dist.mask(self.mask).to_event(pixels.reinterpreted_batch_ndims)
