"""The KL of two distributions, where it is known."""

import contextlib
import math

import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import kl_divergence


def known_kl(q: TorchDistribution, p: TorchDistribution) -> Tensor | None:
    """KL(q ‖ p) in closed form, or None."""
    with contextlib.suppress(NotImplementedError):
        return kl_divergence(q, p)
    if isinstance(p, dist.Independent) and isinstance(p.base_dist, dist.Normal):
        with contextlib.suppress(NotImplementedError):
            return _cross_entropy(q, p) - q.entropy()
    return None


def _cross_entropy(q: TorchDistribution, p: TorchDistribution) -> Tensor:
    """−E_q[log N(z; μ, diag σ²)] = Σ ½ log 2πσ² + (Var_q z + (E_q z − μ)²) / 2σ², whatever the shape of q."""
    loc, variance = p.mean, p.variance
    each = (2 * math.pi * variance).log() + (q.variance + (q.mean - loc).square()) / variance
    return 0.5 * each.sum(-1)
