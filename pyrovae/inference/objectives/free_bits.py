"""Free bits: an amount of KL for each latent dimension that adds nothing to the loss."""

from collections.abc import Callable

import torch
from pyro.distributions import TorchDistribution
from pyro.poutine import Trace
from torch import Tensor
from torch.distributions import Independent

from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.private import scale_and_mask
from pyrovae.inference.traces import drawn_in_order, sample_sites, total

Estimate = Callable[[TorchDistribution, TorchDistribution, Tensor], Tensor]  # of KL(q ‖ p), from q, p and z ~ q


def shortfall(model_trace: Trace, guide_trace: Trace, nats: float, kl: Estimate) -> Tensor:
    r"""Return n Σ_j max(0, λ − KL_j), with λ = `nats`: added to a loss, it turns n Σ_j KL_j into n Σ_j max(λ, KL_j).

    KL_j is the KL of latent dimension j, averaged over the n images, if posterior and prior are independent over the
    dimensions. Otherwise all dimensions are one group, with λ nats for each of them. `kl` has to estimate the KL as the
    loss does: then, below λ, every single gradient is zero and not only its mean. A KL weight applies here, too.
    Kingma et al. (2016), arXiv:1606.04934.
    """
    model_sites, guide_sites = sample_sites(model_trace), sample_sites(guide_trace)
    shortfalls = []
    for name, site in guide_sites.items():
        q = site["fn"]
        estimate = kl if drawn_in_order(model_sites, guide_sites, name) else WITHOUT_CLOSED_FORM.get(kl, kl)
        each = _kl_of_dimensions(q, model_sites[name]["fn"], site["value"], estimate)  # (..., n, groups)
        free = nats * q.event_shape[:1].numel() / each.shape[-1]  # a symbol is one dimension, with a row of its own
        short = each.shape[-2] * torch.relu(free - each.flatten(0, -2).mean(0)).sum()
        shortfalls.append(scale_and_mask(short, site["scale"], site["mask"]))
    return total(shortfalls)


def _kl_of_dimensions(q: TorchDistribution, p: TorchDistribution, z: Tensor, kl: Estimate) -> Tensor:
    if isinstance(q, Independent) and isinstance(p, Independent):
        return kl(q.base_dist, p.base_dist, z)
    return kl(q, p, z)[..., None]


def at_sample(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """Estimate KL(q ‖ p) by log q(z) − log p(z)."""
    return q.log_prob(z) - p.log_prob(z)


def at_sample_path_only(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """Estimate KL(q ‖ p) by log q(z) − log p(z), without the gradient of log q at fixed z."""
    score = q.log_prob(z.detach())
    return at_sample(q, p, z) - (score - score.detach())


def closed_form(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """Return KL(q ‖ p) in closed form, or estimate it by `at_sample` if none is known."""
    kl = known_kl(q, p)
    return at_sample(q, p, z) if kl is None else kl


def closed_form_or_new_sample(q: TorchDistribution, p: TorchDistribution, z: Tensor) -> Tensor:
    """Return KL(q ‖ p) in closed form, or estimate it at a new sample if none is known.

    Meant for a loss that is not a sum of KLs, because such a loss may reweight the gradient that passes through z.
    """
    kl = known_kl(q, p)
    return at_sample(q, p, q.rsample()) if kl is None else kl


WITHOUT_CLOSED_FORM: dict[Estimate, Estimate] = {closed_form: at_sample, closed_form_or_new_sample: at_sample}
