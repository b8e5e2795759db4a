"""pyrovae plot: the figures of a run."""

from pathlib import Path

import click

from .completion import of_figure
from .options import repeated_of, repeats
from .values import NAMED


@click.command("plot")
@click.argument("run", type=NAMED)
@click.argument("figures", nargs=-1, metavar="[FIGURE ...]", shell_complete=of_figure)
@repeats
def command(run: Path, figures: tuple[str, ...], **given: str) -> None:
    """Draw all the figures that fit RUN into RUN/figures, or the ones named (pyrovae list figures)."""
    from pyrovae.figures import draw
    from pyrovae.runs import Run

    opened = Run(run, **repeated_of(given))
    for name, figure in list(draw(opened, figures)):  # all or none
        click.echo(opened.save_figure(name, figure))
