"""Pyro's ELBO, without a wait for the device."""

import math
from typing import Any

from pyro.distributions.util import is_identically_zero
from pyro.infer import Trace_ELBO
from torch import Tensor

from pyrovae.inference.objectives.free_bits import drawn, shortfall
from pyrovae.inference.objectives.sites import sample_sites


class TraceELBO(Trace_ELBO):
    r"""Pyro's `Trace_ELBO`, −E_q[log p(x, z) − log q(z)], as a tensor that never leaves its device.

    Pyro's own calls `.item()` at each sample site, and each call makes a GPU wait. `terms` keeps the last loss taken
    apart by site, detached and without any scale: −log p of an observed site, log q − log p of a latent one, in nats,
    summed over the batch. `free_bits` are the nats of KL that each latent dimension may have at no cost.
    """

    formula = "−E_q[log {likelihood}]{plus_kl}"
    free_kl = staticmethod(drawn)  # how free bits estimate the KL

    def __init__(
        self,
        num_particles: int = 1,
        vectorize_particles: bool = False,
        max_plate_nesting: float = math.inf,
        free_bits: float = 0.0,
        **rest: Any,
    ) -> None:
        super().__init__(num_particles, max_plate_nesting, vectorize_particles=vectorize_particles, **rest)
        self.free_bits = free_bits
        self.terms: dict[str, Tensor] = {}

    def differentiable_loss(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> Tensor:
        losses, self.terms = [], {}
        for model_trace, guide_trace in self._get_traces(model, guide, args, kwargs):
            losses.append(self.loss_of_traces(model_trace, guide_trace))
            if self.free_bits:
                short = shortfall(model_trace, guide_trace, self.free_bits, self.free_kl)
                losses.append(short * self._particles_of_a_trace)
            self._take_apart(model_trace, guide_trace)
        return sum(losses) / self.num_particles

    def loss_of_traces(self, model_trace: Any, guide_trace: Any) -> Tensor:
        """Summed over the particles that the traces hold: the value of the loss, the gradient of its surrogate."""
        loss, surrogate = self._differentiable_loss_particle(model_trace, guide_trace)
        return loss.detach() + (surrogate - surrogate.detach())

    @property
    def _particles_of_a_trace(self) -> int:
        return self.num_particles if self.vectorize_particles else 1

    def _differentiable_loss_particle(self, model_trace: Any, guide_trace: Any) -> tuple[Tensor, Tensor]:
        scored = (node["score_parts"].score_function for node in sample_sites(guide_trace).values())
        if any(not is_identically_zero(score) for score in scored):  # not reparameterised: Pyro's score-function terms
            loss, surrogate = super()._differentiable_loss_particle(model_trace, guide_trace)
            return surrogate.new_tensor(loss), surrogate
        loss = guide_trace.log_prob_sum() - model_trace.log_prob_sum()
        return loss, loss

    def _take_apart(self, model_trace: Any, guide_trace: Any) -> None:
        guides = sample_sites(guide_trace)
        for name, node in sample_sites(model_trace).items():
            term = -_log_prob(node) + (_log_prob(guides[name]) if name in guides else 0.0)
            self.terms[name] = self.terms.get(name, 0.0) + term / self.num_particles


def _log_prob(node: Any) -> Tensor:
    """Unweighted, but a site that an effect masks out stays out."""
    log_prob = node["unscaled_log_prob"].detach()
    return log_prob.new_zeros(()) if node["mask"] is False else log_prob.sum()
