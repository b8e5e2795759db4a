"""The description of a run that a notebook shows: its model, its epochs and its scores."""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from pyrovae.config.settings import Config, as_text
from pyrovae.display import number
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.registry import parameters_of
from pyrovae.runs.schema import Evaluation, Latents, Summary
from pyrovae.training.record import Record


class RunFolder(Protocol):
    """The part of `pyrovae.runs.run.Run` that is described. `run.py` imports this file, so it cannot name `Run`."""

    path: Path

    @property
    def config(self) -> Config: ...
    @property
    def finished(self) -> bool: ...
    @property
    def metrics(self) -> list[Record]: ...
    @property
    def summary(self) -> Summary: ...
    @property
    def evaluation(self) -> Evaluation | None: ...


def describe(run: RunFolder) -> dict[str, str]:
    """Describe a run by name and value. Raises no error: a value from a damaged file reads "unreadable: why"."""
    rows = {"folder": str(run.path)}
    for name, describe_part in PARTS.items():
        try:
            if text := describe_part(run):
                rows[name] = text
        except Exception as error:  # somebody else's folder may contain anything
            rows[name] = f"unreadable: {error}"
    return rows


def as_line(rows: Mapping[str, str], without: Iterable[str] = ()) -> str:
    """Join the rows of `describe` to one line: `digits, ...; epochs 2; test loss 39.10 nats per image`."""
    shown = {name: value for name, value in rows.items() if name not in without}
    return "; ".join(value if name == "model" else f"{name} {value}" for name, value in shown.items())


def in_one_line(config: Config) -> str:
    """Summarise a config: `digits, grey pixels; mlp 128,128, 2 latent dimensions; ...`."""
    given = config.condition.replace(",", ", ")
    context = {"none": "", "label": " given labels"}.get(config.condition, f" given {given}")
    dimensions = f"{as_text(config.latent_dim)} latent dimension{'' if config.latent_dim == 1 else 's'}"
    program = "" if config.program == "vae" else f"{config.program}, "
    if config.program == "discrete":
        return (
            f"{config.dataset}{context}, {config.pixels} pixels; {program}{network_of(config)}, {config.variables}"
            f" symbols of {config.symbols}, {config.gradient}; {config.likelihood} likelihood, {config.objective}"
        )
    return (
        f"{config.dataset}{context}, {config.pixels} pixels; {program}{network_of(config)}, {dimensions};"
        f" {config.likelihood} likelihood, {config.prior} prior, {config.posterior} posterior, {config.objective}"
    )


def network_of(config: Config) -> str:
    """Name the network, with the widths of its layers if `hidden` says them: `mlp 128,128`."""
    member = NETWORKS.get(config.network)
    layered = member is not None and "hidden" in parameters_of(member)
    return f"{config.network} {as_text(config.hidden)}" if layered else config.network


def _model(run: RunFolder) -> str:
    return in_one_line(run.config)


def _epochs(run: RunFolder) -> str:
    done = len(run.metrics) if (run.path / "metrics.jsonl").exists() else 0
    return f"{done:,}" if run.finished else f"{done:,} of {run.config.epochs:,}, unfinished"


def _loss(run: RunFolder) -> str:
    return f"{number(run.summary['best']['test']['loss'])} {run.summary['unit']}" if run.finished else ""


def _log_likelihood(run: RunFolder) -> str:
    return "" if (evaluation := run.evaluation) is None else estimate(evaluation)


def estimate(evaluation: Evaluation) -> str:
    """Write log p(x) with its standard error: `−82.76 ± 0.22`."""
    error = "" if evaluation["standard_error"] is None else f" ± {number(evaluation['standard_error'])}"
    return number(evaluation["log_likelihood"]) + error


def mutual_information(latents: Latents) -> str:
    """Write bounds of I(x; z): `9.19 to 17.30`; of an earlier version of 0.1, the lower one: `≥ 9.19, saturated`."""
    if "mutual_information" in latents:
        return f"≥ {number(latents['mutual_information'])}" + (", saturated" if is_saturated(latents) else "")
    return _between(latents.get("mutual_information_lower"), latents.get("mutual_information_upper"))


def marginal_kl(latents: Latents) -> str:
    """Write bounds of KL(q(z) ‖ p(z)): `1.20 to 9.31`; of an earlier version of 0.1, the upper one: `≤ 17.51`."""
    if "marginal_kl" in latents:
        return f"≤ {number(latents['marginal_kl'])}"
    return _between(latents.get("marginal_kl_lower"), latents.get("marginal_kl_upper"))


def is_saturated(latents: Latents) -> bool:
    """Say whether the lower bound of I(x; z) is at its end, log N: above log N − log 2.

    A code is then as dense under its own image as under all the others together, and the bound says no more.
    """
    lower = latents.get("mutual_information", latents.get("mutual_information_lower", 0.0))
    return lower > math.log(max(latents.get("images", 1), 1)) - math.log(2) and lower > 0


def _between(lower: float | None, upper: float | None) -> str:
    return "–" if lower is None or upper is None else f"{number(lower)} to {number(upper)}"


PARTS: dict[str, Callable[[RunFolder], str]] = {
    "model": _model,
    "epochs": _epochs,
    "test loss": _loss,
    "log p(x)": _log_likelihood,
}
