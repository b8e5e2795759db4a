"""Compare the rate of importance sampling with that of its matrix products."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.evaluation.elbo import arguments
from pyrovae.evaluation.importance import IMAGES, Weigher
from pyrovae.programs.build import build

from .measure import wait
from .rows.floor import floor, flops
from .rows.work import Work

SAMPLES, TARGET = 5000, 0.6
STEPS = 100  # of the floor, timed beside the scoring


def scoring(work: Work, repetitions: int) -> dict[str, Any]:
    """Measure the rate at which K = 5,000 codes of a few images are scored, and that of the floor's products.

    Rates are floating-point operations per second; `share` is the median over repetitions of the first over the second.
    """
    config = Config(hidden=work.hidden, latent_dim=work.latent_dim, device=str(work.device))
    images = Images(work.images[:IMAGES])
    data = Data("bench", train=images, test=images)
    vae = build(config, data.shape).to(work.device).eval()
    weigher = Weigher(vae, data, images, SAMPLES, always=True)
    args = arguments(vae, data.batch(images, slice(None)))
    short = replace(work, images=work.images[: STEPS * work.batch_size])
    products = floor(short)
    mine = 2 * len(images) * SAMPLES * work.hidden * (work.latent_dim + work.pixels)
    rates = []
    for _ in range(repetitions + 1):
        rates.append((mine / _timed(lambda: weigher.weigh(*args), work), flops(short) / _timed(products, work)))
    rates = rates[1:]
    return {
        "images": len(images),
        "samples": SAMPLES,
        "rate": statistics.median(rate for rate, _ in rates),
        "floor": statistics.median(rate for _, rate in rates),
        "share": statistics.median(rate / highest for rate, highest in rates),
        "target": TARGET,
    }


def _timed(run: Callable[[], Any], work: Work) -> float:
    wait(work)
    start = time.perf_counter()
    run()
    wait(work)
    return time.perf_counter() - start
