"""Bytes as rounded logistic variables."""

from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor, nn
from torch.nn import functional as F

SPREAD = 127.5  # features are in units of half the range, as pixels scaled to [-1, 1]
FLOOR = 1e-3 * SPREAD


class RoundedLogistic(TorchDistribution):
    r"""The integer nearest to a logistic variable, moved into 0..255.

    P(k) = F(k + ½) − F(k − ½), F(v) = 1 / (1 + exp(−(v − μ)/s)), but P(0) = F(½) and P(255) = 1 − F(254½).
    Kingma et al. (2016), arXiv:1606.04934, appendix.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}  # noqa: RUF012
    support = constraints.integer_interval(0, 255)

    def __init__(self, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        self.loc, self.scale = torch.broadcast_tensors(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        above, below = ((value + half - self.loc) / self.scale for half in (0.5, -0.5))
        inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-1 / self.scale))
        # F(a) − F(b) = σ(a) σ(−b) (1 − exp(b − a)), which loses no digits far from the mean; a − b is 1/s.
        return torch.where(value < 0.5, F.logsigmoid(above), torch.where(value > 254.5, F.logsigmoid(-below), inside))

    @torch.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return (self.loc + self.scale * torch.logit(u, eps=1e-6)).round().clamp(0, 255)

    @property
    def mean(self) -> Tensor:
        """E[x] = Σ_k P(x > k), k = 0..254."""
        total = torch.zeros_like(self.loc)
        for k in range(255):
            total = total + torch.sigmoid((self.loc - k - 0.5) / self.scale)
        return total

    def expand(self, batch_shape: Any, _instance: Any = None) -> "RoundedLogistic":
        return RoundedLogistic(self.loc.expand(batch_shape), self.scale.expand(batch_shape), validate_args=False)


def _loc_scale(loc: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
    return SPREAD * (loc + 1), SPREAD * log_scale.exp() + FLOOR


class DiscretizedLogistic(nn.Module):
    r"""Each pixel a `RoundedLogistic` with location and log-scale its two features."""

    features = 2
    domain = ("bytes",)

    def forward(self, h: Tensor) -> dist.Distribution:
        return RoundedLogistic(*_loc_scale(*h.unbind(-4))).to_event(3)


class DiscretizedLogisticMixture(nn.Module):
    r"""Each pixel a mixture of ten `RoundedLogistic`s; each channel its own, without PixelCNN++'s links between them.

    Salimans et al. (2017), PixelCNN++, arXiv:1701.05517.
    """

    parts = 10
    features = 3 * parts
    domain = ("bytes",)

    def forward(self, h: Tensor) -> dist.Distribution:
        logits, loc, log_scale = h.movedim(-4, -1).chunk(3, -1)  # each (..., C, H, W, parts)
        parts = RoundedLogistic(*_loc_scale(loc, log_scale))
        return dist.MixtureSameFamily(dist.Categorical(logits=logits), parts).to_event(3)
