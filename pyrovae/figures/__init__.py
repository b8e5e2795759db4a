"""Matplotlib figures of a model, its data and its training; no training here, and no files.

A figure is a function that asks by name for what it draws: `vae`, `data`, `metrics` (records of epochs) or `progress`.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from matplotlib.figure import Figure

from pyrovae.errors import one_of
from pyrovae.figures.curves import losses
from pyrovae.figures.images import (
    completions,
    conditions,
    interpolations,
    manifold,
    progress,
    reconstructions,
    samples,
    traversals,
)
from pyrovae.figures.latent import kl_per_dimension, latent
from pyrovae.figures.style import Unfit
from pyrovae.inference import seeded

FIGURES: dict[str, Callable[..., Figure]] = {
    "losses": losses,
    "reconstructions": reconstructions,
    "samples": samples,
    "latent": latent,
    "manifold": manifold,
    "progress": progress,
    "interpolations": interpolations,
    "traversals": traversals,
    "kl_per_dimension": kl_per_dimension,
    "conditions": conditions,
    "completions": completions,
}


def draw(run: Any, names: Iterable[str] = ()) -> Iterator[tuple[str, Figure]]:
    """The named figures of a run, or all that fit it; the same for the same seed.

    Raises `InputError` for an unknown name, and for a named figure that does not fit the run.
    """
    chosen = {name: FIGURES[one_of("figure", name, FIGURES)] for name in names}
    for name, function in (chosen or FIGURES).items():
        asked = {part: getattr(run, part) for part in inspect.signature(function).parameters}
        try:
            with seeded(run.config.seed):
                figure = function(**asked)
        except Unfit:
            if chosen:
                raise
        else:
            yield name, figure
