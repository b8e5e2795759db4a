"""A gradient without its score."""

from typing import Any

from pyro.distributions.util import scale_and_mask
from torch import Tensor

from pyrovae.inference.objectives.free_bits import drawn_path
from pyrovae.inference.objectives.sites import sample_sites
from pyrovae.inference.objectives.trace import TraceELBO


class StickingTheLanding(TraceELBO):
    r"""The value of `elbo`, and of its gradient only what comes through z: where q is the posterior, that is exactly 0.

    The rest, E_q[∂ log q / ∂φ] at fixed z, is 0 in expectation. Roeder, Wu & Duvenaud (2017), arXiv:1703.09194.
    """

    formula = "−E_q[log {likelihood}]{plus_kl}\nits gradient comes through z alone"
    free_kl = staticmethod(drawn_path)

    def _differentiable_loss_particle(self, model_trace: Any, guide_trace: Any) -> tuple[Tensor, Tensor]:
        loss, surrogate = super()._differentiable_loss_particle(model_trace, guide_trace)
        return loss, surrogate - sum(score(node).sum() for node in sample_sites(guide_trace).values())


def score(node: Any) -> Tensor:
    """Of value 0, with the gradient of log q(z) at fixed z; shaped as the site's log-probability."""
    log_prob = scale_and_mask(node["fn"].log_prob(node["value"].detach()), node["scale"], node["mask"])
    return log_prob - log_prob.detach()
