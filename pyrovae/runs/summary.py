"""The contents of summary.json: scores, what they were measured on, and how the run was trained."""

import math
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from pyrovae.config import values
from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.parts.contexts import Quadrants
from pyrovae.program import Program
from pyrovae.programs.build import is_density
from pyrovae.runs.schema import Counts, MeasuredOn, Summary
from pyrovae.training.fit import Fit
from pyrovae.training.record import Record


def summarise(config: Config, fit: Fit, records: list[Record]) -> Summary:
    """Return the contents of summary.json from the records of all epochs. Losses are in nats per image."""
    best = records[fit.best_epoch - 1]
    measured = measured_on(config, fit.data, fit.vae, best["test"]["loss"])
    summary: Summary = {
        **measured,  # type: ignore[typeddict-item]  # mypy: a subtype of it may have other keys of a summary
        "images": _counts(fit.data),
        "loss": "negative ELBO" if fit.vae.has_kl else "reconstruction",
        "final": records[-1],
        "best": best,
        "weights": f"epoch {fit.best_epoch}, " + ("best validation loss" if fit.data.validation else "the last"),
    }
    if fit.changed:
        summary["changed"] = fit.changed
    _add_provenance(summary, config, fit, records)
    return summary


def _add_provenance(summary: Summary, config: Config, fit: Fit, records: list[Record]) -> None:
    """Add how the run was trained: on which hardware, by which code, in how many seconds."""
    threads = fit.state.threads or [torch.get_num_threads()]
    summary.update(
        {
            "parameters": sum(p.numel() for p in fit.vae.parameters() if p.requires_grad),
            "seconds": round(sum(record["seconds"] for record in records), 1),
            "device": _hardware(fit.device, threads),
            "threads": threads[-1],
            **({"threads_used": threads} if len(threads) > 1 else {}),
            "precision": config.precision,
            "compiled": fit.compiled,
            "deterministic": {
                "algorithms": torch.are_deterministic_algorithms_enabled(),
                "cudnn": torch.backends.cudnn.deterministic,
            },
            "git": _revision(),
            "versions": {name: version(name) for name in ("pyrovae", "torch", "pyro-ppl")}
            | {"python": platform.python_version()},
        }
    )


def measured_on(config: Config, data: Data, vae: Program, nats: float) -> MeasuredOn:
    """Describe what a score of `nats` per image was measured on; of bytes, also give it in bits per dimension.

    Dequantised pixels give a bound on those of bytes: log P(b) ≥ E_u[log p((b + u)/256)] − D log 256.

    A plain autoencoder has none, as its loss bounds no probability. A dimension is one channel of one pixel. Pixels
    that the model is given are not counted, because it does not score them.
    """
    seen = int(vae.context.seen.sum()) if isinstance(vae.context, Quadrants) else 0
    measured: MeasuredOn = {
        "dataset": config.dataset,
        "condition": config.condition,
        "protocol": config.pixels,
        "density": is_density(config),
        "note": _note(config, vae),
        "unit": f"nats per {data.noun}",
    }
    if config.pixels in values.BITS and vae.has_kl:
        bits = nats / math.log(2) / (math.prod(data.shape) - seen)
        measured["bits_per_dimension"] = bits + values.BITS[config.pixels]
    return measured


def _counts(data: Data) -> Counts:
    if data.validation is None:
        return {"train": len(data.train), "test": len(data.test)}
    return {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)}


def _note(config: Config, vae: Program) -> str:
    notes = []
    if not vae.has_kl:
        notes.append(
            f"posterior {config.posterior}: a plain autoencoder; there is no KL term, the loss is the reconstruction"
        )
    if not is_density(config):
        notes.append(f"{config.likelihood} on {config.pixels} pixels is a relaxed score, not a density")
    elif config.pixels in ("grey", "standardized") and len(vae.shape) == 3:
        notes.append(
            f"{config.likelihood} is a density, and pixels have 256 levels: a narrow one scores them without a ceiling,"
            " so that no number of another likelihood compares"
        )
    if config.library_size != "none":
        notes.append("log p of a row given its total, the library size")
    return "; ".join(notes)


def _revision() -> str | None:
    """Return the git commit of this code, with -dirty if files have changed since; None outside a checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _hardware(device: torch.device, threads: list[int]) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    kind, counts = torch.backends.cpu.get_cpu_capability(), " or ".join(map(str, threads))
    return f"{device.type}, {platform.machine()} with {kind}, {counts} thread{'s' if threads[-1] > 1 else ''}"
