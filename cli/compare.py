"""pyrovae compare: show runs in one table and one picture."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pyrovae.config.settings import Config
from pyrovae.errors import InputError, one_of
from pyrovae.figures.names import MOST_BESIDE, MOST_IN_LINE, key
from pyrovae.figures.style import as_png

from .options import check_out, save_out, trusts
from .terminal import say
from .values import NAMED, examples

NOT_COMPARED = {"network", "hidden", "activation", "data_dir", "device", "epochs"}  # network and hidden are one column
FIGURES = ("losses", "rate_distortion")
SHARED = ("dataset", "pixels", "condition", "network", "latent_dim", "likelihood", "prior", "posterior", "objective")
SCORES = {"loss": "loss", "reconstruction": "reconstruction", "kl": "KL"}


@click.command(
    "compare",
    epilog=examples(
        "pyrovae compare results/mine results/other",
        "pyrovae compare results/digits-sweep --figure rate_distortion --out tradeoff.png",
    ),
)
@click.argument("runs", nargs=-1, required=True, type=NAMED)
@click.option("--out", metavar="FILE", type=NAMED, help="the picture, FILE.png")
@click.option("--figure", metavar="NAME", default="losses", help="what it shows: losses or rate_distortion  [losses]")
@click.option("--force", is_flag=True, help="replace the file that --out names")
@trusts
def command(runs: tuple[Path, ...], out: Path | None, figure: str, force: bool, trust: bool) -> None:
    """Compare RUNS, folders of runs or of sweeps: a table of the test losses and, with --out, a picture.

    Runs of one dataset, pixel protocol, likelihood and condition are ranked by test loss; others are only listed, with
    what differs. Runs that differ in their seeds alone are averaged in a second table. Side by side with their figures:
    pyrovae report RUNS.
    """
    check_out(out, (".png",), force)
    one_of("figure", figure, FIGURES)
    if figure != "losses" and out is None:
        raise InputError(f"figure: expected --out FILE.png beside {figure}, got none")
    from pyrovae.runs.comparison import best_row, loss_differences, over_seeds

    opened = finished(runs, trust)
    differing = loss_differences(opened)
    if figure == "rate_distortion" and differing:
        raise InputError(f"figure rate_distortion: expected runs of one protocol, got {differing}")
    if not differing:
        opened.sort(key=lambda run: run.summary["best"]["test"]["loss"])
    rows = over_seeds(opened, [name for name in _varying(opened) if name != "seed"])
    picture, numbers = (None, {}) if out is None else _drawn(figure, opened, rows)
    _show(opened)
    if differing:
        say(f"not ranked: numbers of different protocols do not compare: {differing}")
    if len(rows) < len(opened):
        from .tables import show_means

        show_means(rows, best_row(rows, opened))
    if out is not None and picture is not None:
        save_out(out, as_png(picture))
        if numbers:
            say(f"in the picture: {', '.join(f'{number} = {name}' for number, name in numbers.items())}")
        say(out)


def finished(paths: Sequence[Path], trust: bool) -> list[Any]:
    """Open the runs, all of them finished. If there are several paths, files and folders of figures are left out."""
    from pyrovae.runs.sweep import runs_at

    several = len(paths) > 1
    passed = [path for path in paths if several and (path.is_file() or _is_figures(path))]
    every = [run for path in paths if path not in passed for run in runs_at(path, trust)]
    opened = [*{run.path.resolve(): run for run in every}.values()]  # named twice, or beside their sweep: once
    if not opened:
        raise InputError(f"run: expected a run folder with a config.toml, got {', '.join(map(str, paths))}")
    for run in opened:
        if not run.finished:
            hint = f"go on with: pyrovae train --resume --out {shlex.quote(str(run.path))}"
            raise InputError(f"run: expected a finished run at {run.path}, got one without summary.json; {hint}")
    return opened


def _is_figures(path: Path) -> bool:
    return path.name == "figures" and (path.parent / "sweep.json").exists()


def _drawn(figure: str, runs: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, str]]:
    """Return the picture, and the names that it shows by numbers."""
    if figure == "losses":
        from pyrovae.figures.curves import comparison

        unique = len({run.path.name for run in runs}) == len(runs)
        records = {run.path.name if unique else str(run.path): run.metrics for run in runs}
        return comparison(records), key([*records], MOST_IN_LINE)
    from pyrovae.commands.sweep import label_of
    from pyrovae.figures.tradeoff import rate_distortion

    labelled = {}
    for row in rows:
        label = row["runs"][0] if len(row["runs"]) == 1 else label_of(row["settings"])
        labelled[label if label not in labelled else f"{label}, {row['runs'][0]}"] = row
    return rate_distortion(labelled), key([*labelled], MOST_BESIDE)


def _varying(runs: Sequence[Any]) -> list[str]:
    """Return the settings that differ between the runs."""
    names = [name for name in Config.model_fields if name not in ("data_dir", "device")]
    return [name for name in names if len({getattr(run.config, name) for run in runs}) > 1]


def _settings(run: Any) -> dict[str, str]:
    from pyrovae.runs.card import network_of

    config = run.config
    names = [name for name in Config.model_fields if name not in NOT_COMPARED]
    return {"run": run.path.name, "network": network_of(config)} | {name: str(getattr(config, name)) for name in names}


def _scores(run: Any) -> dict[str, str]:
    best = run.summary["best"]
    return {"epoch": str(best["epoch"])} | {name: f"{best['test'][key]:.2f}" for key, name in SCORES.items()}


def _estimate(run: Any) -> dict[str, str]:
    evaluation = run.evaluation
    if evaluation is None:
        return {"log p(x)": "–", "K": "–", "images": "–"}
    error = "" if evaluation["standard_error"] is None else f" ± {evaluation['standard_error']:.2f}"
    return {
        "log p(x)": f"{evaluation['log_likelihood']:.2f}{error}",
        "K": f"{evaluation['samples']:,}",
        "images": f"{evaluation['images']:,}",
    }


def _show(runs: Sequence[Any]) -> None:
    """Print what all runs share above the table, and what differs as its columns."""
    from pyrovae.runs.comparison import estimate_differences

    from .tables import show

    settings, scores = [_settings(run) for run in runs], [_scores(run) for run in runs]
    if any(run.evaluation for run in runs):
        scores = [line | _estimate(run) for line, run in zip(scores, runs)]
    differ = [name for name in settings[0] if name == "run" or len({row[name] for row in settings}) > 1]
    shared = ", ".join(f"{name} {settings[0][name]}" for name in SHARED if name not in differ)
    say(f"test set, nats per image; all: {shared}")
    show([{name: row[name] for name in differ} | line for row, line in zip(settings, scores)], [*scores[0]])
    if "K" in scores[0]:
        say("log p(x): importance sampling with K samples, ± its standard error over the images")
    if differing := estimate_differences(runs):
        say(f"log p(x) is not to be compared: {differing}")
