"""The KL in closed form."""

from typing import Any

from pyro.distributions.util import scale_and_mask
from torch import Tensor

from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.objectives.free_bits import exact
from pyrovae.inference.objectives.sites import sample_sites
from pyrovae.inference.objectives.trace import TraceELBO


class AnalyticELBO(TraceELBO):
    r"""−E_q[log p(x | z)] + KL(q ‖ p), the KL exact where torch knows it and as in `elbo` elsewhere.

    As Pyro's `TraceMeanField_ELBO`: for guides without dependencies between their sites.
    """

    formula = "−E_q[log {likelihood}]{plus_exact_kl}\nthe KL exact where it is known"
    free_kl = staticmethod(exact)

    def _differentiable_loss_particle(self, model_trace: Any, guide_trace: Any) -> tuple[Tensor, Tensor]:
        models, guides = sample_sites(model_trace), sample_sites(guide_trace)
        loss = -sum(node["log_prob_sum"] for name, node in models.items() if name not in guides)
        for name, node in guides.items():
            kl = known_kl(node["fn"], models[name]["fn"])
            if kl is None:
                loss = loss + node["log_prob_sum"] - models[name]["log_prob_sum"]
            else:
                loss = loss + scale_and_mask(kl, node["scale"], node["mask"]).sum()
        return loss, loss
