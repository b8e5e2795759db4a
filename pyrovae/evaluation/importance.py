"""log p(x | y) by importance sampling, with its error bar and a word on whether it can be trusted."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pyro
import torch
from pyro.ops.stats import fit_generalized_pareto
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from pyrovae.data.data import Data, Images
from pyrovae.errors import InputError, at_least
from pyrovae.evaluation.elbo import arguments
from pyrovae.inference import seeded
from pyrovae.inference.compiled import capture
from pyrovae.inference.traces import guide_then_model
from pyrovae.vae import VAE

IMAGES = 50  # evaluated together
NUMBERS = 4_000_000  # held together, about: memory stays bounded whatever the number of samples
WORTH = 1_000_000  # weights, for which compiling takes less time than it saves


def log_weights(model: Callable[..., Any], guide: Callable[..., Any], samples: int, *args: Any) -> Tensor:
    r"""Log w = log p(x, z) − log q(z | x) for `samples` draws z ~ q: (samples, n).

    For any Pyro model and guide of one plate of n, as they are called with `args`.
    """
    with torch.no_grad(), pyro.validation_enabled(False), pyro.settings.context(module_local_params=True):
        with pyro.plate("samples", samples, dim=-2):
            drawn, scored = guide_then_model(model, guide, *args)
        return joint_log_prob(scored) - joint_log_prob(drawn)


def log_likelihoods(
    vae: VAE, data: Data, images: Images, samples: int = 5000, start: int = 0
) -> Iterator[dict[str, Tensor]]:
    r"""Estimates of log p(x | y) = log E_q[w] for batch after batch of images, in nats: each entry (n,).

    `log_likelihood` is log (1/K) Σ w, a lower bound in expectation; `elbo` the mean of log w; `effective_samples`
    (Σ w)² / Σ w²; `pareto_k` the tail index of the weights (Yao et al. 2018, arXiv:1802.02538). Burda et al. (2016),
    arXiv:1509.00519, use K = 5,000. The images before `start` are left out.

    >>> config = Config(pixels="static", device="cpu")
    >>> data = load(config)
    >>> (found,) = log_likelihoods(build(config, data.shape), data, data.test[slice(0, 20)], samples=100)
    >>> found["log_likelihood"].shape, bool((found["log_likelihood"] > found["elbo"]).all())
    (torch.Size([20]), True)
    """
    at_least(1, samples=samples, images=len(images))
    expect_density(vae)
    vae.eval()
    weigh = weigher(vae, data, images, samples)
    for first in range(start, len(images), IMAGES):
        log_w = weigh(*arguments(vae, data.batch(images, slice(first, first + IMAGES)))).double()
        yield {
            "log_likelihood": torch.logsumexp(log_w, 0) - math.log(samples),
            "elbo": log_w.mean(0),
            "effective_samples": (2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0)).exp(),
            "pareto_k": torch.tensor([pareto_k(column) for column in log_w.T.cpu()]),
        }


def weigher(vae: VAE, data: Data, images: Images, samples: int, always: bool = False) -> Callable[..., Tensor]:
    """(x, y) -> log w (samples, n), in parts that memory holds; compiled if there is much to do, or `always`.

    A part takes many samples of few images: each is encoded as often as there are parts.
    """
    x, y = arguments(vae, data.batch(images, slice(0, IMAGES)))
    each = samples * numbers(vae, x, y)
    n = max(n for n in range(1, len(x) + 1) if len(x) % n == 0 and (n == 1 or n * each <= NUMBERS))
    parts = -(-n * each // NUMBERS)
    size = -(-samples // parts)

    def part(x: Tensor, y: Tensor | None = None) -> tuple[Tensor]:
        return (log_weights(vae.model, vae.guide, size, x, y),)

    def rows(x: Tensor, y: Tensor | None) -> list[tuple[Tensor, ...]]:
        return [*zip(*(of.split(n) for of in (x, y) if of is not None))]

    with seeded(0):
        fast = capture(part, *rows(x, y)[0]) if always or samples * len(images) >= WORTH else part

    def weigh(x: Tensor, y: Tensor | None = None) -> Tensor:
        found = []
        for few in rows(x, y):
            chosen = fast if len(few[0]) == n else part
            found.append(torch.cat([chosen(*few)[0] for _ in range(parts)])[:samples])
        return torch.cat(found, -1)

    return weigh


def pareto_k(log_w: Tensor) -> float:
    """The shape k̂ of a generalised Pareto distribution fitted to the largest weights.

    0 where all weights are the same; not a number for too few of them.
    """
    ordered = (log_w - log_w.max()).sort().values
    tail = math.ceil(min(0.2 * len(ordered), 3 * math.sqrt(len(ordered))))
    if tail < 10:
        return math.nan
    if ordered[0] > -1e-6:
        return 0.0
    cutoff = max(ordered[-tail - 1].item(), math.log(1e-15))
    excess = ordered[ordered > cutoff].exp() - math.exp(cutoff)
    return float(fit_generalized_pareto(excess)[0]) if len(excess) >= 10 else math.inf


def reliable_k(samples: int) -> float:
    """The largest k̂ with which so many samples can be trusted; Vehtari et al. (2024), arXiv:1507.02646."""
    return min(1 - 1 / math.log10(max(samples, 11)), 0.7)


def summarise(batches: list[dict[str, Tensor]], samples: int) -> dict[str, Any]:
    """The contents of evaluation.json: means over the images, in nats, with the standard error of the first.

    What too few samples or images leave unknown is None.
    """
    held = {name: torch.cat([batch[name].cpu() for batch in batches]) for name in batches[0]}
    score, k, n = held["log_likelihood"], held["pareto_k"], len(held["log_likelihood"])
    known = not k.isnan().any()
    return {
        "log_likelihood": score.mean().item(),
        "standard_error": (score.std() / math.sqrt(n)).item() if n > 1 else None,
        "elbo": held["elbo"].mean().item(),
        "images": n,
        "samples": samples,
        "effective_samples": held["effective_samples"].median().item(),
        "pareto_k": min(k.median().item(), 99.0) if known else None,
        "unreliable_share": (k > reliable_k(samples)).double().mean().item() if known else None,
    }


def expect_density(vae: VAE) -> None:
    if not vae.has_kl:
        raise InputError("evaluate: expected a posterior that is a density, to draw from, got a plain autoencoder")


def numbers(vae: VAE, x: Tensor, y: Tensor | None) -> int:
    """Held for each image and sample, about: by the decoder's widest layer, and what the prior declares."""
    widest = [0]

    def note(_: Any, __: Any, found: Any) -> None:
        widest.append(found.numel() if isinstance(found, Tensor) else 0)

    hooks = [layer.register_forward_hook(note) for layer in vae.decoder.modules()]
    try:
        with seeded(0):
            log_weights(vae.model, vae.guide, 1, x[:1], None if y is None else y[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return max(widest) + getattr(vae.prior, "numbers", 0)


def joint_log_prob(trace: Any) -> Tensor:
    """The log-probability of all sites of a trace, for each sample and image."""
    trace = prune_subsample_sites(trace)
    trace.compute_log_prob()
    total: Tensor = sum(node["log_prob"] for node in trace.nodes.values() if node["type"] == "sample")
    return total
