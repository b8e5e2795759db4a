"""Train every combination of listed settings, each in a run folder and a process of its own; then compare them."""

import contextlib
import itertools
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pyrovae import __version__
from pyrovae.commands.workers import Task, Workers, cores
from pyrovae.config.grid import ONE_FOR_ALL, Grid, combinations
from pyrovae.config.settings import Config, as_text
from pyrovae.data.data import Data
from pyrovae.data.loading import READ, load
from pyrovae.errors import InputError, at_least, did_you_mean
from pyrovae.figures.style import Unfit
from pyrovae.figures.tradeoff import rate_distortion, sweep_figure
from pyrovae.inference import choose_device
from pyrovae.programs.build import build_for
from pyrovae.runs.comparison import best_row, comparable_by, loss_differences, over_seeds
from pyrovae.runs.files import only_writer, path_of
from pyrovae.runs.run import Run
from pyrovae.runs.schema import Row, SweepContent
from pyrovae.runs.sweep import batched_groups, is_done, prepare, save_sweep
from pyrovae.runs.trust import to_repeat
from pyrovae.training.fit import fit
from pyrovae.training.objective import without_effect

TICK = 0.2  # seconds between two looks at the workers

Settings = Mapping[str, object]


@dataclass(frozen=True)
class Running:
    """The epochs done so far of each run that is being trained."""

    epochs: dict[str, int]


@dataclass(frozen=True)
class Ended:
    """A run that has ended: well, or for the reason `failure`."""

    name: str
    failure: str | None


def sweep(
    path: Path | str,
    grid: Grid | Settings,
    jobs: int | None = None,
    evaluate: int | None = None,
    figures: bool = True,
    batched: bool = False,
    force: bool = False,
) -> SweepContent:
    """Train every combination of settings in the folder `path`, as `pyrovae sweep` does; return what sweep.json holds.

    In `grid` a list holds the values of a setting, and anything else is one value for all runs:
    `{"latent_dim": [2, 10], "seed": [0, 1, 2], "epochs": 20}`, or `{"hidden": [(128, 128), (512, 256)]}`. `jobs` runs
    are trained at a time, by default as many as CPU cores, or 1 on CUDA, each in a process of its own; with `batched`
    runs of one architecture are trained as one batched program. `evaluate` is the number of samples with which log p(x)
    is estimated, too. Runs that are done are kept, and others go on where they were stopped; `force` replaces runs of
    other settings.

    The table's `failed` names the runs that failed, and why. Raises `InputError` for bad settings before a folder is
    made. Ctrl-C ends the processes, and the same call goes on from the last epochs.

    >>> from tempfile import TemporaryDirectory
    >>> settings = {"seed": [0, 1], "epochs": 1, "hidden": 16, "device": "cpu"}
    >>> with TemporaryDirectory() as folder:
    ...     table = sweep(folder, settings, batched=True, jobs=1, figures=False)
    >>> table["rows"][0]["runs"], table["rows"][0]["loss"]["n"]
    (['seed=0', 'seed=1'], 2)
    """
    work = Sweep(path, grid, jobs, evaluate, figures, batched, force)
    with contextlib.closing(iter(work)) as events:
        for _ in events:
            pass
    return work.finish()


