"""log p(x | y) by annealed importance sampling: a second opinion on the importance-sampled one."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import TransformedDistribution

from pyrovae.data.data import Data, Images
from pyrovae.errors import at_least
from pyrovae.evaluation.elbo import arguments
from pyrovae.evaluation.importance import NUMBERS, expect_density, joint_log_prob, numbers
from pyrovae.vae import VAE

IMAGES = 20  # annealed together, at most
CHAINS = 16  # for each image, as Wu et al. have it
PILOTS = 4  # chains for each image that find the step sizes
LEAPFROGS = 5  # of a transition
ACCEPTANCE = 0.65  # where Hamiltonian Monte Carlo is at its best: Neal (2011), arXiv:1206.1901
RATE = 0.2  # of the pilots' step sizes: how much their logarithm moves for each unit of acceptance


class Point(NamedTuple):
    """Where the chains are on their path: bases e (chains, n, latent) of codes, and what is known of them."""

    e: Tensor
    log_q: Tensor  # (chains, n)
    log_w: Tensor  # (chains, n)
    grad_q: Tensor  # of log q, (chains, n, latent)
    grad_w: Tensor  # of log w, (chains, n, latent)

    def log_density(self, t: float) -> Tensor:
        return self.log_q + t * self.log_w

    def gradient(self, t: float) -> Tensor:
        return self.grad_q + t * self.grad_w


class Path:
    r"""From the guide to the model: log f_t(z) = (1 − t) log q(z | x) + t log p(x, z) = log q + t log w, for 0 ≤ t ≤ 1.

    Where q is a base that transforms bend, z = g(e), the path is followed in e: log f_t(e) = log q(e) + t log w(g(e))
    is the same path, and g, which may be slow to invert, only runs forwards. `scale` (n, latent) is the base's width.
    """

    def __init__(self, model: Callable[..., Any], guide: Callable[..., Any], *args: Any) -> None:
        self.model, self.args = model, args
        site: Any = poutine.trace(guide).get_trace(*args).nodes["z"]
        self.q: TorchDistribution = site["fn"]
        bent = self.q if isinstance(self.q, TransformedDistribution) else None
        self.base: TorchDistribution = self.q if bent is None else bent.base_dist
        self.transforms: list[Any] = [] if bent is None else bent.transforms
        self.scale = self.base.sample((1000,)).std(0)

    def start(self, chains: int) -> Point:
        return self.at(self.base.sample((chains,)))

    def at(self, e: Tensor) -> Point:
        with torch.enable_grad():
            z = e = e.detach().requires_grad_()
            for transform in self.transforms:
                z = transform(z)
            log_q = self.base.log_prob(e)
            log_w = self._joint(z) - self.q.log_prob(z)  # the transforms remember how they came to z
            # Apart, as the next t mixes them anew. Only e is asked for: no weight's gradient is computed.
            grad_q, grad_w = (torch.autograd.grad(part.sum(), e)[0] for part in (log_q, log_w))
        return Point(e.detach(), log_q.detach(), log_w.detach(), grad_q, grad_w)

    def _joint(self, z: Tensor) -> Tensor:
        with pyro.plate("chains", len(z), dim=-2):
            return joint_log_prob(poutine.trace(poutine.condition(self.model, {"z": z})).get_trace(*self.args))


def annealed_log_weights(
    model: Callable[..., Any], guide: Callable[..., Any], chains: int, steps: int, *args: Any
) -> tuple[Tensor, Tensor]:
    r"""Log w = Σ_k (t_k − t_{k−1}) log [p(x, z_k) / q(z_k | x)] of each chain, (chains, n), and its acceptance, (n,).

    z_1 ~ q, and z_{k+1} follows from z_k by a transition that leaves f_{t_k} as it is. E[w] = p(x) for any transitions
    that are fixed beforehand: chains of their own, whose weights are thrown away, find the step sizes. One step is
    importance sampling. For any Pyro model and guide of one plate of n and one site z, as they are called with `args`.
    """
    with torch.no_grad(), pyro.validation_enabled(False), pyro.settings.context(module_local_params=True):
        path, times = Path(model, guide, *args), schedule(steps)
        return _anneal(path, chains, times, _step_sizes(path, times))


def schedule(steps: int) -> list[float]:
    """0 = t_0 < ... < t_steps = 1, close to each other at both ends; Wu et al. (2017)."""
    risen = torch.sigmoid(torch.linspace(-4, 4, steps + 1, dtype=torch.float64))
    return ((risen - risen[0]) / (risen[-1] - risen[0])).tolist()


def annealed_log_likelihoods(
    vae: VAE, data: Data, images: Images, chains: int = CHAINS, steps: int = 200
) -> Iterator[dict[str, Tensor]]:
    r"""Estimates of log p(x | y) by annealed importance sampling for batch after batch of images: each entry (n,).

    `log_likelihood`, in nats, is log (1/chains) Σ w, with w as `annealed_log_weights` has them; like the
    importance-sampled one it is a lower bound in expectation, so that the higher of the two is closer. It checks that
    one, as it does not need a guide that covers the posterior: the chains move to where the guide does not draw.
    `acceptance` is that of the transitions. Neal (2001), Annealed importance sampling; Wu et al. (2017), On the
    quantitative analysis of decoder-based generative models, arXiv:1611.04273, who start at the prior.

    >>> config = Config(pixels="static", device="cpu")
    >>> data = load(config)
    >>> vae = build(config, data.shape)
    >>> (found,) = annealed_log_likelihoods(vae, data, data.test[slice(0, 5)], chains=4, steps=5)
    >>> found["log_likelihood"].shape
    torch.Size([5])
    """
    at_least(1, chains=chains, steps=steps, images=len(images))
    expect_density(vae)
    vae.eval()
    start, held = 0, numbers(vae, *arguments(vae, data.batch(images, slice(0, 1))))
    while start < len(images):
        n = min(IMAGES, max(1, NUMBERS // (chains * held)))
        x, y = arguments(vae, data.batch(images, slice(start, start + n)))
        log_w, acceptance = annealed_log_weights(vae.model, vae.guide, chains, steps, x, y)
        yield {"log_likelihood": torch.logsumexp(log_w, 0) - math.log(chains), "acceptance": acceptance}
        start += n


def compare(
    importance: list[dict[str, Tensor]], annealed: list[dict[str, Tensor]], steps: int, chains: int = CHAINS
) -> dict[str, Any]:
    """Means over the images annealed, in nats, beside the importance-sampled ones of the same images, which come first.

    `difference` is annealed − importance-sampled, and `standard_error` its own, from pairs; None for a single image.
    """
    score, acceptance = (
        torch.cat([batch[name].cpu() for batch in annealed]) for name in ("log_likelihood", "acceptance")
    )
    n = len(score)
    sampled = torch.cat([batch["log_likelihood"].cpu() for batch in importance])[:n]
    difference = score - sampled
    return {
        "log_likelihood": score.mean().item(),
        "importance_sampled": sampled.mean().item(),
        "difference": difference.mean().item(),
        "standard_error": (difference.std() / math.sqrt(n)).item() if n > 1 else None,
        "images": n,
        "chains": chains,
        "steps": steps,
        "acceptance": acceptance.mean().item(),
    }


def _anneal(path: Path, chains: int, times: list[float], sizes: list[Tensor]) -> tuple[Tensor, Tensor]:
    point = path.start(chains)
    log_w, acceptance = times[1] * point.log_w.double(), torch.zeros_like(point.log_w[0])
    for t, following, size in zip(times[1:], times[2:], sizes):
        point, chance = _transition(path, point, t, size)
        log_w += (following - t) * point.log_w
        acceptance += chance.mean(0) / len(sizes)
    return log_w, acceptance


def _step_sizes(path: Path, times: list[float]) -> list[Tensor]:
    """A step size for each transition and image, (n,), in units of the guide's width."""
    point = path.start(PILOTS)
    size = torch.full_like(point.log_w[0], point.e.shape[-1] ** -0.25)  # about right for the guide itself
    sizes = []
    for t in times[1:-1]:
        sizes.append(size)
        point, chance = _transition(path, point, t, size)
        size = size * (RATE * (chance.mean(0) - ACCEPTANCE)).exp()
    return sizes


