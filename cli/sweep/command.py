"""pyrovae sweep: listed values become runs, and a table."""

from pathlib import Path

import click

from pyrovae.config.grid import combinations

from ..options import SettingsCommand, starts
from ..train.command import RESULTS, check_config, name_of, texts_of
from ..values import NAMED, Whole, examples


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
    **given: tuple[str, ...],
) -> None:
    """Train every combination of the listed values, each in a process of its own; then a table of means over the seeds.

    Any setting takes values between commas: --latent-dim 2,10,50 --seed 0,1,2. Alternatives for --hidden stand between
    semicolons: --hidden '128,128;512,256'. A repeated flag adds values. Called again, it goes on where it was stopped.

    The runs go to DIR, the table to DIR/sweep.json, two figures to DIR/figures; pyrovae compare DIR and
    pyrovae report DIR show them again.
    """
    listed = {name: values for name, values in given.items() if values}
    grid = combinations(texts_of(preset_name, config_file), listed)
    for config in grid.configs.values():
        check_config(config, config_file, listed)
    dataset = {"dataset": listed["dataset"][0]} if "dataset" in listed else {}
    path = out or RESULTS / f"{name_of(preset_name, config_file, dataset)}-sweep"
    from .run import sweep  # torch is imported from here on

    sweep(path, grid, jobs, evaluate, figures, force, batched)
