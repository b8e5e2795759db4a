"""One run folder: create, save, load, resume.

config.toml, metrics.jsonl, model.safetensors, checkpoint.pt, summary.json, progress.safetensors and figures/*.png.
"""

import contextlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pyrovae.config import Config, InputError
from pyrovae.data import Data, Pixels, load
from pyrovae.training import Fit
from pyrovae.vae import VAE, build, is_density

PROGRESS_EPOCHS = (1, 3, 5, 10, 20, 30, 40, 50)
FILES = (
    "config.toml",
    "metrics.jsonl",
    "model.safetensors",
    "checkpoint.pt",
    "summary.json",
    "evaluation.json",
    "progress.safetensors",
)


class Run:
    """A run folder. What it holds is read when it is asked for: `config`, `metrics`, `vae`, `data`, `progress`."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / "config.toml").is_file():
            raise InputError(
                f"run: expected a run folder (with a config.toml) at {self.path}, got {_what_is(self.path)}"
            )

    @classmethod
    def create(cls, path: Path | str, config: Config, force: bool = False) -> "Run":
        """A new run folder; a run that is there already is replaced only with `force`."""
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise InputError(f"out: expected a folder at {path}, got a file")
        if (path / "config.toml").exists() and not force:
            raise InputError(f"out: {path} already holds a run; expected --resume, --force or another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in FILES:
                (path / name).unlink(missing_ok=True)
            shutil.rmtree(path / "figures", ignore_errors=True)
            (path / "config.toml").write_text(config.to_toml())
        except OSError as error:
            raise InputError(f"out: expected a folder that can be written at {path}, got: {error.strerror}") from None
        return cls(path)

    @cached_property
    def config(self) -> Config:
        return Config.from_toml((self.path / "config.toml").read_text())

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The records of all epochs so far."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may have cut the last one short

    @property
    def summary(self) -> dict[str, Any]:
        path = self.path / "summary.json"
        return json.loads(path.read_text()) if path.exists() else {}

    @cached_property
    def data(self) -> Data:
        return load(self.config)

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What the weights say of the images they were trained on."""
        with self._opened("model.safetensors") as path, safetensors.safe_open(path, "pt") as file:
            return json.loads(file.metadata()["pyrovae"])

    @cached_property
    def vae(self) -> VAE:
        """The trained model, in evaluation mode, built without the data."""
        vae = build(self.config, tuple(self._about["shape"]), len(self.classes))
        with self._opened("model.safetensors") as path:
            vae.load_state_dict(load_file(path))
        return vae

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self._about["classes"])

    @property
    def pixels(self) -> Pixels:
        return Pixels(**self._about["pixels"])

    @property
    def progress(self) -> dict[str, Tensor]:
        """Images in [0, 1], (n, C, H, W): `original`, and reconstructions by `1`, `3`, ... for the epochs recorded."""
        path = self.path / "progress.safetensors"
        if not path.exists():
            return {}
        held = load_file(path)
        return {name: held[name] / 255 for name in sorted(held, key=lambda name: (name != "original", name.zfill(9)))}

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Path]:
        path = self.path / name
        if not path.exists():
            raise InputError(f"run: expected {name} in {self.path}, got none (published results leave the weights out)")
        try:
            yield path
        except (safetensors.SafetensorError, RuntimeError, KeyError, TypeError) as error:
            raise InputError(f"run: expected the weights of {self.path} in {path}, got: {_first_line(error)}") from None

    def record(self, epoch: dict[str, Any], fit: Fit) -> None:
        """Save an epoch of `fit`: its record, its pictures, its weights if they are the best, and the checkpoint."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(epoch) + "\n")
        if epoch["epoch"] in PROGRESS_EPOCHS:
            self._add_progress(epoch["epoch"], fit)
        if fit.improved:
            about = {"shape": fit.data.shape, "classes": fit.data.classes, "pixels": vars(fit.data.pixels)}
            weights = {name: tensor.contiguous() for name, tensor in fit.vae.state_dict().items()}
            _write(self.path / "model.safetensors", lambda p: save_file(weights, p, {"pyrovae": json.dumps(about)}))
        self.save(fit)

    def save(self, fit: Fit) -> None:
        """Save the checkpoint, from which `resume` goes on."""
        _write(self.path / "checkpoint.pt", lambda p: torch.save(fit.state_dict(), p))

    def resume(self, fit: Fit, config: Config) -> None:
        """Set `fit` to the last checkpoint and the config to what goes on, and drop records of later epochs."""
        path = self.path / "checkpoint.pt"
        if not path.exists():
            raise InputError(f"resume: expected checkpoint.pt in {self.path}, got none")
        try:
            state = torch.load(path, map_location=fit.device, weights_only=True)
        except Exception as error:  # torch raises many kinds for a broken file
            raise InputError(f"resume: expected a checkpoint at {path}, got: {_first_line(error)}") from None
        fit.load_state_dict(state)
        kept = [json.dumps(epoch) + "\n" for epoch in self.metrics if epoch["epoch"] <= fit.epoch]
        _write(self.path / "metrics.jsonl", lambda p: p.write_text("".join(kept)))
        _write(self.path / "config.toml", lambda p: p.write_text(config.to_toml()))
        self.config = config

    def finish(self, fit: Fit) -> dict[str, Any]:
        """Write summary.json: final and best numbers, in nats per image, and how they came about."""
        records = self.metrics
        summary = {
            "dataset": self.config.dataset,
            "images": {name: len(images) for name, images in _sets(fit.data).items()},
            "protocol": self.config.pixels,
            "density": is_density(self.config),
            "note": _note(self.config, fit.vae),
            "unit": "nats per image",
            "final": records[-1],
            "best": records[fit.best_epoch - 1],
            "weights": f"epoch {fit.best_epoch}, " + ("best validation loss" if fit.data.validation else "the last"),
            "parameters": sum(p.numel() for p in fit.vae.parameters() if p.requires_grad),
            "seconds": round(sum(record["seconds"] for record in records), 1),
            "device": _hardware(fit.device),
            "versions": {name: version(name) for name in ("pyrovae", "torch", "pyro-ppl")}
            | {"python": platform.python_version()},
        }
        _write(self.path / "summary.json", lambda p: p.write_text(json.dumps(summary, indent=2) + "\n"))
        return summary

    def save_figure(self, name: str, figure: Any) -> Path:
        path = self.path / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        _write(path, lambda p: figure.savefig(p, format="png"))
        return path

    def _add_progress(self, epoch: int, fit: Fit) -> None:
        x, labels = fit.data.batch(fit.data.test, exhibits(fit.data))
        to_unit = fit.data.pixels.to_unit
        reconstructed = fit.vae.reconstruct(x, fit.vae.given(x, labels))
        images = self.progress | {"original": to_unit(x), str(epoch): to_unit(reconstructed)}
        stored = {name: (image * 255).round().byte().cpu().contiguous() for name, image in images.items()}
        _write(self.path / "progress.safetensors", lambda p: save_file(stored, p))


def exhibits(data: Data, n: int = 10) -> Tensor:
    """Rows of the test images to show: the first of each class, or the first n."""
    labels = data.test.labels
    if labels is None or len(data.classes) > n:
        return torch.arange(min(n, len(data.test)))
    return torch.tensor([int((labels == label).nonzero()[0]) for label in labels.unique()])


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _sets(data: Data) -> dict[str, Any]:
    sets = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: images for name, images in sets.items() if images is not None}


def _note(config: Config, vae: VAE) -> str:
    notes = []
    if not vae.posterior.density:
        notes.append(
            f"posterior {config.posterior}: a plain autoencoder; there is no KL term, the loss is the reconstruction"
        )
    if not is_density(config):
        notes.append(f"{config.likelihood} on {config.pixels} pixels is a relaxed score, not a density")
    return "; ".join(notes)


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    kind = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
    return f"{device.type}, {kind}, {torch.get_num_threads()} threads"


def _what_is(path: Path) -> str:
    if not path.exists():
        return "nothing"
    return "a folder without one" if path.is_dir() else "a file"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
