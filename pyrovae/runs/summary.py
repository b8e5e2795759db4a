"""What a finished run says of itself: numbers, protocol, versions, device."""

import math
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.parts.contexts import Quadrants
from pyrovae.programs.build import is_density
from pyrovae.training.fit import Fit
from pyrovae.vae import VAE


def summarise(config: Config, fit: Fit, records: list[dict[str, Any]]) -> dict[str, Any]:
    """The contents of summary.json, from the records of all epochs. Losses are in nats per image."""
    return {
        **measured_on(config, fit.data, fit.vae, records[fit.best_epoch - 1]["test"]["loss"]),
        "images": {name: len(images) for name, images in _sets(fit.data).items()},
        "loss": "negative ELBO" if fit.vae.has_kl else "reconstruction",
        "final": records[-1],
        "best": records[fit.best_epoch - 1],
        "weights": f"epoch {fit.best_epoch}, " + ("best validation loss" if fit.data.validation else "the last"),
        **({"changed": fit.changed} if fit.changed else {}),
        "parameters": sum(p.numel() for p in fit.vae.parameters() if p.requires_grad),
        "seconds": round(sum(record["seconds"] for record in records), 1),
        "device": _hardware(fit.device),
        "threads": torch.get_num_threads(),
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


def changes(config: Config, other: Config) -> dict[str, Any]:
    """What a run goes on with otherwise than it began, of all that changes its numbers: {name: [before, after]}."""
    pairs = {name: [getattr(config, name), getattr(other, name)] for name in ("lr", "grad_clip", "on_nan")}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _sets(data: Data) -> dict[str, Any]:
    sets = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: images for name, images in sets.items() if images is not None}


def measured_on(config: Config, data: Data, vae: VAE, nats: float) -> dict[str, Any]:
    """What a number of `nats` is measured on and in; bytes have it in bits for each pixel and channel, too."""
    seen = vae.context.seen.sum().item() if isinstance(vae.context, Quadrants) else 0
    scored = math.prod(data.shape) - seen
    told = {
        "dataset": config.dataset,
        "condition": config.condition,
        "protocol": config.pixels,
        "density": is_density(config),
        "note": _note(config, vae),
        "unit": "nats per image",
    }
    return told | ({"bits_per_dimension": nats / math.log(2) / scored} if config.pixels == "bytes" else {})


def _note(config: Config, vae: VAE) -> str:
    notes = []
    if not vae.has_kl:
        notes.append(
            f"posterior {config.posterior}: a plain autoencoder; there is no KL term, the loss is the reconstruction"
        )
    if not is_density(config):
        notes.append(f"{config.likelihood} on {config.pixels} pixels is a relaxed score, not a density")
    return "; ".join(notes)


def _revision() -> str | None:
    """Of the checkout that this code lies in, if it does, and whether something in it is changed."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    told = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(told, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    kind, threads = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}", torch.get_num_threads()
    return f"{device.type}, {kind}, {threads} thread{'s' if threads > 1 else ''}"
