"""The folder of a sweep: its runs, and what is written beside them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyrovae.config.grid import ONE_FOR_ALL, Grid
from pyrovae.config.settings import Config, as_text
from pyrovae.errors import InputError
from pyrovae.figures.style import as_png
from pyrovae.runs.files import as_json, write_whole
from pyrovae.runs.run import Run
from pyrovae.training.batched import alike


def runs_at(path: Path) -> list[Run]:
    """The run at `path`; or those of the sweep that is there."""
    if (path / "sweep.json").is_file() and not (path / "config.toml").exists():
        return [Run(config.parent) for config in sorted(path.glob("*/config.toml"))]
    return [Run(path)]


def prepare(path: Path, grid: Grid, force: bool = False) -> dict[str, Run]:
    """The run folders of a sweep in `path`, by name: those that are there, if they are of these settings, and new ones.

    Nothing is written before all that is there has been looked at. With `force` runs of other settings are replaced.
    """
    if (path / "config.toml").exists():
        raise InputError(f"out: expected a folder of runs at {path}, got a run; expected another --out")
    held = {config.parent.name for config in path.glob("*/config.toml")}
    if not force:
        for name in sorted(held):
            _check_same(Run(path / name), grid)
    kept = {name for name in held & grid.configs.keys() if not force or _is_same(path / name, grid.configs[name])}
    return {
        name: Run(path / name) if name in kept else Run.create(path / name, config, force)
        for name, config in grid.configs.items()
    }


def _is_same(path: Path, config: Config) -> bool:
    try:
        return not _differing(Run(path).config, [config])
    except InputError:
        return False


def _check_same(run: Run, grid: Grid) -> None:
    """A run of another combination may differ in what is swept; one of this name in nothing."""
    name = run.path.name
    asked = [grid.configs[name]] if name in grid.configs else [*grid.configs.values()]
    may_differ = () if name in grid.configs else (*grid.swept, "seed")
    if differing := [setting for setting in _differing(run.config, asked) if setting not in may_differ]:
        setting = differing[0]
        wanted = " or ".join(dict.fromkeys(as_text(getattr(config, setting)) for config in asked))
        raise InputError(
            f"out: expected runs with {setting} {wanted} in {run.path.parent},"
            f" got {as_text(getattr(run.config, setting))} in {name}; expected --force or another --out"
        )


def _differing(config: Config, asked: Sequence[Config]) -> list[str]:
    names = [name for name in Config.model_fields if name not in ONE_FOR_ALL]
    return [name for name in names if getattr(config, name) not in [getattr(other, name) for other in asked]]


def is_evaluated(run: Run, samples: int) -> bool:
    """Whether log p(x) of all test images was estimated from so many samples."""
    found = run.evaluation
    return found is not None and (found["samples"], found["images"]) == (samples, run.summary["images"]["test"])


def is_drawn(run: Run) -> bool:
    """Whether all figures are there: a sweep saves losses, which every run has, as the last."""
    return (run.path / "figures" / "losses.png").exists()


def is_done(run: Run, samples: int | None, figures: bool) -> bool:
    return run.finished and (not samples or is_evaluated(run, samples)) and (not figures or is_drawn(run))


def batched_groups(runs: Mapping[str, Run], jobs: int) -> list[tuple[str, ...]]:
    """The runs by name, those in groups that can be trained as one batched program, in as many groups as keep busy."""
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        alone = run.finished or run.config.patience
        groups.setdefault(name if alone else alike(run.config), []).append(name)
    parts = max(1, jobs // max(1, len(groups)))
    return [tuple(names[k::parts]) for names in groups.values() for k in range(min(parts, len(names)))]


def save_sweep(path: Path, content: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write sweep.json and figures/*.png into the folder of a sweep."""
    try:
        write_whole(path / "sweep.json", as_json(content))
        (path / "figures").mkdir(exist_ok=True)
        for name, figure in figures.items():
            write_whole(path / "figures" / f"{name}.png", as_png(figure))
    except OSError as error:
        raise InputError(f"out: expected a folder that can be written at {path}, got: {error.strerror}") from None
