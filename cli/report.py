"""pyrovae report: write a page about a run, or about several side by side."""

from pathlib import Path

import click

from .compare import finished
from .options import check_out, save_out, trusts
from .terminal import say
from .values import NAMED, examples


@click.command(
    "report",
    epilog=examples(
        "pyrovae report results/digits", "pyrovae report results/mnist-vae results/mnist-cvae --out both.html"
    ),
)
@click.argument("runs", nargs=-1, required=True, type=NAMED)
@click.option(
    "--out", metavar="FILE", type=NAMED, help="the page, FILE.html  [RUN/report.html; for several runs report.html]"
)
@click.option("--force", is_flag=True, help="replace the file that --out names, or report.html for several runs")
@trusts
def command(runs: tuple[Path, ...], out: Path | None, force: bool, trust: bool) -> None:
    """Write one HTML page about RUNS, folders of runs or of sweeps: numbers, curves, figures, settings, versions.

    `pyrovae train` writes this page for each run. Several runs are shown side by side, and ranked by their test loss if
    they share dataset, pixel protocol, likelihood and condition. The page is a single file to send or print, with its
    figures inside; pyrovae plot RUN draws figures that it lacks.
    """
    check_out(out, (".html",), force)
    opened = finished(runs, trust)
    if out is None and len(opened) > 1:
        out = Path("report.html")
        check_out(out, (".html",), force)
    from pyrovae.pages.report import page, save

    if out is None:
        say(save(opened[0]))
    else:
        save_out(out, page(opened).encode())
        say(out)
