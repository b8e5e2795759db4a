"""The KL divergence of two distributions in closed form."""

import contextlib
import math

import pyro.distributions as dist
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import kl_divergence


def known_kl(q: TorchDistribution, p: TorchDistribution) -> Tensor | None:
    """Return KL(q ‖ p) of each batch row in nats, or None if no closed form is known.

    Knows all pairs that torch knows, and any q with mean, variance and entropy against a diagonal Gaussian p.
    """
    with contextlib.suppress(NotImplementedError):
        return kl_divergence(q, p)
    if isinstance(p, dist.Independent) and isinstance(p.base_dist, dist.Normal):
        with contextlib.suppress(NotImplementedError):
            return _cross_entropy(q, p) - q.entropy()
    return None


def _cross_entropy(q: TorchDistribution, p: TorchDistribution) -> Tensor:
    """−E_q[log N(z; μ, diag σ²)] = Σ ½ log 2πσ² + (Var_q z + (E_q z − μ)²) / 2σ², for a q of any shape."""
    loc, variance = p.mean, p.variance
    each = (2 * math.pi * variance).log() + (q.variance + (q.mean - loc).square()) / variance
    return 0.5 * each.sum(-1)
