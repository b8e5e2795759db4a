"""Sticking the landing: the ELBO without the score term of its gradient."""

from pyro.poutine import Trace
from torch import Tensor

from pyrovae.inference.objectives.free_bits import at_sample_path_only
from pyrovae.inference.objectives.trace import TraceELBO
from pyrovae.inference.private import scale_and_mask
from pyrovae.inference.traces import SampleSite, sample_sites, total


class StickingTheLanding(TraceELBO):
    r"""The value of `elbo`, with only the part of its gradient that passes through z: exactly 0 if q is the posterior.

    The part left out, E_q[∂ log q / ∂φ] at fixed z, is 0 in expectation. Roeder, Wu & Duvenaud (2017),
    arXiv:1703.09194.
    """

    formula = "−E_q[log {likelihood}]{plus_kl}\nits gradient comes through z alone"
    reparameterised = True
    free_kl = staticmethod(at_sample_path_only)

    def _differentiable_loss_particle(self, model_trace: Trace, guide_trace: Trace) -> tuple[Tensor, Tensor]:
        loss, surrogate = super()._differentiable_loss_particle(model_trace, guide_trace)
        return loss, surrogate - total(score(site).sum() for site in sample_sites(guide_trace).values())


def score(site: SampleSite) -> Tensor:
    """Return zeros, in the shape of the site's log-probability, with the gradient of log q(z) at fixed z."""
    log_prob = scale_and_mask(site["fn"].log_prob(site["value"].detach()), site["scale"], site["mask"])
    return log_prob - log_prob.detach()
