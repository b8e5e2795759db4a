"""Impute missing values: their mean, and draws of them, given what was seen."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.poutine import Trace
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.errors import at_least
from pyrovae.evaluation.elbo import arguments, expect_reads
from pyrovae.evaluation.importance import NUMBERS, expect_density, weighted
from pyrovae.inference.arrays import BATCH
from pyrovae.inference.effects import mean_of
from pyrovae.inference.parameters import hidden
from pyrovae.inference.sites import is_latent, variables_of
from pyrovae.inference.traces import sample_sites
from pyrovae.parts.likelihoods.columns import ByColumn
from pyrovae.program import Program


class Imputed(NamedTuple):
    """A batch of n images or vectors with their missing values filled in, in their own units; the others as they were.

    Units are those of a table's columns; of images, x/255, or 0..255 with `bytes`.
    """

    mean: Tensor  # (n, *shape), E[x_missing | x_seen]
    draws: Tensor  # (draws, n, *shape) from p(x_missing | x_seen)
    effective_samples: Tensor  # (n,)


def impute(program: Program, data: Data, images: object, samples: int = 1000, draws: int = 0) -> Iterator[Imputed]:
    r"""Fill in the missing values, NaN, of batch after batch of images, or of rows of a table; yields `Imputed`.

    `samples` codes are drawn from the guide and weighted by w = p(x_seen, z) / q(z | x). The mean is
    Σ w E[x_missing | z] / Σ w; of a category it is the most probable value. A draw takes a code with probability
    w / Σ w, and x_missing from p(x | z). Both are exact as the number of samples grows; `effective_samples` is
    (Σ w)² / Σ w². Mattei & Frellsen (2019), MIWAE, arXiv:1812.02633. Images in hand, such as an array, are read by
    `Data.images`. Raises `InputError` for a posterior without a density, and for a program that was built without
    `missing`.

    >>> data = Data.of(torch.rand(40, 2), pixels="standardized", missing=torch.rand(40, 2) < 0.3)
    >>> program = build(Config(likelihood="gaussian", pixels="standardized"), data.shape, missing=data.missing)
    >>> (batch,) = impute(program, data, data.test, samples=10, draws=3)
    >>> batch.mean.shape, batch.draws.shape, bool(batch.mean.isnan().any())
    (torch.Size([8, 2]), torch.Size([3, 8, 2]), False)
    """
    images = data.images(images)
    expect_reads(program, data, images.missing > 0)
    at_least(1, samples=samples, images=len(images))
    at_least(0, draws=draws)
    expect_density(program)
    program.eval()
    per_image = samples * program.features * math.prod(data.shape)
    at_once = max(1, min(BATCH, NUMBERS // per_image))
    for start in range(0, len(images), at_once):
        some = images[slice(start, start + at_once)]
        x, y = arguments(program, data.batch(some, slice(None)))
        mean, drawn, effective = _imputed(program, x, y, samples, draws)
        seen = (
            some.images.to_dense().to(x) if x.dim() == 2 else data.pixels.to_own_units(x)
        )  # of a table, without rounding
        mean, drawn = (torch.where(x.isnan(), data.pixels.to_own_units(values), seen) for values in (mean, drawn))
        yield Imputed(mean, drawn, effective)


@torch.no_grad()
def _imputed(program: Program, x: Tensor, y: Tensor | None, samples: int, draws: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean and draws of all values, and the effective samples, taking as many at once as fit in memory.

    Sums of weights are relative to the largest weight so far. A draw has the latents of the largest log w + g, with g
    Gumbel noise, so that they can be chosen part by part.
    """
    n = len(x)
    part = max(1, NUMBERS // (n * program.features * math.prod(x.shape[1:])))
    largest, sums = x.new_full((n,), -math.inf), x.new_zeros(2, n)
    mean, categories = torch.zeros_like(x), dict[int, Tensor]()  # of a category: the weight of each of its values
    best, codes = x.new_full((draws, n), -math.inf), dict[str, Tensor]()  # of each draw: its score, and its latents
    for first in range(0, samples, part):
        log_w, trace = weighted(program.model, program.guide, min(part, samples - first), x, y)
        distribution = sample_sites(trace)[program.image]["fn"]
        batch, log_w = log_w.shape, log_w.flatten(0, -2)  # log_w: (S, n)
        shape = (*batch, *x.shape[1:])
        filled = None if program.filled is None else trace.nodes[program.filled]["value"]
        means = (mean_of(distribution) if filled is None else filled).expand(shape).reshape(-1, *x.shape)
        now = torch.maximum(largest, log_w.max(0).values)
        w = (log_w - now).exp()
        old = (largest - now).exp().nan_to_num()
        mean = mean * _rows(old, x) + torch.einsum("sn,sn...->n...", w, means)
        for column, probabilities in _probabilities(distribution).items():
            weights = probabilities.expand(*shape[:-1], -1).reshape(*log_w.shape, -1)
            before = categories.get(column, torch.zeros_like(weights[0]))
            categories[column] = before * old[:, None] + torch.einsum("sn,snk->nk", w, weights)
        sums = torch.stack([sums[0] * old + w.sum(0), sums[1] * old**2 + w.square().sum(0)])
        largest = now
        if draws:
            noisy = [(log_w - torch.empty_like(log_w).exponential_().log()).max(0) for _ in range(draws)]
            scores, chosen = (torch.stack(each) for each in zip(*noisy))  # (draws, n)
            for name, values in _latents(trace, batch).items():
                taken = values[chosen, torch.arange(n, device=x.device)]
                codes[name] = torch.where(_rows(scores > best, taken), taken, codes.get(name, taken))
            best = torch.maximum(best, scores)
    mean = mean / _rows(sums[0], x)
    for column, weights in categories.items():
        mean[:, column] = weights.argmax(-1).to(mean)
    return mean, _values(program, codes, draws, x, y), sums[0].square() / sums[1]


def _latents(trace: Trace, batch: torch.Size) -> dict[str, Tensor]:
    """Return the latents of a trace with the batch shape (..., samples, n), each as (S, n, ...), all side by side."""
    latents = {}
    for name, site in variables_of(trace).items():
        if is_latent(site):
            event: torch.Size = site["fn"].event_shape
            latents[name] = site["value"].expand(*batch, *event).reshape(-1, batch[-1], *event)
    return latents


def _values(program: Program, codes: dict[str, Tensor], draws: int, x: Tensor, y: Tensor | None) -> Tensor:
    """Draw values (draws, n, *shape) at latents (draws, n, ...): each draw its own, also where they share a latent."""
    if not draws:
        return x.new_zeros(0, *x.shape)
    with pyro.validation_enabled(False), hidden(), pyro.plate("draws", draws, dim=-2):
        trace = poutine.trace(poutine.condition(program.model, codes)).get_trace(x, y)
    site = sample_sites(trace)[program.image if program.filled is None else program.filled]
    values: Tensor = site["fn"].sample() if program.filled is None else site["value"]
    return values.expand(draws, *x.shape)


def _probabilities(distribution: object) -> dict[int, Tensor]:
    """Return the probabilities of the values of each column of a table that is a category."""
    of_values = getattr(getattr(distribution, "base_dist", None), "base", None)
    return of_values.probabilities if isinstance(of_values, ByColumn) else {}


def _rows(values: Tensor, x: Tensor) -> Tensor:
    """Return values (..., n) with as many dimensions as x (..., n, *shape) has."""
    return values.view(*values.shape, *[1] * (x.dim() - values.dim()))
