"""Estimate log p(x | y) by importance sampling, with an error bar and diagnostics of whether to trust it."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypedDict

import pyro
import torch
from pyro import poutine
from pyro.distributions import Unit
from pyro.ops.stats import fit_generalized_pareto
from pyro.poutine import Trace
from torch import Tensor, nn

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.errors import InputError, at_least
from pyrovae.evaluation.elbo import arguments, expect_reads
from pyrovae.evaluation.proposal import defensive_log_weights
from pyrovae.inference import seeded
from pyrovae.inference.compiled import capture
from pyrovae.inference.not_finite import not_finite
from pyrovae.inference.parameters import hidden
from pyrovae.inference.threads import Threads
from pyrovae.inference.traces import guide_then_model, is_summed, joint_log_prob, sample_sites
from pyrovae.program import Program

IMAGES = 50  # images in a batch
NUMBERS = 4_000_000  # about how many numbers are in memory at once, whatever the number of samples
WORTH = 1_000_000  # with so many weights to compute, compiling takes less time than it saves


def log_weights(model: Callable[..., object], guide: Callable[..., object], samples: int, *args: object) -> Tensor:
    r"""Return log w = log p(x, z) − log q(z | x) for `samples` draws z ~ q(z | x): (samples, n).

    Discrete sites that the guide marks `infer={"enumerate": "parallel"}` are not drawn, but summed over in p(x, z), so
    z are the others. Works for any Pyro model and guide whose sites lie in one plate of n; both are called with `args`.
    """
    log_w, _ = weighted(model, guide, samples, *args)
    return log_w.flatten(0, -3).logsumexp(0) if log_w.dim() > 2 else log_w


@torch.no_grad()
def weighted(
    model: Callable[..., object], guide: Callable[..., object], samples: int, *args: object
) -> tuple[Tensor, Trace]:
    """Return the weights log w of `log_weights`, and the trace of the model at the draws that they belong to.

    Without sites that are summed over, the weights are (samples, n); with them (..., samples, n), one for each value.
    """
    with pyro.validation_enabled(False), hidden():
        with pyro.plate("samples", samples, dim=-2):
            drawn, scored = guide_then_model(model, poutine.enum(guide, first_available_dim=-3), *args)
        sites = sample_sites(drawn)
        summed = [name for name, site in sites.items() if is_summed(site)]
        factors = [name for name, site in sites.items() if isinstance(site["fn"], Unit)]  # of a loss, not of q
        log_w = joint_log_prob(scored) - joint_log_prob(drawn, without=[*summed, *factors])
        for name in summed:  # a value that the guide rules out, such as another label than a known one
            log_w = log_w.where(drawn.nodes[name]["log_prob"].exp() > 0, -math.inf)
        return log_w, scored


def log_likelihoods(
    vae: Program, data: Data, images: object, samples: int = 5000, start: int = 0
) -> Iterator[dict[str, Tensor]]:
    r"""Estimate log p(x | y) = log E_r[w] for batch after batch of images; yields a dict of tensors (n,) for each.

    The codes are drawn from r, a mixture of the guide, a wider guide and the prior (`defensive_log_weights`), or from
    the guide alone where a latent is summed over. `log_likelihood` is log (1/K) Σ w, a lower bound in expectation, in
    nats; `elbo` is the mean of log p(x, z | y) − log q(z | x, y) over the draws of the guide, in nats;
    `effective_samples` is (Σ w)² / Σ w²; `pareto_k` is the tail index of the weights (Yao et al. 2018,
    arXiv:1802.02538). Burda et al. (2016), arXiv:1509.00519, use K = 5,000 `samples`. The first image is number
    `start`; images in hand, such as an array, are read by `Data.images`. Raises `InputError` for a posterior without a
    density, and FloatingPointError for an estimate that is not finite, with the sites that are to blame.

    >>> config = Config(pixels="static", device="cpu")
    >>> data = load(config)
    >>> (batch,) = log_likelihoods(build(config, data.shape), data, data.test[slice(0, 20)], samples=100)
    >>> batch["log_likelihood"].shape, bool(batch["log_likelihood"].mean() > batch["elbo"].mean())
    (torch.Size([20]), True)
    """
    images = data.images(images)
    expect_reads(vae, data, images.missing > 0)
    at_least(1, samples=samples, images=len(images))
    expect_density(vae)
    vae.eval()
    weigher = Weigher(vae, data, images, samples)
    for first in range(start, len(images), IMAGES):
        x, y = arguments(vae, data.batch(images, slice(first, first + IMAGES)))
        log_w, of_guide = (weights.double() for weights in weigher.weigh(x, y))
        with weigher.threads.chosen():
            scores = {"log_likelihood": torch.logsumexp(log_w, 0) - math.log(samples), "elbo": of_guide.mean(0)}
            for name, score in scores.items():
                _expect_finite(name, score, first, partial(not_finite, vae.model, vae.guide, x, y))
            scores["effective_samples"] = (2 * torch.logsumexp(log_w, 0) - torch.logsumexp(2 * log_w, 0)).exp()
            scores["pareto_k"] = torch.tensor([pareto_k(column) for column in log_w.T.cpu()])
        yield scores


def _expect_finite(name: str, score: Tensor, first: int, sites: Callable[[], list[str]]) -> None:
    """Raise FloatingPointError, with the sites that are to blame, if the score of an image is not finite."""
    if not score.isfinite().all():
        image = int((~score.isfinite()).nonzero()[0])
        blamed = ", ".join(sites()) or "none at another draw of z"
        raise FloatingPointError(
            f"evaluate: expected a finite {name} of each image, got {score[image].item()} for test image"
            f" {first + image + 1} (not finite: {blamed}); the weights may be damaged, or the training has failed"
        )


class Weigher:
    """Draws the log-weights of `samples` codes for each image of a batch, in parts that fit in memory.

    A part takes many samples of few images, as every part encodes its images anew. The program is compiled if there are
    many weights to compute, or `always`. If all latents are summed over, the weights of an image are all p(x | y), and
    one is computed. If none is, the codes are draws of a defensive mixture, else of the guide alone.
    """

    def __init__(self, vae: Program, data: Data, images: Images, samples: int, always: bool = False) -> None:
        self.vae, self.samples, self.threads = vae, samples, Threads(vae.device)
        x, y = arguments(vae, data.batch(images, slice(0, IMAGES)))
        latents = [site for site in vae.sites(x, y).values() if not site.observed]
        self.defensive = not any(site.summed for site in latents)
        if all(site.summed for site in latents):
            drawn, per_image = 1, math.prod(x.shape[1:]) * vae.features
        else:
            drawn, per_image = samples, samples * numbers_per_sample(vae, x, y)
        divisors = [n for n in range(1, len(x) + 1) if len(x) % n == 0]
        self.part_images = max(n for n in divisors if n == 1 or n * per_image <= NUMBERS)
        self.parts = min(drawn, math.ceil(self.part_images * per_image / NUMBERS))  # of the samples of the same images
        self.part_samples = math.ceil(drawn / self.parts)
        self._compiled: Callable[..., tuple[Tensor, Tensor]] = self._part
        if always or drawn * len(images) >= WORTH:
            with seeded(0):
                self._compiled = capture(self._part, *self._split(x, y)[0])

    def weigh(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return log w (samples, n) for a batch of n images and their context, and those of the guide's own draws.

        The mean of the latter, log p(x, z) − log q(z | x), is the ELBO; the former are the same if all draws are.
        """
        columns = []
        for few in self._split(x, y):
            part = self.threads.measured()(self._compiled if len(few[0]) == self.part_images else self._part)
            log_w, of_guide = (torch.cat(weights) for weights in zip(*(part(*few) for _ in range(self.parts))))
            if len(log_w) > self.samples:  # any of them, as those of a proposal stand together
                log_w = log_w[torch.randperm(len(log_w), device=log_w.device)[: self.samples]]
            columns.append((log_w.expand(self.samples, -1), of_guide))
        log_w, of_guide = (torch.cat(weights, -1) for weights in zip(*columns))
        return log_w, of_guide

    def _split(self, x: Tensor, y: Tensor | None) -> list[tuple[Tensor, ...]]:
        """Split a batch into the arguments of `_part`: x, and y if there is one."""
        return [*zip(*(tensor.split(self.part_images) for tensor in (x, y) if tensor is not None))]

    def _part(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        program = self.vae.model, self.vae.guide
        if self.defensive:
            return defensive_log_weights(*program, self.part_samples, x, y)
        log_w = log_weights(*program, self.part_samples, x, y)
        return log_w, log_w


def pareto_k(log_w: Tensor) -> float:
    """Return the shape k̂ of a generalised Pareto distribution fitted to the largest weights.

    It is 0 if all weights are the same, and not a number if there are too few of them.
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
    """Return the largest k̂ at which so many samples can be trusted; Vehtari et al. (2024), arXiv:1507.02646."""
    return min(1 - 1 / math.log10(max(samples, 11)), 0.7)


def are_heavy(unreliable_share: float | None) -> bool:
    """Say whether the weights of too many images have a heavy tail: of more than a tenth, k̂ is above `reliable_k`."""
    return unreliable_share is not None and unreliable_share > 0.1


class Estimate(TypedDict):
    """An importance-sampled log-likelihood, in nats per image, as evaluation.json holds it.

    None stands for what cannot be known from too few samples, or from a single image.
    """

    log_likelihood: float
    standard_error: float | None  # the standard error of log_likelihood, over the images
    monte_carlo_error: float | None  # what of it other samples for the same images would change; see `summarise`
    elbo: float
    images: int
    samples: int
    effective_samples: float  # the median over the images, as is pareto_k
    pareto_k: float | None
    unreliable_share: float | None  # the share of images whose k̂ is above `reliable_k`


def summarise(batches: list[dict[str, Tensor]], samples: int) -> Estimate:
    r"""Return the means over the images of what `log_likelihoods` yielded for `samples` samples.

    By the delta method, log (1/K) Σ w has the variance Var(w) / (K E[w]²) for an image, which is estimated by
    (1 / effective samples − 1 / K) K / (K − 1). The Monte Carlo error is the standard error of the mean over these
    images that follows. It leaves out that the estimate is too low, which more images do not change, and it is itself
    too small where the weights have heavy tails: read it as "at least" then (`are_heavy`).
    """
    values = {name: torch.cat([batch[name].cpu() for batch in batches]) for name in batches[0]}
    score, k, n = values["log_likelihood"], values["pareto_k"], len(values["log_likelihood"])
    known = not k.isnan().any()
    variance = (1 / values["effective_samples"].double() - 1 / samples).clamp_min(0) * samples / max(samples - 1, 1)
    return {
        "log_likelihood": score.mean().item(),
        "standard_error": (score.std() / math.sqrt(n)).item() if n > 1 else None,
        "monte_carlo_error": variance.sum().sqrt().item() / n if samples > 1 else None,
        "elbo": values["elbo"].mean().item(),
        "images": n,
        "samples": samples,
        "effective_samples": values["effective_samples"].median().item(),
        "pareto_k": min(k.median().item(), 99.0) if known else None,
        "unreliable_share": (k > reliable_k(samples)).double().mean().item() if known else None,
    }


def expect_density(vae: Program) -> None:
    """Raise `InputError` if the posterior has no density, as weights cannot be computed without one."""
    if not vae.has_kl:
        raise InputError("evaluate: expected a posterior that is a density, to draw from, got a plain autoencoder")


def numbers_per_sample(vae: Program, x: Tensor, y: Tensor | None) -> int:
    """Estimate how many numbers are in memory for each image and sample.

    They are the outputs of the widest layer that runs for every sample, as those of a decoder do but those of an
    encoder do not, and as many as the priors declare by their attribute `numbers`.
    """
    outputs: list[int] = []

    def note(_: nn.Module, __: tuple[object, ...], output: object) -> None:
        outputs.append(output.numel() if isinstance(output, Tensor) else 0)

    hooks = [layer.register_forward_hook(note) for layer in vae.modules()]
    try:
        with seeded(0):
            for samples in (1, 2):
                log_weights(vae.model, vae.guide, samples, x[:1], None if y is None else y[:1])
    finally:
        for hook in hooks:
            hook.remove()
    half = len(outputs) // 2
    widest = max((two - one for one, two in zip(outputs[:half], outputs[half:])), default=0)
    return widest + sum(getattr(part, "numbers", 0) for part in vae.modules())
