"""pyrovae explore: a page on which the latent space is walked through."""

from pathlib import Path

import click

from .options import check_out, repeated_of, repeats, save_out
from .values import NAMED, examples


@click.command(
    "explore", epilog=examples("pyrovae explore results/digits", "pyrovae explore results/digits --out page.html")
)
@click.argument("run", type=NAMED)
@click.option("--out", metavar="FILE", type=NAMED, help="a .html  [RUN/explore.html]")
@click.option("--force", is_flag=True, help="replace the file that --out names")
@repeats
def command(run: Path, out: Path | None, force: bool, **given: str) -> None:
    """Write one HTML file that holds the model of RUN and decodes in the browser, with no server and no network."""
    check_out(out, (".html",), force)
    from pyrovae.pages.explorer import explore
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(given))
    page = explore(opened)
    if out is None:
        out = opened.save_page("explore", page)
    else:
        save_out(out, page.encode())
    click.echo(f"{out}: {len(page.encode()) / 1e6:.1f} MB")
