"""The tables of a report: a row for each number or setting, a cell for each run."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyrovae.config.settings import Config, as_text
from pyrovae.display import number
from pyrovae.evaluation.importance import reliable_k
from pyrovae.runs.card import estimate
from pyrovae.runs.comparison import estimate_differences
from pyrovae.runs.run import Run

NONE = "–"


@dataclass(frozen=True)
class Row:
    """One row; `about` says what it is, `best` in which cell the best number is."""

    name: str
    cells: list[str]
    about: str = ""
    best: int | None = None

    @property
    def empty(self) -> bool:
        return all(cell == NONE for cell in self.cells)


def headline(runs: Sequence[Run], ranked: bool) -> list[Row]:
    """The test loss, its two parts and what there is beside it."""
    tests = [run.summary["best"]["test"] for run in runs]
    best = 0 if ranked and len(runs) > 1 else None  # they are in this order
    loss = " or ".join(sorted({run.summary["loss"] for run in runs}))
    bits = [number(run.summary.get("bits_per_dimension"), 3) for run in runs]
    rows = [
        Row("test loss", [number(test["loss"]) for test in tests], f"{loss}, nats per image", best),
        Row("reconstruction", [number(test["reconstruction"]) for test in tests], "−E log p(x | z), nats per image"),
        Row("KL", [number(test["kl"]) for test in tests], "of q(z | x) from the prior, nats per image"),
        Row("bits per dimension", bits, "of the test loss"),
        _estimates(runs, ranked),
    ]
    return [row for row in rows if not row.empty]


def _estimates(runs: Sequence[Run], ranked: bool) -> Row:
    found = [run.evaluation for run in runs]
    cells = [NONE if one is None else estimate(one) for one in found]
    known = [(one["log_likelihood"], i) for i, one in enumerate(found) if one is not None]
    best = max(known)[1] if ranked and len(known) > 1 and not estimate_differences(runs) else None
    about = {f"K = {one['samples']:,}" for one in found if one is not None}
    told = f"{', '.join(sorted(about))}; ± standard error; nats per image"
    return Row(_likelihood(runs), cells, told, best)


def _likelihood(runs: Iterable[Run]) -> str:
    return "log p(x | y)" if all(run.config.condition != "none" for run in runs) else "log p(x)"


def evaluation(runs: Sequence[Run]) -> list[Row]:
    """What `pyrovae evaluate` found, and how far it can be trusted; nothing where no run was evaluated."""
    found: list[Mapping[str, Any]] = [run.evaluation or {} for run in runs]
    if not any(found):
        return []
    annealed = [_part(one, "annealed") for one in found]

    def row(name: str, of: Callable[[Any], str], about: str = "", told: Sequence[Any] = found) -> Row:
        return Row(name, [of(one) if one else NONE for one in told], about)

    rows = [
        row(_likelihood(runs), estimate, "importance sampling from the guide; a lower bound in expectation"),
        row("ELBO", lambda one: number(one.get("elbo")), "of the same samples"),
        row("gap", _gap, "between the two: what the guide misses"),
        row("bits per dimension", lambda one: number(one.get("bits_per_dimension"), 3)),
        row("samples K", lambda one: number(one["samples"], 0), "of z for each image"),
        row("test images", lambda one: number(one["images"], 0)),
        row("effective samples", lambda one: number(one.get("effective_samples"), 0), "of K, median over the images"),
        row("Pareto k̂", lambda one: number(one.get("pareto_k")), "of the weights' tail, median"),
        row("images above the limit", _unreliable, "of k̂ up to which K samples can be trusted"),
        row("annealed", lambda one: number(one.get("log_likelihood")), "annealed importance sampling", annealed),
        row("annealed, difference", _annealed_difference, "from importance sampling of the same images", annealed),
        row("annealed, of", _annealed_how, "images, chains, steps", annealed),
        row("pixels", lambda one: _text(one.get("protocol"))),
        row("a density", lambda one: _yes(one.get("density"))),
        row("seed", lambda one: number(one.get("seed"), 0), "of the samples"),
    ]
    return [row for row in rows if not row.empty]


def _part(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _gap(found: Mapping[str, Any]) -> str:
    estimates = found["log_likelihood"], found.get("elbo", NONE)
    return NONE if NONE in map(number, estimates) else number(estimates[0] - estimates[1])


def _yes(value: Any) -> str:
    return {"True": "yes", "False": "no"}.get(str(value), NONE)


def _unreliable(found: Mapping[str, Any]) -> str:
    share = percent(found.get("unreliable_share"))
    return share if share == NONE else f"{share} above {reliable_k(found['samples']):.2f}"


def percent(share: Any) -> str:
    text = number(share)
    return text if text == NONE else f"{share:.1%}"


def _annealed_difference(found: Mapping[str, Any]) -> str:
    error = number(found.get("standard_error"))
    return number(found.get("difference")) + ("" if error == NONE else f" ± {error}")


def _annealed_how(found: Mapping[str, Any]) -> str:
    return ", ".join(number(found.get(name), 0) for name in ("images", "chains", "steps"))


def latents(runs: Sequence[Run]) -> list[Row]:
    """How the codes of the test images use the latent space."""
    found = [_part(run.evaluation or {}, "latents") for run in runs]

    def row(name: str, key: str, form: Callable[[Any], str], about: str) -> Row:
        return Row(name, [form(one.get(key)) for one in found], about)

    rows = [
        Row("active units", list(map(_active, runs, found)), "dimensions whose mean varies, by more than 0.01"),
        row("mutual information", "mutual_information", number, "of image and code, nats; at most the next row"),
        Row("log N", list(map(_most_information, found)), "what the index of a test image holds, nats"),
        row("marginal KL", "marginal_kl", number, "of all codes from the prior; with the mutual information, the KL"),
        row("label from five neighbours", "knn_accuracy", percent, "accuracy of the label read from the code"),
        row("label by a linear probe", "probe_accuracy", percent, "likewise, by logistic regression"),
    ]
    return [row for row in rows if not row.empty]


def _active(run: Run, found: Mapping[str, Any]) -> str:
    """As evaluated, or else of the epoch whose weights are kept."""
    units = number(found.get("active_units", run.summary["best"].get("active_units")), 0)
    return units if units == NONE else f"{units} of {number(run.config.latent_dim, 0)}"


def _most_information(found: Mapping[str, Any]) -> str:
    count: Any = found.get("images")
    if "mutual_information" not in found or number(count) == NONE or count <= 0:
        return NONE
    return number(math.log(count))


def settings(runs: Sequence[Run]) -> tuple[list[Row], list[Row], list[Row]]:
    """What differs between the runs, what differs from the default in all of them, and the rest."""
    rows: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
    for name, field in Config.model_fields.items():
        values = [getattr(run.config, name) for run in runs]
        *cells, default = ["none" if value is None else as_text(value) for value in (*values, field.default)]
        which = 0 if len({*cells}) > 1 else 1 if values[0] != field.default else 2
        rows[which].append(Row(name, [*cells, default], field.description or ""))
    return rows


def origin(runs: Sequence[Run]) -> list[Row]:
    """Where the numbers come from: images, weights, time, device, versions."""
    summaries = [run.summary for run in runs]

    def row(name: str, of: Callable[[Any], str], about: str = "") -> Row:
        return Row(name, [of(summary) for summary in summaries], about)

    def version(package: str) -> Row:
        return row(package, lambda one: _text(_part(one, "versions").get(package)))

    rows = [
        row("images", _images),
        row("epochs", lambda one: number(one["final"]["epoch"], 0)),
        row("weights", lambda one: _text(one.get("weights"))),
        row("parameters", lambda one: number(one.get("parameters"), 0)),
        row("time", lambda one: _duration(one.get("seconds")), "of all epochs"),
        row("device", lambda one: _text(one.get("device"))),
        row("threads", lambda one: number(one.get("threads"), 0)),
        row("compiled step", lambda one: _yes(one.get("compiled"))),
        row("precision", lambda one: _text(one.get("precision"))),
        row("deterministic", _deterministic),
        *(version(package) for package in ("pyrovae", "torch", "pyro-ppl", "python")),
        row("git", lambda one: _text(one.get("git"))),
    ]
    return [row for row in rows if not row.empty]


def _images(summary: Mapping[str, Any]) -> str:
    return ", ".join(f"{number(count, 0)} {name}" for name, count in summary["images"].items())


def _deterministic(summary: Mapping[str, Any]) -> str:
    found = _part(summary, "deterministic")
    return ", ".join(f"{name} {_yes(value)}" for name, value in found.items()) or NONE


def _duration(seconds: Any) -> str:
    if number(seconds) == NONE:
        return NONE
    hours, minutes = divmod(round(seconds / 60), 60)
    told = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
    return f"{number(seconds, 1)} s" + (f" ({told})" if seconds > 120 else "")


def _text(value: Any, most: int = 200) -> str:
    """What a file says, in one line of text; a dash where it says nothing."""
    text = NONE if value is None else " ".join(str(value).split())
    return text if len(text) <= most else text[: most - 1] + "…"
