"""pyrovae report: one page about a run, or about several."""

from pathlib import Path

import click

from .compare import finished
from .options import check_out, save_out
from .values import NAMED, examples


@click.command(
    "report",
    epilog=examples(
        "pyrovae report results/digits", "pyrovae report results/mnist-vae results/mnist-cvae --out both.html"
    ),
)
@click.argument("runs", nargs=-1, required=True, type=NAMED)
@click.option(
    "--out", metavar="FILE", type=NAMED, help="the page, FILE.html  [RUN/report.html; of several runs report.html]"
)
@click.option("--force", is_flag=True, help="replace the file that --out names, or report.html of several runs")
def command(runs: tuple[Path, ...], out: Path | None, force: bool) -> None:
    """Write one page of HTML about RUNS, folders of runs or of sweeps: numbers, curves, figures, settings, versions.

    `pyrovae train` writes it for each run. Several runs stand side by side, ranked by their test loss if they have one
    dataset, pixel protocol, likelihood and condition. The page is one file that holds its figures, to send or print;
    those that it lacks are drawn by pyrovae plot RUN.
    """
    check_out(out, (".html",), force)
    opened = finished(runs)
    if out is None and len(opened) > 1:
        out = Path("report.html")
        check_out(out, (".html",), force)
    from pyrovae.pages.report import page, save

    if out is None:
        click.echo(save(opened[0]))
    else:
        save_out(out, page(opened).encode())
        click.echo(out)
