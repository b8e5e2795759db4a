"""Very many equal Gaussians."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Size, Tensor

EMPTY = Size()


class EqualMixture(TorchDistribution):
    r"""1/K Σ N(z; μ_k, σ² I) for means `loc` (K, latent) and one `scale`.

    Scored by one matrix product, as |z − μ|² = |z|² − 2 z·μ + |μ|², for a bounded number of pairs of a code and a mean
    at a time. No weight depends on a parameter, so that draws are reparameterised.
    """

    support = constraints.real_vector
    has_rsample = True
    arg_constraints: ClassVar = {"loc": constraints.independent(constraints.real, 2), "scale": constraints.positive}
    pairs = 4_000_000  # held together, about

    def __init__(self, loc: Tensor, scale: Tensor, batch_shape: Size = EMPTY, validate_args: bool | None = None):
        self.loc, self.scale = loc, scale
        super().__init__(batch_shape, loc.shape[1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "EqualMixture":
        return EqualMixture(self.loc, self.scale, Size(batch_shape), validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc.mean(0).expand(self.batch_shape + self.event_shape)

    def rsample(self, sample_shape: Any = EMPTY) -> Tensor:
        shape = Size(sample_shape) + self.batch_shape
        chosen = self.loc[torch.randint(len(self.loc), shape, device=self.loc.device)]
        return chosen + self.scale * torch.randn_like(chosen)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        middle = self.loc.mean(0)  # near it the squares are small, and little is lost in their difference
        z, loc = (value - middle).expand(*shape, -1).reshape(-1, self.loc.shape[1]), (self.loc - middle) / self.scale**2
        offset = -0.5 * (loc * (self.loc - middle)).sum(-1)
        parts = z.split(max(1, self.pairs // len(loc)))
        kernel = torch.cat([torch.logsumexp(torch.addmm(offset, part, loc.T), -1) for part in parts])
        kernel = kernel - 0.5 * (z / self.scale).square().sum(-1)
        size = z.shape[-1]
        constant = math.log(len(loc)) + size * (0.5 * math.log(2 * math.pi) + self.scale.log())
        return (kernel - constant).view(shape)
