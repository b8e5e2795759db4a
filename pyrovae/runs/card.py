"""What a run folder says of itself in a notebook."""

from collections.abc import Iterable, Mapping
from typing import Any

from pyrovae.config.settings import in_one_line
from pyrovae.display import number


def told_of(run: Any) -> dict[str, str]:
    """What a run folder is and came to. Raises nothing: of a file that is damaged it says so."""
    told = {"folder": str(run.path)}
    for name, read in {"model": _model, "epochs": _epochs, "test loss": _loss, "log p(x)": _estimate}.items():
        try:
            if value := read(run):
                told[name] = value
        except Exception as error:  # whatever somebody else's folder may hold
            told[name] = f"unreadable: {error}"
    return told


def in_brackets(told: Mapping[str, str], but: Iterable[str] = ()) -> str:
    return "; ".join(value if name == "model" else f"{name} {value}" for name, value in told.items() if name not in but)


def _model(run: Any) -> str:
    return in_one_line(run.config)


def _epochs(run: Any) -> str:
    done = len(run.metrics) if (run.path / "metrics.jsonl").exists() else 0
    return f"{done:,}" if run.finished else f"{done:,} of {run.config.epochs:,}, unfinished"


def _loss(run: Any) -> str:
    return f"{number(run.summary['best']['test']['loss'])} nats per image" if run.finished else ""


def _estimate(run: Any) -> str:
    return "" if (found := run.evaluation) is None else estimate(found)


def estimate(found: Mapping[str, Any]) -> str:
    """`−82.76 ± 0.22`: log p(x) and its standard error."""
    error = "" if found["standard_error"] is None else f" ± {number(found['standard_error'])}"
    return number(found["log_likelihood"]) + error
