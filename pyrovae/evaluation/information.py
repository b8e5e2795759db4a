r"""What codes say about their images: I(x; z) and KL(q(z) ‖ p(z)), each between two bounds.

Images x come from the population that the test images are a sample of, z ~ q(z | x), and q(z) = E q(z | x). The mean KL
is the sum E KL(q(z | x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)) (Hoffman & Johnson 2016, ELBO surgery). It is easy to
estimate, but its parts are not, as nobody knows q(z).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import TransformedDistribution

from pyrovae.evaluation.marginals import log_gaussians, log_stacked
from pyrovae.inference import seeded
from pyrovae.inference.threads import Threads

SCORED = 2000  # codes that are scored under all posteriors at once
FLOW_SCORED = 10  # the same, with a flow posterior
FLOW_CODES = 100  # with a flow posterior, use only this many: at another image's code it costs a pass per dimension
DRAWS = 4  # codes of each image to fit densities to
FEWEST = 20  # images to fit densities to
ERRORS = 3  # standard errors by which each bound is moved outwards


class Information(TypedDict):
    """The mean KL from the prior, and bounds of the two parts that it is the sum of, in nats."""

    kl: float  # E[log q(z | x) − log p(z)]
    mutual_information_lower: float  # I(x; z) = E[log q(z | x) − log q(z)]
    mutual_information_upper: float
    marginal_kl_lower: float  # KL(q(z) ‖ p(z))
    marginal_kl_upper: float


class Half(NamedTuple):
    """Masks (N,) of images: one half of them, in which densities are fitted and weighted, and the other half."""

    fit: Tensor
    choose: Tensor
    score: Tensor


@torch.no_grad()
def information(
    posteriors: Sequence[TorchDistribution], priors: Sequence[TorchDistribution], threads: Threads
) -> Information:
    r"""Bound I(x; z) and KL(q(z) ‖ p(z)) from both sides, by one code z_n of each of N images.

        lower:  I ≥ E log q(z_n | x_n) / [1/N Σ_m q(z_n | x_m)],    at most log N, whatever I is
        upper:  I ≤ E log q(z_n | x_n) / r(z_n),                    for any density r that does not know image n

    These are InfoNCE and the variational marginal of Poole et al. (2019), arXiv:1905.06922. Without knowing more of the
    population, no lower bound from N images is above log N for sure (McAllester & Stratos 2020, arXiv:1811.04251). If
    the N images *are* the population, the lower bound is I itself. r is a mixture of the prior, Gaussian mixtures and,
    but for flows, 1/M Σ_m q(z | x_m); it is fitted to half of the images and scores the other, and the reverse. The
    bounds of the marginal KL are what these leave of the mean KL. All are moved outwards by three standard errors over
    the images, so that they hold for the population. `posteriors` and `priors` are those of batch after batch.
    """
    codes = [q.sample() for q in posteriors]
    log_q, log_p = (
        torch.cat([distribution.log_prob(part) for distribution, part in zip(distributions, codes)])
        for distributions in (posteriors, priors)
    )
    z, n = torch.cat(codes), len(log_q)
    is_flow, halves = isinstance(posteriors[0], TransformedDistribution), _halves(n)
    groups = [torch.ones(n, dtype=torch.bool), *([] if is_flow else [half.fit for half in halves])]
    parts = torch.arange(min(FLOW_CODES, n) if is_flow else n).split(FLOW_SCORED if is_flow else SCORED)
    log_aggregates = threads.measured()(_log_aggregates)
    aggregates = torch.cat([log_aggregates(posteriors, z, log_q, part, groups) for part in parts])
    with seeded(1):  # random numbers of its own, so that no later ones depend on these
        draws = [torch.cat([q.sample() for q in posteriors]).cpu() for _ in range(DRAWS if halves else 0)]
    log_q, log_p, aggregates = log_q.double().cpu(), log_p.double().cpu(), aggregates.double().cpu()
    log_r = log_p.clone()
    for number, half in enumerate(halves, 1):
        fitted = log_gaussians(torch.cat([codes[half.fit] for codes in draws]), z)
        candidates = [log_p, *aggregates.T[number : number + 1], *fitted]
        log_r[half.score] = log_stacked(candidates, half.choose)[half.score]
    return _bounded(log_q, log_p, aggregates[:, 0], log_r)


def _bounded(log_q: Tensor, log_p: Tensor, log_marginal: Tensor, log_r: Tensor) -> Information:
    """Return the bounds, given log q(z | x), log p(z) and log r(z) of N codes, and log q(z) of all or the first few."""
    kl, few = log_q - log_p, len(log_marginal)
    contrast = log_q[:few] - log_marginal
    marginal_upper = _above(kl - contrast) if few == len(kl) else _above(kl) - _below(contrast)
    mutual_lower, marginal_lower = max(_below(contrast), 0.0), max(_below(log_r - log_p), 0.0)
    mutual_upper = min(_above(log_q - log_r), _above(kl))
    return {
        "kl": kl.mean().item(),
        "mutual_information_lower": mutual_lower,
        "mutual_information_upper": max(mutual_lower, mutual_upper),  # where they meet, rounding may turn them round
        "marginal_kl_lower": marginal_lower,
        "marginal_kl_upper": max(marginal_lower, marginal_upper),
    }


def _below(terms: Tensor) -> float:
    return (terms.mean() - ERRORS * _error(terms)).item()


def _above(terms: Tensor) -> float:
    return (terms.mean() + ERRORS * _error(terms)).item()


def _error(terms: Tensor) -> Tensor:
    """Return the standard error of the mean; 0 for a single image."""
    return terms.std() / math.sqrt(len(terms)) if len(terms) > 1 else terms.new_zeros(())


def _halves(n: int) -> list[Half]:
    """Part n images at random into two halves, of which either fits densities for the other; none if n is small."""
    if n < FEWEST:
        return []
    tenth = 10 * torch.randperm(n, generator=torch.Generator().manual_seed(0)) // n
    first = tenth < 5
    return [Half(half & (tenth % 5 < 4), half & (tenth % 5 == 4), ~half) for half in (first, ~first)]


def _log_aggregates(
    posteriors: Sequence[TorchDistribution], z: Tensor, own: Tensor, part: Tensor, groups: Sequence[Tensor]
) -> Tensor:
    """Return log 1/M Σ_m q(z | x_m) over each of the groups of images, for the codes z[part]: (part, groups).

    z (N, latent) has a code of each image, and `posteriors` are those of batch after batch. `own` (N,) are the
    log-densities of the codes under the posteriors of their own images, which are known already. Groups are masks (N,).
    """
    scores = torch.cat([q.log_prob(z[part, None].expand(-1, *q.batch_shape, -1)) for q in posteriors], 1)
    scores = scores.where(scores.isfinite(), -math.inf)  # (part, N), in pairs, as a posterior's flow does not broadcast
    scores[torch.arange(len(part)), part] = own[part]
    return torch.stack([torch.logsumexp(scores[:, group], 1) - group.sum().log() for group in groups], 1)
