"""The ELBO with its KL term in closed form."""

from pyro.poutine import Trace
from torch import Tensor

from pyrovae.inference.objectives.closed_form import known_kl
from pyrovae.inference.objectives.free_bits import closed_form
from pyrovae.inference.objectives.trace import TraceELBO
from pyrovae.inference.private import scale_and_mask
from pyrovae.inference.traces import drawn_in_order, sample_sites, total


class AnalyticELBO(TraceELBO):
    r"""−E_q[log p(x | z)] + KL(q ‖ p), with the KL in closed form if that is known, else estimated as in `elbo`.

    The closed form of a site takes all that its prior depends on as drawn before it. Where the guide draws a latent
    later than the model does, as a bottom-up guide of a hierarchy, that may not be so, and the KL is estimated.
    """

    formula = "−E_q[log {likelihood}]{plus_exact_kl}\nthe KL exact where it is known"
    reparameterised = True
    free_kl = staticmethod(closed_form)

    def _differentiable_loss_particle(self, model_trace: Trace, guide_trace: Trace) -> tuple[Tensor, Tensor]:
        model_sites, guide_sites = sample_sites(model_trace), sample_sites(guide_trace)
        loss = -total(site["log_prob_sum"] for name, site in model_sites.items() if name not in guide_sites)
        for name, site in guide_sites.items():
            in_order = drawn_in_order(model_sites, guide_sites, name)
            kl = known_kl(site["fn"], model_sites[name]["fn"]) if in_order else None
            if kl is None:
                loss = loss + site["log_prob_sum"] - model_sites[name]["log_prob_sum"]
            else:
                loss = loss + scale_and_mask(kl, site["scale"], site["mask"]).sum()
        return loss, loss
