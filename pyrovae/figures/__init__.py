"""Matplotlib figures of a model, its data and its training.

A figure is a function whose parameters name what it draws: `vae`, `data`, `metrics` (records of epochs) or `progress`
(reconstructions by epoch). It neither trains nor writes files.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from matplotlib.figure import Figure

from pyrovae.config.settings import Config
from pyrovae.errors import one_of
from pyrovae.figures.classes import confusion
from pyrovae.figures.clusters import clusters
from pyrovae.figures.columns import imputations, marginals, pairs
from pyrovae.figures.conditions import conditions
from pyrovae.figures.curves import losses
from pyrovae.figures.images import (
    completions,
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
from pyrovae.inference.threads import few, using

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
    "confusion": confusion,
    "clusters": clusters,
    "marginals": marginals,
    "pairs": pairs,
    "imputations": imputations,
}


class Drawable(Protocol):
    """A run or a fit: it has a config, and an attribute for each parameter of the figures that are to be drawn."""

    @property
    def config(self) -> Config: ...


def draw(run: Drawable, names: Iterable[str] = ()) -> Iterator[tuple[str, Figure]]:
    """Draw the named figures of a run, or all that fit it if none is named; the seed of its config fixes what is drawn.

    Raises `InputError` for an unknown name, and for a named figure that does not fit the run.
    """
    chosen = {name: FIGURES[one_of("figure", name, FIGURES)] for name in names}
    for figure_name, function in (chosen or FIGURES).items():
        arguments = {name: getattr(run, name) for name in inspect.signature(function).parameters}
        try:
            with seeded(run.config.seed), using(run.config.threads), few():
                figure = function(**arguments)
        except Unfit:
            if chosen:
                raise
        else:
            yield figure_name, figure
