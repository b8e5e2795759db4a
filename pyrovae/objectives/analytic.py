"""The KL in closed form."""

import contextlib
from typing import Any

from pyro.distributions import Distribution
from pyro.distributions.util import scale_and_mask
from torch import Tensor
from torch.distributions import kl_divergence

from pyrovae.objectives.trace import TraceELBO, sample_sites


class AnalyticELBO(TraceELBO):
    r"""−E_q[log p(x | z)] + KL(q ‖ p), the KL exact where torch knows it and as in `elbo` elsewhere.

    As Pyro's `TraceMeanField_ELBO`: for guides without dependencies between their sites.
    """

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


def known_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q ‖ p) in closed form, or None."""
    with contextlib.suppress(NotImplementedError):
        return kl_divergence(q, p)
    return None
