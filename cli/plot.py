"""pyrovae plot: draw the figures of a run."""

from pathlib import Path

import click

from .completion import of_figure
from .options import repeated_of, repeats
from .terminal import say
from .values import NAMED, examples


@click.command("plot", epilog=examples("pyrovae plot results/digits", "pyrovae plot results/digits latent samples"))
@click.argument("run", type=NAMED)
@click.argument("figures", nargs=-1, metavar="[FIGURE ...]", shell_complete=of_figure)
@repeats
def command(run: Path, figures: tuple[str, ...], **repeated: str | bool | None) -> None:
    """Draw all the figures that fit RUN, a folder of `pyrovae train`, or the ones named (pyrovae list figures).

    They go to RUN/figures, and from there to a page by pyrovae report RUN.
    """
    from pyrovae.figures import draw
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(repeated))
    for name, figure in list(draw(opened, figures)):  # draw all before saving any, so that an error leaves no file
        say(opened.save_figure(name, figure))
