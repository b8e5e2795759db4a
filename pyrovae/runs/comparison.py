"""Whether the numbers of several runs compare, and their means over seeds."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyrovae.config.grid import ONE_FOR_ALL
from pyrovae.runs.run import Run

SCORES = ("loss", "reconstruction", "kl")


def comparable_by(run: Run) -> dict[str, Any]:
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
    return "; ".join(_by_value(runs, [comparable_by(run) for run in runs]))


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
