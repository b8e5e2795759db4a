"""The folder of a sweep: its run folders, sweep.json and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from pyrovae.config.grid import ONE_FOR_ALL, Grid
from pyrovae.config.settings import Config, as_text
from pyrovae.errors import InputError
from pyrovae.figures.style import as_png
from pyrovae.runs.files import as_json, cannot_write, write_whole
from pyrovae.runs.run import Run
from pyrovae.runs.schema import SweepContent
from pyrovae.training.batched import alike


def runs_at(path: Path, trust: bool = False) -> list[Run]:
    """Return all runs of the sweep at `path`, or the one run there."""
    if (path / "sweep.json").is_file() and not (path / "config.toml").exists():
        return [Run(config.parent, trust) for config in sorted(path.glob("*/config.toml"))]
    return [Run(path, trust)]


def prepare(path: Path, grid: Grid, force: bool = False) -> dict[str, Run]:
    """Return the runs of a sweep in `path` by name: existing ones with these settings, and new ones.

    Existing runs with other settings raise `InputError`, before anything is written; with `force` they are replaced.
    """
    if (path / "config.toml").exists():
        raise InputError(f"out: expected a folder of runs at {path}, got a run; expected another --out")
    existing = {config.parent.name for config in path.glob("*/config.toml")}
    if not force:
        for name in sorted(existing):
            _expect_settings_of(grid, Run(path / name))
    names = existing & grid.configs.keys()
    kept = {name for name in names if not force or _has_settings(path / name, grid.configs[name])}
    return {
        name: Run(path / name) if name in kept else Run.create(path / name, config, force)
        for name, config in grid.configs.items()
    }


def _has_settings(path: Path, config: Config) -> bool:
    try:
        return not _differing(Run(path).config, [config])
    except InputError:
        return False


def _expect_settings_of(grid: Grid, run: Run) -> None:
    """Raise `InputError` for a run that does not belong to the sweep.

    A run with the name of a combination must have its settings. Any other run may differ in the swept settings.
    """
    name = run.path.name
    configs = [grid.configs[name]] if name in grid.configs else [*grid.configs.values()]
    may_differ = () if name in grid.configs else (*grid.swept, "seed")
    if differing := [setting for setting in _differing(run.config, configs) if setting not in may_differ]:
        setting = differing[0]
        expected = " or ".join(dict.fromkeys(as_text(getattr(config, setting)) for config in configs))
        raise InputError(
            f"out: expected runs with {setting} {expected} in {run.path.parent},"
            f" got {as_text(getattr(run.config, setting))} in {name}; expected --force or another --out"
        )


def _differing(config: Config, others: Sequence[Config]) -> list[str]:
    """Return the names of the settings whose value in `config` occurs in none of the others."""
    names = [name for name in Config.model_fields if name not in ONE_FOR_ALL]
    return [name for name in names if getattr(config, name) not in [getattr(other, name) for other in others]]


def is_evaluated(run: Run, samples: int) -> bool:
    """Whether log p(x) of all test images was estimated from this number of samples."""
    evaluation = run.evaluation
    if evaluation is None:
        return False
    return (evaluation["samples"], evaluation["images"]) == (samples, run.summary["images"]["test"])


def is_drawn(run: Run) -> bool:
    """Whether all figures of the run exist: `losses`, which every run has, is the last that a sweep draws."""
    return (run.path / "figures" / "losses.png").exists()


def is_done(run: Run, samples: int | None, figures: bool) -> bool:
    return run.finished and (not samples or is_evaluated(run, samples)) and (not figures or is_drawn(run))


def batched_groups(runs: Mapping[str, Run], jobs: int) -> list[tuple[str, ...]]:
    """Group the names of runs that can train as one batched program, into enough groups to keep `jobs` processes busy.

    A finished run, or one that may stop early, is a group of its own.
    """
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        alone = run.finished or run.config.patience
        groups.setdefault(name if alone else alike(run.config), []).append(name)
    parts = max(1, jobs // max(1, len(groups)))
    return [tuple(names[k::parts]) for names in groups.values() for k in range(min(parts, len(names)))]


def save_sweep(path: Path, content: SweepContent, figures: Mapping[str, Figure]) -> None:
    """Write sweep.json and figures/*.png into the folder of a sweep."""
    try:
        write_whole(path / "sweep.json", as_json(content))
        (path / "figures").mkdir(exist_ok=True)
        for name, figure in figures.items():
            write_whole(path / "figures" / f"{name}.png", as_png(figure))
    except OSError as error:
        raise cannot_write("out", path, error) from None
