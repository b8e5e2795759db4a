"""Pyro's ELBO estimator, without reading any value from the device."""

import math
from collections.abc import Callable
from typing import cast

from pyro.infer import Trace_ELBO
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.errors import InputError
from pyrovae.inference.objectives.free_bits import at_sample, shortfall
from pyrovae.inference.private import compute_log_r, is_identically_zero
from pyrovae.inference.traces import SampleSite, is_summed, sample_sites, total


class TraceELBO(Trace_ELBO):
    r"""Pyro's `Trace_ELBO`, −E_q[log p(x, z) − log q(z)] in nats, as a tensor that stays on its device.

    Pyro's own calls `.item()` at each sample site, and every such call makes a GPU wait. `terms` keeps the last loss by
    site, detached and without any weight: −log p of an observed site, log q − log p of a latent one, in nats, summed
    over the batch. `free_bits` are the nats of KL that each latent dimension may have at no cost.
    """

    formula = "−E_q[log {likelihood}]{plus_kl}"
    reparameterised = False  # whether all draws of the guide must be, as the estimator has no term for others
    free_kl = staticmethod(at_sample)  # the estimate of the KL that free bits use

    def __init__(
        self,
        num_particles: int = 1,
        vectorize_particles: bool = False,
        max_plate_nesting: float = math.inf,
        free_bits: float = 0.0,
        **rest: object,
    ) -> None:
        super().__init__(num_particles, max_plate_nesting, vectorize_particles=vectorize_particles, **rest)
        self.free_bits = free_bits
        self.terms: dict[str, Tensor] = {}

    def differentiable_loss(
        self, model: Callable[..., object], guide: Callable[..., object], *args: object, **kwargs: object
    ) -> Tensor:
        """Run guide and model, and return the loss, whose gradient estimates that of the negative ELBO."""
        losses: list[Tensor] = []
        self.terms = {}
        for model_trace, guide_trace in self._get_traces(model, guide, args, kwargs):
            if self.reparameterised:
                expect_reparameterised(guide_trace)
            losses.append(self.loss_of_traces(model_trace, guide_trace))
            if self.free_bits:
                short = shortfall(model_trace, guide_trace, self.free_bits, self.free_kl)
                losses.append(short * self._particles_of_a_trace)
            self._add_terms(model_trace, guide_trace)
        return total(losses) / self.num_particles

    def loss_of_traces(self, model_trace: Trace, guide_trace: Trace) -> Tensor:
        """Return the loss, summed over the particles of the traces, with the gradient of the surrogate loss."""
        loss, surrogate = self._differentiable_loss_particle(model_trace, guide_trace)
        return loss.detach() + (surrogate - surrogate.detach())

    @property
    def _particles_of_a_trace(self) -> int:
        return self.num_particles if self.vectorize_particles else 1

    def _differentiable_loss_particle(self, model_trace: Trace, guide_trace: Trace) -> tuple[Tensor, Tensor]:
        loss = surrogate = cast(Tensor, guide_trace.log_prob_sum() - model_trace.log_prob_sum())
        log_r = None  # log p − log q of each row
        for site in sample_sites(guide_trace).values():
            score = site["score_parts"].score_function
            if not is_identically_zero(score):  # the site is not reparameterised
                log_r = log_r or compute_log_r(model_trace, guide_trace)
                surrogate = surrogate - site["log_prob_sum"] - (log_r.sum_to(site["cond_indep_stack"]) * score).sum()
        return loss, surrogate

    def _add_terms(self, model_trace: Trace, guide_trace: Trace) -> None:
        guide_sites = sample_sites(guide_trace)
        for name, site in sample_sites(model_trace).items():
            term = -_unweighted(site) + (_unweighted(guide_sites[name]) if name in guide_sites else 0.0)
            self.terms[name] = self.terms.get(name, 0.0) + term / self.num_particles


def expect_reparameterised(guide_trace: Trace) -> None:
    """Raise `InputError` for a site of the guide that is drawn, but through whose draws no gradient flows."""
    for name, site in sample_sites(guide_trace).items():
        if not is_summed(site) and not is_identically_zero(site["score_parts"].score_function):
            raise InputError(
                f"guide: expected the site {name!r} to be summed over (infer={{'enumerate': 'parallel'}}) or"
                f" reparameterised, got draws of {type(site['fn']).__name__}"
            )


def _unweighted(site: SampleSite) -> Tensor:
    """Return the log-probability of a site without its scale, or 0 if an effect masks the whole site."""
    log_prob = site["unscaled_log_prob"].detach()
    return log_prob.new_zeros(()) if site["mask"] is False else log_prob.sum()
