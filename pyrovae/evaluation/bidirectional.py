"""Bound log p(x) of images drawn from a model from both sides, to say how far annealing is to be trusted."""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import TypedDict

import pyro
import torch
from pyro import poutine
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.evaluation.annealing import CHAINS, annealed_at_once, bidirectional_log_weights
from pyrovae.evaluation.elbo import arguments, sites_of_images
from pyrovae.evaluation.importance import expect_density
from pyrovae.inference.parameters import hidden
from pyrovae.inference.sites import is_latent
from pyrovae.inference.threads import Threads
from pyrovae.inference.traces import sample_sites
from pyrovae.program import Program


def simulated_bounds(
    vae: Program, data: Data, images: Images, chains: int = CHAINS, steps: int = 200
) -> Iterator[dict[str, Tensor]]:
    r"""Draw as many images as there are from the model, and bound their log p(x | y); yields tensors (n,) for batches.

    Of an image that the model has drawn, the code that it was drawn with is an exact draw of p(z | x, y), from which
    chains run back (`bidirectional_log_weights`). `lower` and `upper`, in nats, are bounds in expectation, and `lower`
    is the annealed estimate; so their distance is at least its mean error on such images. If the real images are not
    too unlike them, it is about as large there. Conditional models draw images for the contexts of `images`. Yields
    nothing if the model observes more than images, such as which values are missing.
    """
    expect_density(vae)
    vae.eval()
    if any(site.observed and site.name != vae.image for site in sites_of_images(vae, data, images).values()):
        return
    n, threads = annealed_at_once(vae, data, images, chains), defaultdict[int, Threads](lambda: Threads(vae.device))
    for start in range(0, len(images), n):
        x, y = arguments(vae, data.batch(images, slice(start, start + n)))
        x, latents = _simulated(vae, y, len(x))
        forward, backward = bidirectional_log_weights(
            vae.model, vae.guide, latents, chains, steps, x, y, threads=threads
        )
        yield {
            "lower": torch.logsumexp(forward, 0) - math.log(chains),
            "upper": math.log(chains) - torch.logsumexp(-backward, 0),
        }


@torch.no_grad()
def _simulated(vae: Program, y: Tensor | None, n: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Draw n images from the model, and return them with the latents that they were drawn with."""
    with pyro.validation_enabled(False), hidden():
        sites = sample_sites(poutine.trace(vae.model).get_trace(None, y, n))
    drawn = {name: site["value"] for name, site in sites.items() if is_latent(site)}
    return drawn.pop(vae.image), drawn


class Simulated(TypedDict):
    """Mean bounds of log p(x) of images drawn from the model, and their distance with its standard error, in nats.

    The upper one is None if there is none, as where the inverse of a guide's flow overflows.
    """

    lower_bound: float
    upper_bound: float | None
    gap: float | None  # upper − lower
    standard_error: float | None  # of the gap; None for a single image, too
    images: int


def summarise_bounds(batches: list[dict[str, Tensor]]) -> Simulated:
    """Return the means over the images of what `simulated_bounds` yielded."""
    lower, upper = (torch.cat([batch[name].cpu() for batch in batches]) for name in ("lower", "upper"))
    gap, n, known = upper - lower, len(lower), bool(upper.isfinite().all())
    return {
        "lower_bound": lower.mean().item(),
        "upper_bound": upper.mean().item() if known else None,
        "gap": gap.mean().item() if known else None,
        "standard_error": (gap.std() / math.sqrt(n)).item() if known and n > 1 else None,
        "images": n,
    }
