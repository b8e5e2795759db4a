"""Estimate log p(x | y) by annealed importance sampling, to check the importance-sampled estimate."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypedDict

import pyro
import torch
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.errors import at_least
from pyrovae.evaluation.elbo import arguments, expect_reads
from pyrovae.evaluation.importance import NUMBERS, expect_density, numbers_per_sample
from pyrovae.evaluation.paths import Path, Point, path_of
from pyrovae.inference.parameters import hidden
from pyrovae.inference.threads import Threads
from pyrovae.program import Program

IMAGES = 20  # the most images in a batch
CHAINS = 16  # for each image, as in Wu et al.
PILOTS = 4  # chains for each image that adapt the step sizes
LEAPFROGS = 5  # leapfrog steps in a transition
ACCEPTANCE = 0.65  # the rate at which Hamiltonian Monte Carlo is most efficient: Neal (2011), arXiv:1206.1901
RATE = 0.2  # of adaptation: log step size changes by RATE · (acceptance − ACCEPTANCE)


def annealed_log_weights(
    model: Callable[..., Any],
    guide: Callable[..., Any],
    chains: int,
    steps: int,
    *args: Any,
    threads: Mapping[int, Threads] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return log w = Σ_k (t_k − t_{k−1}) log [p(x, z_k) / q(z_k | x)], (chains, n), and the mean acceptance, (n,).

    z_1 ~ q, and z_{k+1} follows from z_k by a transition that leaves f_{t_k} invariant. E[w] = p(x) for transitions
    that are fixed beforehand: the step sizes are adapted on pilot chains, whose weights are not used. One step is plain
    importance sampling. Works for any Pyro model and guide with one plate of n whose latents z are continuous; both are
    called with `args`. `threads` are those that transitions of so many chains run on, to be handed on from one batch to
    the next.
    """
    with torch.no_grad(), pyro.validation_enabled(False), hidden():
        path, times = path_of(model, guide, *args, threads=threads), schedule(steps)
        return _anneal(path, chains, times, _step_sizes(path, times))


