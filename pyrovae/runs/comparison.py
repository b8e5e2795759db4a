"""Decide whether the numbers of several runs may be compared, and average runs over their seeds."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence

from pyrovae.config.grid import ONE_FOR_ALL
from pyrovae.config.settings import Config
from pyrovae.config.values import BITS
from pyrovae.runs.run import Run
from pyrovae.runs.schema import Comparable, OverSeeds, Row


def comparable_by(run: Run) -> Comparable:
    """Return all that two runs must have in common for their losses to be compared."""
    config, summary = run.config, run.summary
    return {
        "dataset": config.dataset,
        "image_size": config.image_size,
        "pixels": summary["protocol"],
        "condition": config.condition,
        "likelihood": _likelihood(config),
        "density": summary["density"],
        "loss": summary["loss"],
        "test images": summary["images"]["test"],
    }


def _likelihood(config: Config) -> str:
    """Say which likelihoods compare: all of bytes, masses of the same 256 values, or bounds on them; else one alone."""
    if config.pixels in BITS:
        return f"any of {config.pixels}"
    return config.likelihood + (" given totals" if config.library_size == "observed" else "")


def loss_differences(runs: Sequence[Run]) -> str:
    """Name the properties in which runs differ, so that their losses do not compare; "" if there are none."""
    return "; ".join(_differences(runs, [comparable_by(run) for run in runs]))


def estimate_differences(runs: Sequence[Run]) -> str:
    """Name what differs between the estimates of log p(x), so that they do not compare; "" if nothing does."""
    evaluated = [(run, evaluation) for run in runs if (evaluation := run.evaluation) is not None]
    return "; ".join(
        _differences(
            [run for run, _ in evaluated],
            [{"K": evaluation["samples"], "images": evaluation["images"]} for _, evaluation in evaluated],
        )
    )


def _differences(runs: Sequence[Run], properties: Sequence[Comparable]) -> Iterable[str]:
    """Yield each property in which runs differ, with the runs that have each value: `K 1000 (a, b), 10 (c)`."""
    for name in properties[0] if properties else ():
        runs_by_value: dict[object, list[str]] = {}
        for run, values in zip(runs, properties):
            runs_by_value.setdefault(values[name], []).append(run.path.name)
        if len(runs_by_value) > 1:
            yield f"{name} " + ", ".join(f"{value} ({_some(names)})" for value, names in runs_by_value.items())


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def over_seeds(runs: Sequence[Run], names: Sequence[str]) -> list[Row]:
    """Average runs that differ in their seeds alone: one row for each such group, with its settings `names`.

    A row has `accuracy` if the program infers labels, and `log_likelihood` and `active_units` if all of its runs were
    evaluated. No row has these two if the evaluations of `runs` used different numbers of samples or images.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        all_but_seed = run.config.model_dump(mode="json", exclude={"seed", *ONE_FOR_ALL})
        groups.setdefault(json.dumps(all_but_seed), []).append(run)
    estimates_compare = not estimate_differences(runs)
    return [_row(group, names, estimates_compare) for group in groups.values()]


def _row(runs: Sequence[Run], names: Sequence[str], with_estimates: bool) -> Row:
    scores = [run.summary["best"]["test"] for run in runs]
    row: Row = {
        "settings": {name: getattr(runs[0].config, name) for name in names},
        "runs": [run.path.name for run in runs],
        "loss": mean_and_sd([one["loss"] for one in scores]),
        "reconstruction": mean_and_sd([one["reconstruction"] for one in scores]),
        "kl": mean_and_sd([one["kl"] for one in scores]),
    }
    accuracies = [accuracy for run in runs if (accuracy := run.summary["best"].get("accuracy")) is not None]
    if len(accuracies) == len(runs):
        row["accuracy"] = mean_and_sd(accuracies)
    evaluations = [evaluation for run in runs if (evaluation := run.evaluation) is not None]
    if not with_estimates or len(evaluations) < len(runs):
        return row
    row["log_likelihood"] = mean_and_sd([one["log_likelihood"] for one in evaluations])
    row["samples"], row["images"] = evaluations[0]["samples"], evaluations[0]["images"]
    active_units = [one.get("latents", {}).get("active_units") for one in evaluations]
    known = [count for count in active_units if count is not None]
    if len(known) == len(runs):
        row["active_units"] = mean_and_sd(known)
    return row


def mean_and_sd(values: Sequence[float]) -> OverSeeds:
    """Return the mean and the sample standard deviation, which is None for a single value."""
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": math.fsum(values) / len(values), "sd": sd, "n": len(values), "values": list(values)}


def best_row(rows: Sequence[Row], runs: Sequence[Run]) -> int | None:
    """Return the index of the row with the least mean loss; None for a single row, or if the losses do not compare."""
    if len(rows) < 2 or loss_differences(runs):
        return None
    return min(range(len(rows)), key=lambda i: rows[i]["loss"]["mean"])
