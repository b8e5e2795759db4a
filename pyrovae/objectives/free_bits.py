"""A KL that costs nothing up to some nats."""

from typing import Any

import torch
from pyro.distributions.util import scale_and_mask
from torch import Tensor
from torch.distributions import Independent

from pyrovae.objectives.closed_form import known_kl
from pyrovae.objectives.sites import sample_sites


def shortfall(model_trace: Any, guide_trace: Any, nats: float) -> Tensor:
    r"""N Σ_j max(0, λ − KL_j), λ = `nats`: added to a loss, it turns n Σ_j KL_j into n Σ_j max(λ, KL_j).

    KL_j is the mean over n images of the KL of dimension j, if posterior and prior are independent over dimensions;
    others are one group, with λ nats for each of its dimensions. A weight of the KL weighs this, too. Kingma et al.
    (2016), arXiv:1606.04934.
    """
    models, total = sample_sites(model_trace), 0.0
    for name, q in sample_sites(guide_trace).items():
        kl = _kl(q["fn"], models[name]["fn"])  # (..., n, groups)
        free = nats * q["fn"].event_shape.numel() / kl.shape[-1]
        short = kl.shape[-2] * torch.relu(free - kl.flatten(0, -2).mean(0)).sum()
        total = total + scale_and_mask(short, q["scale"], q["mask"])
    return total


def _kl(q: Any, p: Any) -> Tensor:
    """In closed form, or at a draw of its own: an objective may reweigh the gradient of the one it has."""
    factorised = isinstance(q, Independent) and isinstance(p, Independent)
    if factorised:
        q, p = q.base_dist, p.base_dist
    kl = known_kl(q, p)
    if kl is None:
        z = q()
        kl = q.log_prob(z) - p.log_prob(z)
    return kl if factorised else kl[..., None]
