"""Densities of codes, r(z) ≈ q(z), fitted to some images to score the codes of others."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

COMPONENTS = (1, 10)  # of the mixtures of Gaussians
PER_COMPONENT = 100  # codes, at least
STEPS = 100  # of EM, by which densities are weighted
MOST = 10_000  # codes to which a mixture is fitted


def log_gaussians(codes: Tensor, z: Tensor) -> list[Tensor]:
    """Return log-densities of z (N, latent) under mixtures of 1 and of 10 Gaussians, fitted to codes (M, latent).

    The larger one is left out where there are few codes. The tensors (N,) are in double precision, on the CPU.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    fitted, scored = (values.double().cpu().numpy() for values in (codes[:MOST], z))
    small = 1e-6 * float(fitted.var(0).mean()) + 1e-12  # keeps a covariance of few codes regular
    result = []
    for number in COMPONENTS:
        if number == 1 or len(fitted) >= PER_COMPONENT * number:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # any mixture is a density, also an unfinished one
                mixture = GaussianMixture(number, reg_covar=small, random_state=0).fit(fitted)
            result.append(torch.from_numpy(mixture.score_samples(scored)))
    return result


def log_stacked(log_densities: Sequence[Tensor], chosen_on: Tensor) -> Tensor:
    """Return the log-density (N,) of a mixture of densities, given the log-density (N,) of N codes under each.

    The weights are the most likely ones, by EM, for the codes that `chosen_on` (N,) marks; none is 0, so that the
    mixture is little less than any of the densities.
    """
    scores = torch.stack([*log_densities], -1).double()  # (N, densities)
    known, count = scores[chosen_on], scores.shape[1]
    log_weights = scores.new_zeros(count) - torch.tensor(count).log()
    for _ in range(STEPS):
        shares = torch.softmax(known + log_weights, -1).sum(0)
        log_weights = ((shares + 1) / (len(known) + count)).log()
    return torch.logsumexp(scores + log_weights, -1)
