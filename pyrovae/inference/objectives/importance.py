"""Bounds that weigh several samples of each image against each other."""

import math
from typing import Any

import torch
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.inference.objectives.free_bits import closed_form_or_new_sample
from pyrovae.inference.objectives.stl import score
from pyrovae.inference.objectives.trace import TraceELBO
from pyrovae.inference.private import scale_and_mask
from pyrovae.inference.traces import sample_sites, total

NEAR_ELBO = 0.1  # orders 1 − α of Rényi's bound at which it is computed from differences


class IWAE(TraceELBO):
    r"""−Σ_n log 1/K Σ_k w_nk, with w = p(x, z) / q(z | x) and K particles: a bound for each image, not for the batch.

    Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders, arXiv:1509.00519.
    """

    formula = "−E[log 1/K Σₖ wₖ]\nwₖ = {likelihood_k} ({prior_k} / {posterior_k})^β"
    reparameterised = True
    free_kl = staticmethod(closed_form_or_new_sample)
    weighs_particles = True  # it needs two or more particles: with one it is the ELBO

    def loss_of_traces(self, model_trace: Trace, guide_trace: Trace) -> Tensor:
        """Return the loss times the number of particles, all of which are in one pair of traces."""
        return self.num_particles * self.loss_of(log_weight(model_trace, guide_trace), model_trace, guide_trace)

    def loss_of(self, log_w: Tensor, model_trace: Trace, guide_trace: Trace) -> Tensor:
        """Return the loss of log-weights (K, n), summed over the n images."""
        return -log_mean_exp(log_w).sum()


class Renyi(IWAE):
    r"""−Σ_n 1/(1 − α) log 1/K Σ_k w_nk^(1 − α), of order α = `alpha`: 0 is `iwae`, and towards 1 it becomes `elbo`.

    Li & Turner (2016), Rényi divergence variational inference, arXiv:1602.02311.
    """

    formula = "−E[log 1/K Σₖ wₖ^(1 − α)] / (1 − α)\nwₖ = {likelihood_k} ({prior_k} / {posterior_k})^β"

    def __init__(self, alpha: float = 0.5, **settings: Any) -> None:
        super().__init__(**settings)
        if alpha == 1:
            raise ValueError("alpha: expected another number than 1 (which is objective elbo), got 1")
        self.alpha = alpha

    def loss_of(self, log_w: Tensor, model_trace: Trace, guide_trace: Trace) -> Tensor:
        """Return the loss of log-weights (K, n), summed over the n images."""
        order = 1 - self.alpha
        if abs(order) > NEAR_ELBO:
            return -log_mean_exp(order * log_w).sum() / order
        # Close to 1 − α = 0 the mean is close to 1, and its logarithm would lose all digits.
        reference = (log_w.max(0) if order > 0 else log_w.min(0)).values.detach()
        mean = (order * (log_w - reference)).expm1().mean(0)
        return -(reference + mean.log1p() / order).sum()


class DReG(IWAE):
    r"""The value of `iwae` with doubly reparameterised gradients: their variance is lower, and does not grow with K.

    The guide's gradient passes through z only, that of each sample times its normalised weight squared. If the KL has
    the weight β, the part 1 − β of the gradient is multiplied by the normalised weight itself. Tucker et al. (2019),
    arXiv:1810.04152.
    """

    formula = f"{IWAE.formula}, the gradient doubly reparameterised"

    def loss_of(self, log_w: Tensor, model_trace: Trace, guide_trace: Trace) -> Tensor:
        """Return the loss of log-weights (K, n), summed over the n images."""
        share = log_w.detach().softmax(0)  # (K, n), the normalised weights
        path_only = log_w
        for site in sample_sites(guide_trace).values():
            z = site["value"]
            if not z.requires_grad:
                continue
            beta = 0.0 if site["mask"] is False else site["scale"]
            weight = 1 - beta + beta * (share if self.num_particles > 1 else share[0])
            weight = weight.view(*weight.shape, *[1] * (z.dim() - weight.dim()))
            z.register_hook(lambda gradient, weight=weight: weight * gradient)
            # At a copy of z, because a flow recognises its own sample, and would pass the gradient around the hook.
            through_z = scale_and_mask(site["fn"].log_prob(z.clone()), site["scale"], site["mask"])
            path_only = path_only + site["log_prob"] - through_z + score(site)
        surrogate = -(share * path_only).sum()
        return -log_mean_exp(log_w.detach()).sum() + (surrogate - surrogate.detach())


def log_weight(model_trace: Trace, guide_trace: Trace) -> Tensor:
    """Return log p(x, z) − log q(z | x) of each particle and image: (K, n)."""
    log_p = total(site["log_prob"] for site in sample_sites(model_trace).values())
    log_q = total(site["log_prob"] for site in sample_sites(guide_trace).values())
    log_w = log_p - log_q
    return log_w if log_w.dim() == 2 else log_w[None]


def log_mean_exp(log_w: Tensor) -> Tensor:
    """Return log 1/K Σ_k w_k, over the first dimension."""
    return torch.logsumexp(log_w, 0) - math.log(len(log_w))