def _transition(path: Path, point: Point, t: float, size: Tensor) -> tuple[Point, Tensor]:
    """One transition of Hamiltonian Monte Carlo at f_t, and the chance (chains, n) that it was accepted with."""
    varied = size * (0.5 + torch.rand_like(point.log_w))  # a fixed length may turn a chain to where it came from
    step = varied[..., None] * path.scale  # (chains, n, latent)
    momentum = torch.randn_like(point.e)
    proposed, last = _leapfrog(path, point, momentum, t, step)
    gain = proposed.log_density(t) - point.log_density(t) + 0.5 * (momentum.square() - last.square()).sum(-1)
    chance = gain.nan_to_num(nan=-math.inf).clamp(max=0).exp()  # a chain that went astray stays where it was
    accepted = torch.rand_like(chance) < chance
    chosen = [
        torch.where(accepted if new.dim() == 2 else accepted[..., None], new, old) for new, old in zip(proposed, point)
    ]
    return Point(*chosen), chance


def _leapfrog(path: Path, point: Point, momentum: Tensor, t: float, step: Tensor) -> tuple[Point, Tensor]:
    momentum = momentum + 0.5 * step * point.gradient(t)
    for left in reversed(range(LEAPFROGS)):
        point = path.at(point.e + step * momentum)
        momentum = momentum + (1.0 if left else 0.5) * step * point.gradient(t)
    return point, momentum
