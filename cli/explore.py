"""pyrovae explore: write a page on which a reader moves through the latent space of a run."""

from pathlib import Path

import click

from .options import check_out, repeated_of, repeats, save_out
from .terminal import say
from .values import NAMED, examples


@click.command(
    "explore", epilog=examples("pyrovae explore results/digits", "pyrovae explore results/digits --out page.html")
)
@click.argument("run", type=NAMED)
@click.option("--out", metavar="FILE", type=NAMED, help="the page, FILE.html  [RUN/explore.html]")
@click.option("--force", is_flag=True, help="replace the file that --out names")
@repeats
def command(run: Path, out: Path | None, force: bool, **repeated: str | bool | None) -> None:
    """Write one HTML file in which the model of RUN encodes and decodes in the browser, without server or network."""
    check_out(out, (".html",), force)
    from pyrovae.pages.explorer import explore
    from pyrovae.runs.run import Run

    opened = Run(run, **repeated_of(repeated))
    page = explore(opened)
    if out is None:
        out = opened.save_page("explore", page)
    else:
        save_out(out, page.encode())
    say(f"{out}: {len(page.encode()) / 1e6:.1f} MB")
