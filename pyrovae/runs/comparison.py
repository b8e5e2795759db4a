"""Many runs: the folder of a sweep, whether the numbers of runs compare, and their means over seeds."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyrovae.config.grid import ONE_FOR_ALL, Grid, as_text
from pyrovae.config.settings import Config
from pyrovae.errors import InputError
from pyrovae.runs.files import as_json, as_png, write_whole
from pyrovae.runs.run import Run
from pyrovae.training.batched import alike

SCORES = ("loss", "reconstruction", "kl")


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


def trained_together(runs: Mapping[str, Run], jobs: int) -> list[tuple[str, ...]]:
    """The runs by name, those in groups that can be trained as one batched program, in as many groups as keep busy."""
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        alone = run.finished or run.config.patience
        groups.setdefault(name if alone else alike(run.config), []).append(name)
    parts = max(1, jobs // max(1, len(groups)))
    return [tuple(names[k::parts]) for names in groups.values() for k in range(min(parts, len(names)))]


def protocol(run: Run) -> dict[str, Any]:
    """What the numbers of a run are measured on and in: those of two runs compare if nothing of it differs."""
    config, summary = run.config, run.summary
    return {
        "dataset": config.dataset,
        "image_size": config.image_size,
        "pixels": summary["protocol"],
        "condition": config.condition,
        # Masses of the same 256 values compare, whatever their form; densities and relaxed scores are less safe.
        "likelihood": "any of bytes" if summary["protocol"] == "bytes" else config.likelihood,
        "density": summary["density"],
        "loss": summary["loss"],
        "test images": summary["images"]["test"],
    }


def differences(runs: Sequence[Run]) -> str:
    """What keeps the numbers of runs from being compared, and which run has which; empty if nothing does."""
    return "; ".join(_by_value(runs, [protocol(run) for run in runs]))


def estimates_differ(runs: Sequence[Run]) -> str:
    """What keeps the estimates of log p(x) of runs from being compared; empty if nothing does."""
    evaluated = [(run, found) for run in runs if (found := run.evaluation) is not None]
    told = [{"K": found["samples"], "images": found["images"]} for _, found in evaluated]
    return "; ".join(_by_value([run for run, _ in evaluated], told))


def _by_value(runs: Sequence[Run], told: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for name in told[0] if told else ():
        having: dict[Any, list[str]] = {}
        for run, properties in zip(runs, told):
            having.setdefault(properties[name], []).append(run.path.name)
        if len(having) > 1:
            yield f"{name} " + ", ".join(f"{value} ({_some(names)})" for value, names in having.items())


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def over_seeds(runs: Sequence[Run], names: Sequence[str]) -> list[dict[str, Any]]:
    """One row for all runs that differ in their seeds alone: the settings `names`, and means over the seeds.

    A score is {"mean", "sd", "n", "values"}, in nats per image; `log_likelihood` and `active_units` are there if all
    runs of the row were evaluated, and all runs with the same number of samples and images.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        alike = run.config.model_dump(mode="json", exclude={"seed", *ONE_FOR_ALL})
        groups.setdefault(json.dumps(alike), []).append(run)
    same_estimate = not estimates_differ(runs)
    return [_row(members, names, same_estimate) for members in groups.values()]


def _row(runs: Sequence[Run], names: Sequence[str], evaluated: bool) -> dict[str, Any]:
    row = {
        "settings": {name: getattr(runs[0].config, name) for name in names},
        "runs": [run.path.name for run in runs],
    }
    test = [run.summary["best"]["test"] for run in runs]
    row |= {key: mean_and_sd([scores[key] for scores in test]) for key in SCORES}
    found = [one for run in runs if (one := run.evaluation) is not None]
    if not evaluated or len(found) < len(runs):
        return row
    row["log_likelihood"] = mean_and_sd([one["log_likelihood"] for one in found])
    row |= {"samples": found[0]["samples"], "images": found[0]["images"]}
    active = [one.get("latents", {}).get("active_units") for one in found]
    return row if None in active else row | {"active_units": mean_and_sd(active)}


def mean_and_sd(values: Sequence[float]) -> dict[str, Any]:
    """The mean and the standard deviation of a sample, which one value does not have."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "sd": sd, "n": len(values), "values": list(values)}


def best_of(rows: Sequence[Mapping[str, Any]], runs: Sequence[Run]) -> int | None:
    """Which row has the least mean loss; None for one row, and where the numbers do not compare."""
    if len(rows) < 2 or differences(runs):
        return None
    return min(range(len(rows)), key=lambda i: rows[i]["loss"]["mean"])


def save_sweep(path: Path, content: Mapping[str, Any], figures: Mapping[str, Any]) -> None:
    """Write sweep.json and figures/*.png into the folder of a sweep."""
    try:
        write_whole(path / "sweep.json", as_json(content))
        (path / "figures").mkdir(exist_ok=True)
        for name, figure in figures.items():
            write_whole(path / "figures" / f"{name}.png", as_png(figure))
    except OSError as error:
        raise InputError(f"out: expected a folder that can be written at {path}, got: {error.strerror}") from None
