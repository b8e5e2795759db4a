"""A KL that costs nothing up to some nats."""

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.util import scale_and_mask
from torch import Tensor
from torch.distributions import Independent

from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.objectives.sites import sample_sites

Estimate = Callable[[TorchDistribution, TorchDistribution, Tensor], Tensor]  # of KL(q ‖ p), from q, p and z ~ q


def shortfall(model_trace: Any, guide_trace: Any, nats: float, kl: Estimate) -> Tensor:
    r"""N Σ_j max(0, λ − KL_j), λ = `nats`: added to a loss, it turns n Σ_j KL_j into n Σ_j max(λ, KL_j).

    KL_j is the mean over n images of the KL of dimension j, if posterior and prior are independent over dimensions;
    others are one group, with λ nats for each of its dimensions. `kl` estimates it as the loss does, so that below λ
    not only the mean of the gradient is zero but the gradient. A weight of the KL weighs this, too. Kingma et al.
    (2016), arXiv:1606.04934.
    """
    models = sample_sites(model_trace)
    total: Any = 0.0  # and a tensor from the first site on
    for name, q in sample_sites(guide_trace).items():
        each = _of_dimensions(q["fn"], models[name]["fn"], q["value"], kl)  # (..., n, groups)
        free = nats * q["fn"].event_shape.numel() / each.shape[-1]
        short = each.shape[-2] * torch.relu(free - each.flatten(0, -2).mean(0)).sum()
        total = total + scale_and_mask(short, q["scale"], q["mask"])
    return total


def _of_dimensions(q: TorchDistribution, p: TorchDistribution, z: Tensor, kl: Estimate) -> Tensor:
    if isinstance(q, Independent) and isinstance(p, Independent):
        return kl(q.base_dist, p.base_dist, z)
    return kl(q, p, z)[..., None]


def drawn(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """Log q(z) − log p(z)."""
    return q.log_prob(z) - p.log_prob(z)


def drawn_path(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """Log q(z) − log p(z), with no gradient of log q at fixed z."""
    score = q.log_prob(z.detach())
    return drawn(q, p, z) - (score - score.detach())


def exact(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """In closed form, or as `drawn`."""
    kl = known_kl(q, p)
    return drawn(q, p, z) if kl is None else kl


def apart(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """In closed form, or at a draw of its own: for a loss that is no sum of KLs, and may reweigh the gradient at z."""
    kl = known_kl(q, p)
    return drawn(q, p, q.rsample()) if kl is None else kl