def bidirectional_log_weights(
    model: Callable[..., Any],
    guide: Callable[..., Any],
    latents: Mapping[str, Tensor],
    chains: int,
    steps: int,
    *args: Any,
    threads: Mapping[int, Threads] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Return log-weights (chains, n) of chains from guide to model, as annealed, and of chains from model to guide.

    The latter start at `latents` (n, ...) by name, which must be draws of p(z | x), one for each image. They take the
    same transitions in reverse, so that E[1 / w] = 1 / p(x). The log of the mean w of the first is a lower bound of
    log p(x) in expectation, and minus the log of the mean 1 / w of the latter is an upper bound. Grosse, Ghahramani &
    Adams (2015), Sandwiching the marginal likelihood using bidirectional Monte Carlo, arXiv:1511.02543.
    """
    with torch.no_grad(), pyro.validation_enabled(False), hidden():
        path, times = path_of(model, guide, *args, threads=threads), schedule(steps)
        sizes = _step_sizes(path, times)
        forward, _ = _anneal(path, chains, times, sizes)
        return forward, _anneal_back(path, path.end(latents, chains), times, sizes)


def schedule(steps: int) -> list[float]:
    """Return 0 = t_0 < ... < t_steps = 1, spaced as a sigmoid, most closely at both ends; Wu et al. (2017)."""
    sigmoid = torch.sigmoid(torch.linspace(-4, 4, steps + 1, dtype=torch.float64))
    return ((sigmoid - sigmoid[0]) / (sigmoid[-1] - sigmoid[0])).tolist()


def annealed_log_likelihoods(
    vae: Program, data: Data, images: Images, chains: int = CHAINS, steps: int = 200
) -> Iterator[dict[str, Tensor]]:
    r"""Estimate log p(x | y) by annealed importance sampling for batch after batch of images; yields tensors (n,).

    `log_likelihood`, in nats, is log (1/chains) Σ w, with the weights of `annealed_log_weights`; `acceptance` is the
    mean acceptance rate of the transitions. Like the importance-sampled estimate it is a lower bound in expectation, so
    the higher of the two is closer. It is a check, because it does not need a guide that covers the posterior: the
    chains reach codes that the guide does not draw. Raises `InputError` for a posterior without a density. Neal (2001),
    Annealed importance sampling; Wu et al. (2017), On the quantitative analysis of decoder-based generative models,
    arXiv:1611.04273, whose chains start at the prior.

    >>> config = Config(pixels="static", device="cpu")
    >>> data = load(config)
    >>> vae = build(config, data.shape)
    >>> (batch,) = annealed_log_likelihoods(vae, data, data.test[slice(0, 5)], chains=4, steps=5)
    >>> batch["log_likelihood"].shape
    torch.Size([5])
    """
    images = data.images(images)
    expect_reads(vae, data, images.missing > 0)
    at_least(1, chains=chains, steps=steps, images=len(images))
    expect_density(vae)
    vae.eval()
    n = annealed_at_once(vae, data, images, chains)
    threads = defaultdict[int, Threads](lambda: Threads(vae.device))
    for start in range(0, len(images), n):
        x, y = arguments(vae, data.batch(images, slice(start, start + n)))
        log_w, acceptance = annealed_log_weights(vae.model, vae.guide, chains, steps, x, y, threads=threads)
        yield {"log_likelihood": torch.logsumexp(log_w, 0) - math.log(chains), "acceptance": acceptance}


def annealed_at_once(vae: Program, data: Data, images: Images, chains: int) -> int:
    """Return how many images to anneal at once, so that they fit in memory."""
    per_chain = numbers_per_sample(vae, *arguments(vae, data.batch(images, slice(0, 1))))
    return min(IMAGES, max(1, NUMBERS // (chains * per_chain)))


class AnnealedComparison(TypedDict):
    """An annealed log-likelihood beside the importance-sampled one of the same images, in nats per image."""

    log_likelihood: float
    importance_sampled: float
    difference: float  # annealed − importance-sampled
    standard_error: float | None  # of the difference, from pairs; None for a single image
    images: int
    chains: int
    steps: int
    acceptance: float


def compare(
    importance: list[dict[str, Tensor]], annealed: list[dict[str, Tensor]], steps: int, chains: int = CHAINS
) -> AnnealedComparison:
    """Compare the batches of `annealed_log_likelihoods` with those of `log_likelihoods`.

    The annealed images must be the first of the importance-sampled ones.
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
    """Run the chains from t = 0 to 1; returns their log-weights (chains, n) and the mean acceptance (n,)."""
    point = path.start(chains)
    log_w, acceptance = times[1] * point.log_w.double(), torch.zeros_like(point.log_w[0])
    transition = path.threads[chains].measured()(_transition)
    for t, following, size in zip(times[1:], times[2:], sizes):
        point, chance = transition(path, point, t, size)
        log_w += (following - t) * point.log_w
        acceptance += chance.mean(0) / len(sizes)
    return log_w, acceptance


def _anneal_back(path: Path, point: Point, times: list[float], sizes: list[Tensor]) -> Tensor:
    """Run chains that start at `point` from t = 1 to 0; returns the log-weights (chains, n) of the way forwards."""
    log_w = (times[-1] - times[-2]) * point.log_w.double()
    transition = path.threads[len(point.e)].measured()(_transition)
    for t, previous, size in reversed([*zip(times[1:], times, sizes)]):
        point, _ = transition(path, point, t, size)
        log_w += (t - previous) * point.log_w
    return log_w


def _step_sizes(path: Path, times: list[float]) -> list[Tensor]:
    """Find the step size of each transition by pilot chains; returns tensors (n,), in units of the base's `scale`."""
    point = path.start(PILOTS)
    size = torch.full_like(point.log_w[0], point.e.shape[-1] ** -0.25)  # about right for q, at t = 0
    sizes, transition = [], path.threads[PILOTS].measured()(_transition)
    for t in times[1:-1]:
        sizes.append(size)
        point, chance = transition(path, point, t, size)
        size = size * (RATE * (chance.mean(0) - ACCEPTANCE)).exp()
    return sizes


def _transition(path: Path, point: Point, t: float, size: Tensor) -> tuple[Point, Tensor]:
    """Take one step of Hamiltonian Monte Carlo, which leaves f_t invariant; returns its acceptance probability, too."""
    varied = size * (0.5 + torch.rand_like(point.log_w))  # a trajectory of fixed length may return to where it started
    step = varied[..., None] * path.scale  # (chains, n, latent)
    momentum = torch.randn_like(point.e)
    proposed, last = _leapfrog(path, point, momentum, t, step)
    gain = proposed.log_density(t) - point.log_density(t) + 0.5 * (momentum.square() - last.square()).sum(-1)
    chance = gain.nan_to_num(nan=-math.inf).clamp(max=0).exp()  # a trajectory that diverged is rejected
    accepted = torch.rand_like(chance) < chance  # (chains, n)
    chosen = [
        torch.where(accepted if new.dim() == 2 else accepted[..., None], new, old) for new, old in zip(proposed, point)
    ]
    return Point(*chosen), chance


def _leapfrog(path: Path, point: Point, momentum: Tensor, t: float, step: Tensor) -> tuple[Point, Tensor]:
    """Follow a trajectory of f_t for LEAPFROGS steps; returns its last point and momentum."""
    momentum = momentum + 0.5 * step * point.gradient(t)
    for left in reversed(range(LEAPFROGS)):
        point = path.at(point.e + step * momentum)
        momentum = momentum + (1.0 if left else 0.5) * step * point.gradient(t)
    return point, momentum
