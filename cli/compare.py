"""pyrovae compare: runs in one table and one picture."""

import shlex
from pathlib import Path
from typing import Any

import click

from pyrovae.cli.options import check_out
from pyrovae.config import Config, InputError

NOT_COMPARED = {"network", "hidden", "activation", "data_dir", "device", "epochs"}  # network and hidden are one column
TOLD = ("dataset", "pixels", "condition", "network", "latent_dim", "likelihood", "prior", "posterior", "objective")


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=Path)
@click.option("--out", type=Path, help="the picture of the test curves, FILE.png")
@click.option("--force", is_flag=True, help="replace the file that --out names")
def command(runs: tuple[Path, ...], out: Path | None, force: bool) -> None:
    """Compare RUNS: a table of the test losses and, with --out, a picture of their curves.

    Runs of one dataset, pixel protocol, likelihood and condition are ranked by test loss; others are only listed.
    """
    check_out(out, (".png",), force)
    from pyrovae.runs import Run

    opened = [Run(path) for path in runs if not path.is_file() or len(runs) == 1]  # results/* names its README too
    for run in opened:
        if not (run.path / "summary.json").exists():
            hint = f"go on with: pyrovae train --resume --out {shlex.quote(str(run.path))}"
            raise InputError(f"run: expected a finished run at {run.path}, got one without summary.json; {hint}")
    kinds = {_kind(run) for run in opened}
    if len(kinds) == 1:
        opened.sort(key=lambda run: run.summary["best"]["test"]["loss"])
    _show([_settings(run) for run in opened], [_scores(run) for run in opened])
    if len(kinds) > 1:
        click.echo("not ranked: these runs differ in dataset, pixels, likelihood, condition or what their loss is")
    if out is not None:
        from pyrovae.figures.curves import comparison

        comparison({str(run.path): run.metrics for run in opened}).savefig(out)
        click.echo(out)


def _kind(run: Any) -> tuple:
    """What makes two losses comparable."""
    config = run.config
    told = (run.summary["protocol"], run.summary["density"], run.summary["loss"])
    return config.dataset, config.image_size, config.likelihood, config.condition, *told


def _settings(run: Any) -> dict[str, str]:
    config = run.config
    network = config.network if config.network != "mlp" else "mlp " + ",".join(map(str, config.hidden))
    names = [name for name in Config.model_fields if name not in NOT_COMPARED]
    return {"run": run.path.name, "network": network} | {name: str(getattr(config, name)) for name in names}


def _scores(run: Any) -> dict[str, str]:
    best = run.summary["best"]
    scores = {"loss": "loss", "reconstruction": "reconstruction", "kl": "KL"}
    return {"epoch": str(best["epoch"])} | {name: f"{best['test'][key]:.2f}" for key, name in scores.items()}


def _show(settings: list[dict[str, str]], scores: list[dict[str, str]]) -> None:
    """What all runs share is said once, above the table; what differs is a column."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    differ = [name for name in settings[0] if name == "run" or len({row[name] for row in settings}) > 1]
    shared = ", ".join(f"{name} {settings[0][name]}" for name in TOLD if name not in differ)
    table = Table()
    for name in (*differ, *scores[0]):
        table.add_column(name, justify="right" if name in scores[0] else "left")
    for row, numbers in zip(settings, scores):
        table.add_row(*(escape(row[name]) for name in differ), *numbers.values())
    click.echo(f"test set, nats per image; all: {shared}")
    Console().print(table)
