"""An ELBO with a penalty on the distance between the codes of a batch and the prior: the maximum mean discrepancy."""

from functools import reduce
from typing import Any

import torch
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.inference.objectives.trace import TraceELBO
from pyrovae.inference.traces import sample_sites

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MMD(TraceELBO):
    r"""−E_q[log p(x | z)] + β KL + λ n MMD²(q(z), p(z)), with λ = `mmd_weight`, from the n codes of a batch.

    With `beta` 0 only the distribution of all codes, q(z), has to match the prior, while the code of a single image may
    lie anywhere. InfoVAE: Zhao, Song & Ermon (2019), arXiv:1706.02262, who write 1 − α for β and λ + α − 1 for λ; with
    `beta` 0 and posterior `delta` it is the Wasserstein autoencoder: Tolstikhin et al. (2018), arXiv:1711.01558.
    """

    formula = "−E_q[log {likelihood}]{plus_kl} + λ MMD²(q(z), {prior})"

    def __init__(self, mmd_weight: float = 100.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.mmd_weight = mmd_weight

    def loss_of_traces(self, model_trace: Trace, guide_trace: Trace) -> Tensor:
        """Return the ELBO's loss plus the penalty, summed over the particles of the traces."""
        loss, model_sites = super().loss_of_traces(model_trace, guide_trace), sample_sites(model_trace)
        for name, site in sample_sites(guide_trace).items():
            prior, z = model_sites[name]["fn"], site["value"]
            drawn = prior.rsample() if prior.has_rsample else prior.sample()
            particles = zip(z.reshape(-1, *z.shape[-2:]), drawn.reshape(-1, *z.shape[-2:]))
            for codes, prior_codes in particles:  # (n, latent) each
                if len(codes) > 1:
                    loss = loss + self.mmd_weight * len(codes) * squared_mmd(codes, prior_codes)
        return loss


def squared_mmd(a: Tensor, b: Tensor) -> Tensor:
    r"""MMD² = E k(a, a') + E k(b, b') − 2 E k(a, b), estimated without bias from samples a and b (n, latent), n > 1.

    k(u, v) is the mean of c / (c + |u − v|²) over c = 2 · latent · s, with s from 0.1 to 10, as in Tolstikhin et al.
    (2018): 2 · latent is the mean of |u − v|² under N(0, I). k is 1 at u = v, so that MMD² is below 2.
    """
    n = len(a)
    within = sum((_kernel(x, x).sum() - n) / (n * (n - 1)) for x in (a, b))
    return within - 2 * _kernel(a, b).mean()


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    distance = (a[:, None] - b).square().sum(-1)
    scales = [2 * a.shape[-1] * scale for scale in SCALES]
    return reduce(torch.add, (scale / (scale + distance) for scale in scales)) / len(scales)