class Sweep:
    """One sweep, step by step, for a caller who shows its progress; `sweep` does all of it.

    Making one checks all settings and makes the run folders. The loop trains what is left to train and yields `Running`
    and `Ended`, and warnings as text; close it to end the processes early. `finish` then writes sweep.json.
    """

    def __init__(
        self,
        path: Path | str,
        grid: Grid | Settings,
        jobs: int | None = None,
        evaluate: int | None = None,
        figures: bool = True,
        batched: bool = False,
        force: bool = False,
    ) -> None:
        at_least(1, **{name: n for name, n in {"jobs": jobs, "evaluate": evaluate}.items() if n is not None})
        self.path, self.grid = path_of("out", path), grid if isinstance(grid, Grid) else grid_of(grid)
        self.samples, self.figures, self.batched = evaluate, figures, batched
        self.grid = _checked(self.grid, evaluate is not None)
        any_config = next(iter(self.grid.configs.values()))
        self.jobs = jobs or (1 if choose_device(any_config.device).type == "cuda" else cores())
        with only_writer(self.path):
            self.runs = prepare(self.path, self.grid, force)
        self.where = any_config.model_dump(mode="json", include=set(ONE_FOR_ALL))
        self.left = {name: run for name, run in self.runs.items() if not self._is_done(run)}
        self.groups = batched_groups(self.left, self.jobs) if batched else [(name,) for name in self.left]
        self.failed: dict[str, str] = {}

    def __iter__(self) -> Generator[Running | Ended | str, None, None]:
        if not self.groups:
            return
        tasks = {names: self._task(names) for names in self.groups}
        with only_writer(self.path), Workers(tasks, self.jobs) as workers:
            while workers.busy:
                for names, (failure, warnings) in workers.step().items():
                    yield from warnings
                    yield from self._ended(names, failure)
                yield Running({name: _epochs_of(self.runs[name]) for name in itertools.chain(*workers.running)})
                time.sleep(TICK)

    def finish(self) -> SweepContent:
        """Compare the runs that are done; write sweep.json and two figures, if there are such runs."""
        runs = [run for name, run in self.runs.items() if name not in self.failed]
        rows, differing = over_seeds(runs, self.grid.swept), loss_differences(runs)
        table: SweepContent = {
            "swept": {name: _values(self.grid, name) for name in (*self.grid.swept, "seed")},
            "protocol": None if differing or not runs else comparable_by(runs[0]),
            "differing": differing,
            "unit": "nats per image, test set",
            "best": best_row(rows, runs),
            "rows": rows,
            "failed": self.failed,
            "versions": {"pyrovae": __version__},
        }
        if runs:
            save_sweep(self.path, table, _figures(rows, self.grid.swept, compare=not differing))
        return table

    def _is_done(self, run: Run) -> bool:
        return is_done(run, self.samples, self.figures)

    def _task(self, names: Sequence[str]) -> Task:
        """Name the work on these runs, and the classes and paths of the user's own that each may load."""
        return {
            "paths": [str(self.runs[name].path) for name in names],
            "repeated": [to_repeat(self.grid.configs[name]) for name in names],
            "where": self.where,
            "samples": self.samples,
            "figures": self.figures,
        }

    def _ended(self, names: Sequence[str], failure: str | None) -> Iterator[Ended]:
        """Yield the outcome of each run of a task. If a batch has failed, some of its runs may still be done."""
        for name in names:
            if failure is not None and not self._is_done(self.runs[name]):
                self.failed[name] = failure
            yield Ended(name, self.failed.get(name))


def grid_of(settings: Settings) -> Grid:
    """Return all combinations of the listed settings: a list holds several values, anything else is one value."""
    for name in settings:
        if name not in Config.model_fields:
            raise InputError(f"unknown setting {name!r}{did_you_mean(name, Config.model_fields)}")
    values = {name: value if isinstance(value, list) else [value] for name, value in settings.items()}
    listed = {name: [as_text(one) for one in several if one is not None] for name, several in values.items()}
    return combinations([], {name: texts for name, texts in listed.items() if texts})


def label_of(settings: Settings) -> str:
    """Return the name of a combination in a picture: `latent_dim 10, beta 0.5`."""
    return ", ".join(f"{name} {as_text(value)}" for name, value in settings.items()) or "all seeds"


def _checked(grid: Grid, evaluated: bool) -> Grid:
    """Build all models, so that settings that do not fit each other are refused before any run starts.

    A setting for all runs that some models read and others do not, as `components` beside several priors, is left out
    of the others.
    """
    loaded: dict[tuple[object, ...], Data] = {}
    left_out: dict[str, dict[str, str]] = {}  # of each model, by its config without a seed
    configs: dict[str, Config] = {}
    for name, config in grid.configs.items():
        choose_device(config.device)
        model = config.replace(seed=0, device="cpu")  # the accelerator is left to the workers
        source = tuple(getattr(config, setting) for setting in READ)
        key = model.to_toml()
        try:
            if key not in left_out:
                data = loaded[source] = loaded.get(source) or load(model)
                vae = build_for(model, data)
                unread = without_effect(vae, model)
                left_out[key] = {name: message for name, message in unread.items() if name not in grid.swept}
                vae.unread = {name: message for name, message in vae.unread.items() if name in grid.swept}
                vae = fit(vae, data, model.without(left_out[key])).vae
                if evaluated and not vae.has_kl:
                    raise InputError("evaluate: expected a posterior that is a density, got a plain autoencoder")
        except InputError as error:
            raise InputError(f"{name.rpartition(',')[0] or name}: {error}") from None
        configs[name] = config.without(left_out[key])
    for name, message in next(iter(left_out.values())).items():
        if all(name in others for others in left_out.values()):
            raise InputError(message)
    return Grid(grid.swept, configs)


def _epochs_of(run: Run) -> int:
    return len(run.metrics) if (run.path / "metrics.jsonl").exists() else 0


def _figures(rows: Sequence[Row], swept: Sequence[str], compare: bool) -> dict[str, Figure]:
    labelled = {label_of(row["settings"]): row for row in rows}
    drawn = {"sweep": sweep_figure(labelled, swept)}
    if compare:
        with contextlib.suppress(Unfit):  # plain autoencoders have no rate
            drawn["rate_distortion"] = rate_distortion(labelled)
    return drawn


def _values(grid: Grid, name: str) -> list[Any]:
    def value(config: Config) -> Any:
        return getattr(config, name)

    return list(dict.fromkeys(map(value, grid.configs.values())))
