"""Missingness: how the values of a row decide which of them are missing, p(s | x).

A member is a module that maps whole images or vectors (..., *shape) to the logits, of the same shape, of each value to
be missing. Its constructor asks for `shape`, (C, H, W) or (D,), and for any setting of `Config`. For example:

    class AtRandom(nn.Module):
        \"\"\"Every value is missing with the same probability.\"\"\"

        def __init__(self) -> None:
            super().__init__()
            self.logit = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.logit.expand(x.shape)

Add it to `MISSINGNESS` below, or use it from your own file: `--missingness FILE.py:AtRandom`. The members here are
those of Ipsen, Mattei & Frellsen (2021), not-MIWAE: Deep generative modelling with missing not at random data,
arXiv:2006.12871, section 4.
"""

import math

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
RATE = 10.0  # slopes have further to go than weights, and Adam moves all parameters by about the same at a step


class SelfMasking(nn.Module):
    """A value is missing for what it is itself: logit a x + b, with a slope and an offset for each column."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(shape))
        self.offset = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return RATE * self.slope * x + self.offset


class Increasing(nn.Module):
    """Large values are missing: logit exp(a) (x − b), so that the slope is positive in each column."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.zeros(shape))
        self.threshold = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return (RATE * self.log_slope).exp() * (x - self.threshold)


class Linear(nn.Module):
    """A value is missing for what all values of its row are: logits A x + b."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dims = len(shape)
        self.layer = nn.Linear(math.prod(shape), math.prod(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(-self.dims)).reshape(x.shape)


MISSINGNESS: dict[str, type[nn.Module]] = {"self_masking": SelfMasking, "increasing": Increasing, "linear": Linear}
