"""pyrovae sweep: train a run for every combination of listed values, and compare the runs in a table."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrovae.commands.folders import RESULTS
from pyrovae.config.grid import combinations

from .interrupts import answered
from .options import SettingsCommand
from .starts import check_config, name_of, starts, texts_of
from .terminal import say
from .values import NAMED, Whole, examples

if TYPE_CHECKING:
    from pyrovae.commands.sweep import Sweep
    from pyrovae.runs.schema import SweepContent

INTERRUPTED = "interrupted; the same command goes on from the last epochs"


@click.command(
    "sweep",
    cls=SettingsCommand,
    lists=True,
    epilog=examples(
        "pyrovae sweep --latent-dim 2,10 --seed 0,1,2",
        "pyrovae sweep --preset mnist-vae --beta 0.5,1,2 --seed 0,1 --evaluate 500",
    ),
)
@starts
@click.option("--out", metavar="DIR", type=NAMED, help="the folder of the runs  [results/NAME-sweep]")
@click.option("--jobs", metavar="N", type=Whole(), help="runs at a time  [as many as CPU cores; 1 on CUDA]")
@click.option("--evaluate", metavar="K", type=Whole(), help="estimate log p(x) with K samples, too")
@click.option("--figures/--no-figures", default=True, help="draw the figures of each run  [yes]")
@click.option("--batched", is_flag=True, help="train runs of one architecture as one batched program")
@click.option("--force", is_flag=True, help="replace runs of other settings that --out holds")
def command(
    preset_name: str | None,
    config_file: Path | None,
    out: Path | None,
    jobs: int | None,
    evaluate: int | None,
    figures: bool,
    batched: bool,
    force: bool,
    **flags: tuple[str, ...],
) -> None:
    """Train every combination of the listed values, each in a process of its own; then a table of means over the seeds.

    Any setting takes values between commas: --latent-dim 2,10,50 --seed 0,1,2. Alternatives for --hidden, and for a
    --condition of columns, stand between semicolons: --hidden '128,128;512,256'. A repeated flag adds values. Called
    again, it goes on where it was stopped.

    The runs go to DIR, the table to DIR/sweep.json, two figures to DIR/figures; pyrovae compare DIR and
    pyrovae report DIR show them again.
    """
    listed = {name: values for name, values in flags.items() if values}
    grid = combinations(texts_of(preset_name, config_file), listed)
    for config in grid.configs.values():
        check_config(config, config_file, listed)
    path = out or RESULTS / f"{name_of(preset_name, config_file, listed.get('dataset', (None,))[0])}-sweep"
    from pyrovae.commands.sweep import Sweep  # imports torch

    sweep = Sweep(path, grid, jobs, evaluate, figures, batched, force)
    _show_start(sweep)
    if sweep.groups:
        try:
            with answered(lambda: INTERRUPTED):
                _show_runs(sweep)
        except KeyboardInterrupt:
            say(f"pyrovae: {INTERRUPTED}", err=True)
            raise SystemExit(130) from None
    _show_table(sweep.finish(), sweep.path)
    for name, failure in sweep.failed.items():
        say(f"pyrovae: {name} failed: {failure}", err=True)
    if sweep.failed:
        raise SystemExit(1)


def _show_start(sweep: "Sweep") -> None:
    runs, left = len(sweep.runs), len(sweep.left)
    in_batches = sum(len(group) for group in sweep.groups if len(group) > 1)
    batched = f", {in_batches} of them in batched programs" if sweep.batched else ""
    say(f"{runs} runs in {sweep.path}: {runs - left} done, {left} to do, {sweep.jobs} at a time{batched}")


def _show_runs(sweep: "Sweep") -> None:
    from pyrovae.commands.sweep import Ended

    from .progress import SweepProgress

    epochs = {name: run.config.epochs for name, run in sweep.runs.items()}
    with closing(iter(sweep)) as events, SweepProgress(epochs, epochs.keys() - sweep.left.keys()) as progress:
        for event in events:
            if isinstance(event, str):
                progress.say(event)
            elif isinstance(event, Ended):
                progress.end(event.name, f"failed: {event.failure}" if event.failure else _loss(sweep, event.name))
            else:
                progress.show(event.epochs)


def _loss(sweep: "Sweep", name: str) -> str:
    return f"test loss {sweep.runs[name].summary['best']['test']['loss']:.2f}"


def _show_table(table: "SweepContent", path: Path) -> None:
    from .tables import show_means

    if not table["rows"]:
        return
    show_means(table["rows"], table["best"])
    if differing := table["differing"]:
        say(f"not ranked: numbers of different protocols do not compare: {differing}")
    say(f"{path / 'sweep.json'}, figures in {path / 'figures'}")
