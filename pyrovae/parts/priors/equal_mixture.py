"""A mixture of very many equal Gaussians, as a Pyro distribution."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from pyro.distributions import TorchDistribution, constraints
from torch import Size, Tensor


class EqualMixture(TorchDistribution):
    r"""1/K Σ N(z; μ_k, σ² I) for means `loc` (K, latent) and one `scale`.

    `log_prob` is one matrix product, as |z − μ|² = |z|² − 2 z·μ + |μ|², over at most `pairs` pairs of a code and a mean
    at a time. Samples are reparameterised, which is possible because no weight depends on a parameter.
    """

    support = constraints.real_vector
    has_rsample = True
    arg_constraints: ClassVar = {"loc": constraints.independent(constraints.real, 2), "scale": constraints.positive}
    pairs = 4_000_000  # about this many scores are in memory at once

    def __init__(self, loc: Tensor, scale: Tensor, batch_shape: Sequence[int] = (), validate_args: bool | None = None):
        self.loc, self.scale = loc, scale
        super().__init__(Size(batch_shape), loc.shape[1:], validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "EqualMixture":
        return EqualMixture(self.loc, self.scale, batch_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.loc.mean(0).expand(self.batch_shape + self.event_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        shape = Size(sample_shape) + self.batch_shape
        chosen = self.loc[torch.randint(len(self.loc), shape, device=self.loc.device)]
        return chosen + self.scale * torch.randn_like(chosen)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        shape = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        middle = self.loc.mean(0)  # measured from here the squares are small, and their difference loses few digits
        z, loc = (value - middle).expand(*shape, -1).reshape(-1, self.loc.shape[1]), (self.loc - middle) / self.scale**2
        offset = -0.5 * (loc * (self.loc - middle)).sum(-1)
        parts = z.split(max(1, self.pairs // len(loc)))
        kernel = torch.cat([torch.logsumexp(torch.addmm(offset, part, loc.T), -1) for part in parts])
        kernel = kernel - 0.5 * (z / self.scale).square().sum(-1)
        size = z.shape[-1]
        constant = math.log(len(loc)) + size * (0.5 * math.log(2 * math.pi) + self.scale.log())
        return (kernel - constant).view(shape)
