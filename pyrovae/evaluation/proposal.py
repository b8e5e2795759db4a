"""Draw codes from a mixture of the guide, a wider guide and the prior, so that no mode near either is missed."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.distributions.torch_distribution import ExpandedDistribution, MaskedDistribution
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Independent, Transform, TransformedDistribution, constraints
from torch.distributions.constraints import Constraint

from pyrovae.inference.effects import known_mean
from pyrovae.inference.parameters import hidden
from pyrovae.inference.sites import is_latent
from pyrovae.inference.traces import SampleSite, joint_log_prob, sample_sites

WIDER = 2.0  # the scale of the wider guide, in that of the guide
SHARES = (0.1, 0.05)  # of the samples, those of the wider guide and of the prior
FEWEST = 20  # samples of which each proposal has one at least


@torch.no_grad()
def defensive_log_weights(
    model: Callable[..., object], guide: Callable[..., object], samples: int, *args: object
) -> tuple[Tensor, Tensor]:
    r"""Return log w = log p(x, z) − log r(z | x) for `samples` draws z ~ r: (samples, n), and those of the guide.

    r(z | x) = a₀ q(z | x) + a₁ q̃(z | x) + a₂ p(z) is a mixture of the guide, of the guide at twice its scale, and of
    the prior, with the shares `SHARES` for the last two (Hesterberg 1995, doi:10.1080/00401706.1995.10484303). Each has
    its share of the samples exactly, and every weight has the whole mixture below it (the balance heuristic of Veach
    and Guibas 1995, doi:10.1145/218380.218498), so that the mean of w is p(x) without bias, and no w is above
    p(x | z) / a₂. The second result, of the guide's draws alone, is log p(x, z) − log q(z | x); its mean is the ELBO.

    No latent may be summed over. What is not any real number, as a symbol, has no wider guide. A flow in the guide has
    no share of the prior, as it had to be inverted there, and fewer than `FEWEST` samples are all of the guide.
    """
    wide, few = (math.ceil(share * samples) if samples >= FEWEST else 0 for share in SHARES)
    with pyro.validation_enabled(False), hidden():
        if _has_flow(guide, *args):
            few = 0
        defensive = Defensive(wide, _prior_draws(model, few, *args) if few else {})
        with defensive, pyro.plate("samples", samples, dim=-2):
            drawn = poutine.trace(guide).get_trace(*args)
        with pyro.plate("samples", samples, dim=-2):
            scored = poutine.trace(poutine.replay(model, trace=drawn)).get_trace(*args)
        log_joint, log_q = joint_log_prob(scored), joint_log_prob(drawn, without=_observed(drawn))
        log_prior = joint_log_prob(scored, without=_observed(scored))
        proposals = ((log_q, samples - wide - few), (log_q + defensive.log_ratio, wide), (log_prior, few))
        log_r = [density + math.log(count / samples) for density, count in proposals if count]
        return log_joint - torch.stack(log_r).logsumexp(0), (log_joint - log_q)[: samples - wide - few]


class Defensive(Messenger):
    """Draws each latent of a guide in three ways, one below the other in the samples, as a Pyro effect.

    The last rows are `prior`, its draws of each latent by name, (few, n, ...) or none; the `wide` rows before are drawn
    at twice the scale around the mean, and the others as the guide says. Enter it before the plate of the samples.
    Afterwards `log_ratio` (samples, n) is log q̃ − log q, of the wider guide over the guide.
    """

    def __init__(self, wide: int, prior: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.wide, self.prior = wide, prior
        self.log_ratio: Tensor | float = 0.0

    def _pyro_sample(self, msg: SampleSite) -> None:
        if not is_latent(msg):
            return
        base, transforms = base_of(msg["fn"])
        center = center_of(base) if msg["mask"] is None else None
        e = base.sample()
        last = [inverted(transforms, self.prior[msg["name"]])] if self.prior else []
        wide = slice(len(e) - self.wide - sum(map(len, last)), len(e) - sum(map(len, last)))
        e = torch.cat([e[: wide.start], stretched(center, e, WIDER)[wide], *last])
        inner = stretched(center, e, 1 / WIDER)
        stretch = 0.0 if center is None else base.event_shape.numel() * math.log(WIDER)
        self.log_ratio = self.log_ratio + base.log_prob(inner) - base.log_prob(e) - stretch
        msg["value"], msg["done"] = transformed(transforms, e), True


def center_of(distribution: TorchDistribution) -> Tensor | None:
    """Return the mean around which a distribution can be stretched, or None if it cannot.

    It can if it is of any real numbers and all of them count: with a mask, how many do is not known.
    """
    element: object = distribution
    while isinstance(element, Independent | ExpandedDistribution):
        element = element.base_dist
    support = cast(Constraint, distribution.support)
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    is_real = support in (constraints.real, constraints.real_vector)
    return known_mean(distribution) if is_real and not isinstance(element, MaskedDistribution) else None


def stretched(center: Tensor | None, e: Tensor, scale: float) -> Tensor:
    """Return c + scale (e − c), or e itself without a center c."""
    return e if center is None else center + scale * (e - center)


def base_of(q: TorchDistribution) -> tuple[TorchDistribution, list[Transform]]:
    """Return the base of a transformed distribution and its transforms; of any other one itself, and none."""
    return (q.base_dist, q.transforms) if isinstance(q, TransformedDistribution) else (q, [])


def transformed(transforms: Sequence[Transform], e: Tensor) -> Tensor:
    """Return the z that the transforms, one after another, make of e; they remember it, if they keep a cache."""
    for transform in transforms:
        e = transform(e)
    return e


def inverted(transforms: Sequence[Transform], z: Tensor) -> Tensor:
    """Return the e of which the transforms, one after another, make z."""
    for transform in reversed(transforms):
        z = transform.inv(z)
    return z


def _prior_draws(model: Callable[..., object], samples: int, *args: object) -> dict[str, Tensor]:
    """Draw each latent from the prior of a model: (samples, n, ...), by name."""
    with pyro.plate("samples", samples, dim=-2):
        sites = sample_sites(poutine.trace(model).get_trace(*args))
    return {name: site["value"] for name, site in sites.items() if is_latent(site)}


def _observed(trace: poutine.Trace) -> list[str]:
    """Return the names of the sites that are not drawn: of what is observed, and factors."""
    return [name for name, site in sample_sites(trace).items() if site["is_observed"]]


def _has_flow(guide: Callable[..., object], *args: object) -> bool:
    """Whether a latent of the guide is transformed by what mixes its entries, whose inverse may be slow or overflow."""
    sites = sample_sites(poutine.trace(guide).get_trace(*args))
    transforms = [transform for site in sites.values() if is_latent(site) for transform in base_of(site["fn"])[1]]
    return any(transform.domain.event_dim > 0 for transform in transforms)
