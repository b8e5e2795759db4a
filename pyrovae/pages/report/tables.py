"""The tables of a report: one row for each number or setting, with one cell for each run.

A run folder may come from anyone, so every value that is optional in its files is checked before it is shown.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pyrovae.config.settings import Config, as_text
from pyrovae.display import number
from pyrovae.runs.card import estimate
from pyrovae.runs.comparison import estimate_differences
from pyrovae.runs.run import Run
from pyrovae.runs.schema import Units

NONE = "–"  # a cell for which the run has no value


@dataclass(frozen=True)
class TableRow:
    """One row of a table."""

    name: str
    cells: list[str]
    about: str = ""  # what the number is
    best: int | None = None  # the cell with the best number

    @property
    def empty(self) -> bool:
        return all(cell == NONE for cell in self.cells)


def headline(runs: Sequence[Run], ranked: bool) -> list[TableRow]:
    """Return rows for the loss, its terms, bits per dimension and log p(x); `ranked` runs are sorted by their loss."""
    tests = [run.summary["best"]["test"] for run in runs]
    best = 0 if ranked and len(runs) > 1 else None
    loss = " or ".join(sorted({run.summary["loss"] for run in runs}))
    unit = _units(run.summary for run in runs)
    bits = [number(run.summary.get("bits_per_dimension"), 3) for run in runs]
    rows = [
        TableRow("test loss", [number(test["loss"]) for test in tests], f"{loss}, {unit}", best),
        TableRow("reconstruction", [number(test["reconstruction"]) for test in tests], f"−E log p(x | z), {unit}"),
        TableRow("KL", [number(test["kl"]) for test in tests], f"of q(z | x) from the prior, {unit}"),
        TableRow("bits per dimension", bits, "the test loss in bits per pixel and channel"),
        _log_likelihoods(runs, ranked),
    ]
    return [row for row in rows if not row.empty]


def _log_likelihoods(runs: Sequence[Run], ranked: bool) -> TableRow:
    evaluations = [run.evaluation for run in runs]
    cells = [NONE if evaluation is None else estimate(evaluation) for evaluation in evaluations]
    estimates = [(evaluation["log_likelihood"], i) for i, evaluation in enumerate(evaluations) if evaluation]
    best = max(estimates)[1] if ranked and len(estimates) > 1 and not estimate_differences(runs) else None
    unit = _units(evaluation for evaluation in evaluations if evaluation)
    samples = {f"K = {evaluation['samples']:,}" for evaluation in evaluations if evaluation}
    about = f"importance sampling, {', '.join(sorted(samples))}; ± standard error; {unit}"
    return TableRow(likelihood_name(runs), cells, about, best)


def _units(contents: Iterable[Units]) -> str:
    return " or ".join(sorted({content.get("unit", "nats") for content in contents}))


def likelihood_name(runs: Iterable[Run]) -> str:
    """Return the name of the likelihood in the tables, with y if all runs have a context."""
    return "log p(x | y)" if all(run.config.condition != "none" for run in runs) else "log p(x)"


def settings(runs: Sequence[Run]) -> tuple[list[TableRow], list[TableRow], list[TableRow]]:
    """Sort the settings into those that differ, those that all runs changed alike, and those with default values.

    The last cell of each row is the default.
    """
    rows: tuple[list[TableRow], list[TableRow], list[TableRow]] = ([], [], [])
    for name, field in Config.model_fields.items():
        values = [getattr(run.config, name) for run in runs]
        *cells, default = ["none" if value is None else as_text(value) for value in (*values, field.default)]
        which = 0 if len({*cells}) > 1 else 1 if values[0] != field.default else 2
        rows[which].append(TableRow(name, [*cells, default], field.description or ""))
    return rows


def origin(runs: Sequence[Run]) -> list[TableRow]:
    """Return rows that say where the numbers come from: images, weights, time, device, versions."""

    def row(name: str, cell: Callable[[Mapping[str, object]], str], about: str = "") -> TableRow:
        return TableRow(name, [cell(run.summary) for run in runs], about)

    def version(package: str) -> TableRow:
        return row(package, lambda summary: one_line(part(summary, "versions").get(package)))

    rows = [
        row("images", _images),
        TableRow("epochs", [number(run.summary["final"]["epoch"], 0) for run in runs]),
        row("weights", lambda summary: one_line(summary.get("weights"))),
        row("parameters", lambda summary: number(summary.get("parameters"), 0)),
        row("time", lambda summary: _duration(summary.get("seconds")), "for all epochs"),
        row("device", lambda summary: one_line(summary.get("device"))),
        row("threads", _threads),
        row("compiled step", lambda summary: yes_or_no(summary.get("compiled"))),
        row("precision", lambda summary: one_line(summary.get("precision"))),
        row("deterministic", _deterministic),
        *(version(package) for package in ("pyrovae", "torch", "pyro-ppl", "python")),
        row("git", lambda summary: one_line(summary.get("git"))),
    ]
    return [row for row in rows if not row.empty]


def _images(summary: Mapping[str, object]) -> str:
    return ", ".join(f"{number(count, 0)} {name}" for name, count in part(summary, "images").items())


def _threads(summary: Mapping[str, object]) -> str:
    used = summary.get("threads_used")
    return " or ".join(number(count, 0) for count in (used if isinstance(used, list) else [summary.get("threads")]))


def _deterministic(summary: Mapping[str, object]) -> str:
    algorithms = part(summary, "deterministic")
    return ", ".join(f"{name} {yes_or_no(value)}" for name, value in algorithms.items()) or NONE


def _duration(seconds: object) -> str:
    """Write a duration in seconds, and if it was long also in hours and minutes."""
    if not isinstance(seconds, int | float) or number(seconds) == NONE:
        return NONE
    hours, minutes = divmod(round(seconds / 60), 60)
    long = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
    return f"{number(seconds, 1)} s" + (f" ({long})" if seconds > 120 else "")


def part(content: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return the object called `name` in a file's content, or an empty one if there is none."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def yes_or_no(value: object) -> str:
    return {"True": "yes", "False": "no"}.get(str(value), NONE)


def percent(share: object) -> str:
    return f"{share:.1%}" if isinstance(share, int | float) and number(share) != NONE else NONE


def one_line(value: object, most: int = 200) -> str:
    """Write a value from a file as one line of at most `most` characters; a dash for None."""
    text = NONE if value is None else " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"
