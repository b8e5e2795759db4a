"""Paths from guide to model, along which annealed importance sampling leads its chains."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.errors import InputError
from pyrovae.evaluation.proposal import base_of, inverted, transformed
from pyrovae.inference.sites import is_latent
from pyrovae.inference.threads import Threads
from pyrovae.inference.traces import SampleSite, is_discrete, joint_log_prob, sample_sites

DRAWS = 1000  # by which the standard deviation of the guide's base is measured


class Point(NamedTuple):
    """The positions e (chains, n, latent) of all chains in the space of the guide's base, with densities and gradients.

    q is the density of the base at e, and w = p(x, z) / q(z | x) the weight of the code z that e is transformed to.
    """

    e: Tensor
    log_q: Tensor  # (chains, n)
    log_w: Tensor  # (chains, n)
    grad_q: Tensor  # ∇ log q, (chains, n, latent)
    grad_w: Tensor  # ∇ log w, (chains, n, latent)

    def log_density(self, t: float) -> Tensor:
        return self.log_q + t * self.log_w

    def gradient(self, t: float) -> Tensor:
        return self.grad_q + t * self.grad_w


class Path:
    r"""Leads from guide to model: log f_t(z) = (1 − t) log q(z | x) + t log p(x, z) = log q + t log w, for 0 ≤ t ≤ 1.

    z are all latents of the guide, side by side. If q is a transformed base distribution, z = g(e), the chains move in
    e: log f_t(e) = log q(e) + t log w(g(e)) is the same path, and g, which may be slow to invert, is only computed
    forwards. `scale` (n, latent) is the standard deviation of the base.
    """

    def __init__(
        self,
        model: Callable[..., object],
        guide: Callable[..., object],
        *args: object,
        threads: Mapping[int, Threads] | None = None,
    ) -> None:
        self.model, self.guide, self.args = model, guide, args
        self.scale = self._draw(DRAWS).std(0)
        if threads is None:
            threads = defaultdict(lambda: Threads(self.scale.device))
        self.threads = threads  # of transitions, for each number of chains

    def start(self, chains: int) -> Point:
        """Draw where the chains start, at t = 0."""
        return self.at(self._draw(chains))

    def end(self, latents: Mapping[str, Tensor], chains: int) -> Point:
        """Start all chains of an image where its latents (n, ...), by their names, are draws of p(z | x), at t = 1."""
        e = self._bases_of(latents)
        return self.at(e.expand(chains, *e.shape))

    def at(self, e: Tensor) -> Point:
        """Compute the densities and their gradients at e (chains, n, latent)."""
        with torch.enable_grad():
            e = e.detach().requires_grad_()
            log_q, log_w = self._densities(e)
            # Two gradients, as the next t adds them in another proportion; in e alone, so that no weight gets one.
            (grad_q,) = torch.autograd.grad(log_q.sum(), e, retain_graph=True)
            (grad_w,) = torch.autograd.grad(log_w.sum(), e)
        return Point(e.detach(), log_q.detach(), log_w.detach(), grad_q, grad_w)

    def _draw(self, chains: int) -> Tensor:
        """Draw e from the base for so many chains: (chains, n, latent)."""
        bases = _AtBases()
        with bases, pyro.plate("chains", chains, dim=-2):
            self.guide(*self.args)
        return torch.cat(bases.e, -1)

    def _bases_of(self, latents: Mapping[str, Tensor]) -> Tensor:
        """Return the e (n, latent) that g transforms to latents."""
        bases = _AtBases(latents=latents)
        with bases:
            self.guide(*self.args)
        return torch.cat(bases.e, -1)

    def _densities(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Return log q(e), the density of the base, and log w = log p(x, z) − log q(z | x) at z = g(e)."""
        bases = _AtBases(e)
        with bases, pyro.plate("chains", len(e), dim=-2):
            drawn = poutine.trace(self.guide).get_trace(*self.args)
        with pyro.plate("chains", len(e), dim=-2):
            scored = poutine.trace(poutine.replay(self.model, drawn)).get_trace(*self.args)
        return sum(bases.log_q[1:], bases.log_q[0]), joint_log_prob(scored) - joint_log_prob(drawn)


class PathOfOne(Path):
    """A path for a single latent whose distribution does not depend on any draw, so that the guide runs only once."""

    def __init__(
        self,
        code: str,
        q: TorchDistribution,
        model: Callable[..., object],
        *args: object,
        threads: Mapping[int, Threads] | None = None,
    ) -> None:
        self.code, self.q = code, q
        self.base, self.transforms = base_of(q)
        super().__init__(model, model, *args, threads=threads)

    def _draw(self, chains: int) -> Tensor:
        return self.base.sample((chains,))

    def _bases_of(self, latents: Mapping[str, Tensor]) -> Tensor:
        return inverted(self.transforms, latents[self.code])

    def _densities(self, e: Tensor) -> tuple[Tensor, Tensor]:
        z = transformed(self.transforms, e)
        log_q = self.base.log_prob(e)
        return log_q, self._joint(z) - self.q.log_prob(z)  # the transforms cache e, and need no inverse

    def _joint(self, z: Tensor) -> Tensor:
        with pyro.plate("chains", len(z), dim=-2):
            return joint_log_prob(poutine.trace(poutine.condition(self.model, {self.code: z})).get_trace(*self.args))


class _AtBases(Messenger):
    """Draws each latent of a guide by way of the base of its distribution, or sets it from e, as a Pyro effect.

    It can also set them to `latents`, by their names, and find out e. Enter it before the plate of the chains, so that
    it meets distributions that the plate has expanded.

    `e` (chains, n, latent) are the bases of all latents side by side. Afterwards the lists `e` and `log_q` have those
    of each latent, and their log-densities (chains, n).
    """

    def __init__(self, given: Tensor | None = None, latents: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.given, self.latents = given, latents
        self.e, self.log_q = list[Tensor](), list[Tensor]()

    def _pyro_sample(self, msg: SampleSite) -> None:
        if not is_latent(msg):
            return
        base, transforms = base_of(msg["fn"])
        first = sum(part.shape[-1] for part in self.e)
        if self.latents is not None:
            z = inverted(transforms, self.latents[msg["name"]])
        elif self.given is not None:
            z = self.given[..., first : first + base.event_shape.numel()]
        else:
            z = base.sample()
        z = z.reshape(*base.batch_shape, *base.event_shape)
        self.e.append(z.flatten(-len(base.event_shape)) if base.event_shape else z[..., None])
        self.log_q.append(base.log_prob(z))
        msg["value"], msg["done"] = transformed(transforms, z), True


def path_of(
    model: Callable[..., object],
    guide: Callable[..., object],
    *args: object,
    threads: Mapping[int, Threads] | None = None,
) -> Path:
    """Return the path from guide to model. Raises `InputError` unless the guide draws continuous latents alone."""
    sites = sample_sites(poutine.trace(guide).get_trace(*args))
    latents = {name: site["fn"] for name, site in sites.items() if is_latent(site)}
    discrete = [name for name, distribution in latents.items() if is_discrete(distribution)]
    if discrete or not latents:
        got = f"the discrete {discrete[0]}" if discrete else "none"
        raise InputError(f"ais: expected a program whose latents are continuous, got {got}")
    if len(latents) > 1:
        return Path(model, guide, *args, threads=threads)
    ((name, distribution),) = latents.items()
    return PathOfOne(name, distribution, model, *args, threads=threads)
