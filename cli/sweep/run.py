"""One sweep: what `pyrovae sweep` does once torch is there."""

import contextlib
import itertools
import time
from pathlib import Path
from typing import Any

import click

from pyrovae import __version__
from pyrovae.config.grid import ONE_FOR_ALL, Grid
from pyrovae.config.settings import Config
from pyrovae.data.data import Data, load
from pyrovae.errors import InputError
from pyrovae.figures.style import Unfit
from pyrovae.figures.tradeoff import rate_distortion, sweep_figure
from pyrovae.inference import choose_device
from pyrovae.programs.build import build
from pyrovae.runs.comparison import best_of, comparable_by, differences, over_seeds
from pyrovae.runs.run import Run
from pyrovae.runs.sweep import batched_groups, is_done, prepare, save_sweep
from pyrovae.runs.trust import named
from pyrovae.training.fit import fit

from ..tables import label_of, show_means
from ..train.progress import SweepProgress
from .workers import Workers, cores

TICK = 0.2  # seconds between two looks at the workers


def sweep(
    path: Path, grid: Grid, jobs: int | None, samples: int | None, figures: bool, force: bool, batched: bool
) -> None:
    """Train what is left to train of the runs in `path`; then write and show what all of them came to."""
    _check(grid, samples is not None)
    any_config = next(iter(grid.configs.values()))
    jobs = jobs or (1 if choose_device(any_config.device).type == "cuda" else cores())
    runs = prepare(path, grid, force)
    where = any_config.model_dump(mode="json", include=set(ONE_FOR_ALL))
    left = {name: run for name, run in runs.items() if not is_done(run, samples, figures)}
    groups = batched_groups(left, jobs) if batched else [(name,) for name in left]
    in_batches = sum(len(group) for group in groups if len(group) > 1)
    click.echo(
        f"{len(runs)} runs in {path}: {len(runs) - len(left)} done, {len(left)} to do,"
        f" {jobs} at a time" + (f", {in_batches} of them in batched programs" if batched else "")
    )
    task = {"where": where, "samples": samples, "figures": figures}
    try:
        failed = _work({names: _whose(names, runs, grid) | task for names in groups}, runs, jobs)
    except KeyboardInterrupt:
        click.echo("pyrovae: interrupted; the same command goes on from the last epochs", err=True)
        raise SystemExit(130) from None
    _report(path, grid, {name: run for name, run in runs.items() if name not in failed}, failed)
    for name, reason in failed.items():
        click.echo(f"pyrovae: {name} failed: {reason}", err=True)
    if failed:
        raise SystemExit(1)


def _whose(names: tuple[str, ...], runs: dict[str, Run], grid: Grid) -> dict[str, Any]:
    """The runs of a task, and what of a user's own the command line named for them."""
    return {
        "paths": [str(runs[name].path) for name in names],
        "repeated": [named(grid.configs[name]) for name in names],
    }


def _check(grid: Grid, evaluated: bool) -> None:
    """Build all models, so that settings that do not fit each other are found before any run starts."""
    data: dict[Any, Data] = {}
    checked: set[str] = set()
    for name, config in grid.configs.items():
        choose_device(config.device)
        config = config.replace(seed=0, device="cpu")  # the parent leaves the accelerator to its workers
        source = (config.dataset, config.data_dir, config.image_size, config.pixels, config.validation)
        if config.to_toml() in checked:
            continue
        checked.add(config.to_toml())
        try:
            images = data[source] = data.get(source) or load(config)
            vae = fit(build(config, images.shape, len(images.classes)), images, config).vae
            if evaluated and not vae.has_kl:
                raise InputError("evaluate: expected a posterior that is a density, got a plain autoencoder")
        except InputError as error:
            raise InputError(f"{name.rpartition(',')[0] or name}: {error}") from None


def _work(tasks: dict[tuple[str, ...], dict[str, Any]], runs: dict[str, Run], jobs: int) -> dict[str, str]:
    """Do the tasks, each for the runs of these names; the reasons of the runs that failed."""
    failed: dict[str, str] = {}
    if not tasks:
        return failed
    epochs = {name: run.config.epochs for name, run in runs.items()}
    done = epochs.keys() - itertools.chain(*tasks)
    with Workers(tasks, jobs) as workers, SweepProgress(epochs, done) as progress:
        while workers.busy:
            for names, (reason, warnings) in workers.step().items():
                for line in warnings:
                    progress.say(line)
                task = tasks[names]
                for name in names:
                    if reason is not None and not is_done(runs[name], task["samples"], task["figures"]):
                        failed[name] = reason
                    loss = "" if name in failed else f"test loss {runs[name].summary['best']['test']['loss']:.2f}"
                    progress.end(name, f"failed: {failed[name]}" if name in failed else loss)
            progress.show({name: _epochs_of(runs[name]) for names in workers.running for name in names})
            time.sleep(TICK)
    return failed


def _epochs_of(run: Run) -> int:
    return len(run.metrics) if (run.path / "metrics.jsonl").exists() else 0


def _report(path: Path, grid: Grid, runs: dict[str, Run], failed: dict[str, str]) -> None:
    """Table, sweep.json and figures of the runs that are done."""
    if not runs:
        return
    done = [*runs.values()]
    rows, differing = over_seeds(done, grid.swept), differences(done)
    best = best_of(rows, done)
    content = {
        "swept": {name: _values(grid, name) for name in (*grid.swept, "seed")},
        "protocol": None if differing else comparable_by(done[0]),
        "differing": differing,
        "unit": "nats per image, test set",
        "best": best,
        "rows": rows,
        "failed": failed,
        "versions": {"pyrovae": __version__},
    }
    save_sweep(path, content, _figures(rows, grid, bool(differing)))
    show_means(rows, best)
    if differing:
        click.echo(f"not ranked: numbers of different protocols do not compare: {differing}")
    click.echo(f"{path / 'sweep.json'}, figures in {path / 'figures'}")


def _figures(rows: list[dict[str, Any]], grid: Grid, differing: bool) -> dict[str, Any]:
    labelled = {label_of(row["settings"]): row for row in rows}
    drawn = {"sweep": sweep_figure(labelled, grid.swept)}
    if not differing:
        with contextlib.suppress(Unfit):  # plain autoencoders have no rate
            drawn["rate_distortion"] = rate_distortion(labelled)
    return drawn


def _values(grid: Grid, name: str) -> list[Any]:
    def value(config: Config) -> Any:
        return getattr(config, name)

    return list(dict.fromkeys(map(value, grid.configs.values())))
