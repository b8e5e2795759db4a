"""One run folder: create, save, load, resume.

config.toml, metrics.jsonl, model.safetensors, checkpoint.pt, summary.json, progress.safetensors and figures/*.png.
"""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pyrovae import __version__
from pyrovae.builder import build
from pyrovae.config import Config, InputError, reason
from pyrovae.data import Data, Pixels, load
from pyrovae.figures import FIGURES
from pyrovae.files import write_whole
from pyrovae.summary import summarise
from pyrovae.training import Fit
from pyrovae.vae import VAE

PROGRESS_EPOCHS = (1, 3, 5, 10, 20, 30, 40, 50)  # and the last
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
    """A run folder. What it holds is read when it is asked for: `config`, `metrics`, `vae`, `data`, `progress`.

    Raises `InputError` where a file is missing or damaged, or of another version: 0.1.x reads what any 0.1.x wrote.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / "config.toml").is_file():
            raise InputError(f"run: expected a run folder with a config.toml at {self.path}, got {_what_is(self.path)}")
        if self.finished:
            self._check_version(self._read("summary.json", _version))

    @classmethod
    def create(cls, path: Path | str, config: Config, force: bool = False) -> "Run":
        """A new run folder. What is there already is replaced only with `force`, and only what a run writes."""
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise InputError(f"out: expected a folder at {path}, got a file")
        if (path / "config.toml").exists() and not force:
            raise InputError(f"out: {path} already holds a run; expected --resume, --force or another --out")
        names = [*FILES, "figures/sample.png", *(f"figures/{name}.png" for name in FIGURES)]
        held = [name for name in names if (path / name).exists()]
        if held and not force:
            raise InputError(f"out: {path} already holds {held[0]}; expected --force or another --out")
        try:
            path.mkdir(parents=True, exist_ok=True)
            for name in held:
                (path / name).unlink()
            write_whole(path / "config.toml", lambda p: p.write_text(config.to_toml()))
        except OSError as error:
            raise InputError(f"out: expected a folder that can be written at {path}, got: {error.strerror}") from None
        return cls(path)

    @cached_property
    def config(self) -> Config:
        return self._read("config.toml", lambda path: Config.from_toml(path.read_text()))

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The records of all epochs so far."""
        return self._read("metrics.jsonl", _records)

    @property
    def summary(self) -> dict[str, Any]:
        return self._read("summary.json", lambda path: json.loads(path.read_text()))

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").exists()

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.path / "checkpoint.pt").exists()

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """What `pyrovae evaluate` found, if it was called."""
        if not (self.path / "evaluation.json").exists():
            return None
        return self._read("evaluation.json", lambda path: json.loads(path.read_text()))

    @cached_property
    def data(self) -> Data:
        return load(self.config)

    @cached_property
    def _about(self) -> dict[str, Any]:
        """What the weights say of the images they were trained on."""

        def read(path: Path) -> dict[str, Any]:
            with safetensors.safe_open(path, "pt") as file:
                about = json.loads(file.metadata()["pyrovae"])
            self._check_version(about.get("version", __version__))  # weights of the first 0.1.0 do not tell it
            return {name: about[name] for name in ("shape", "classes", "pixels")}

        return self._read("model.safetensors", read)

    @cached_property
    def vae(self) -> VAE:
        """The trained model, in evaluation mode, on the CPU, built without the data."""
        vae = build(self.config, tuple(self._about["shape"]), len(self.classes))
        self._read("model.safetensors", lambda path: vae.load_state_dict(load_file(path)))
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
        if not (self.path / "progress.safetensors").exists():
            return {}
        held = self._read("progress.safetensors", load_file)
        return {name: held[name] / 255 for name in sorted(held, key=lambda name: (name != "original", name.zfill(9)))}

    def _read(self, name: str, parse: Callable[[Path], Any]) -> Any:
        path = self.path / name
        if not path.exists():
            hint = " (published results leave the weights out)" if name == "model.safetensors" else ""
            raise InputError(f"run: expected {name} in {self.path}, got none{hint}")
        try:
            return parse(path)
        except InputError:
            raise
        except Exception as error:  # a damaged file fails in as many ways as there are formats
            raise InputError(f"run: expected a sound {name} in {self.path}, got: {reason(error)}") from None

    def _check_version(self, version: str) -> None:
        known = __version__.split(".")[:2]
        if version.split(".")[:2] != known:
            raise InputError(f"run: expected a run of pyrovae {'.'.join(known)}, got one of {version} at {self.path}")

    def record(self, epoch: dict[str, Any], fit: Fit) -> None:
        """Save an epoch of `fit`: its record, its pictures, its weights if they are the best, and the checkpoint."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(epoch) + "\n")
        if epoch["epoch"] in PROGRESS_EPOCHS or fit.done:
            self._add_progress(epoch["epoch"], fit)
        if fit.improved:
            about = {"shape": fit.data.shape, "classes": fit.data.classes, "pixels": vars(fit.data.pixels)}
            told = {"pyrovae": json.dumps(about | {"version": __version__})}
            weights = {name: tensor.contiguous() for name, tensor in fit.vae.state_dict().items()}
            write_whole(self.path / "model.safetensors", lambda p: save_file(weights, p, told))
        self.save(fit)

    def save(self, fit: Fit) -> None:
        """Save the checkpoint, from which `resume` goes on."""
        write_whole(self.path / "checkpoint.pt", lambda p: torch.save(fit.state_dict(), p))

    def checkpoint(self, device: torch.device) -> dict[str, Any]:
        """What `save` wrote, on `device`."""
        return self._read("checkpoint.pt", lambda path: torch.load(path, map_location=device, weights_only=True))

    def resume(self, fit: Fit, config: Config) -> None:
        """Set `fit` to the last checkpoint and the config to what goes on, and drop records of later epochs."""
        fit.load_state_dict(self.checkpoint(fit.device))
        if config.epochs < fit.epoch:
            raise InputError(f"resume: expected at least the {fit.epoch} epochs of {self.path}, got {config.epochs}")
        if config.schedule != "constant" and config.epochs != self.config.epochs:
            raise InputError(
                f"resume: expected the {self.config.epochs} epochs over which schedule {config.schedule!r} runs,"
                f" got {config.epochs}"
            )
        records = self.metrics if fit.epoch else []
        kept = [json.dumps(epoch) + "\n" for epoch in records if epoch["epoch"] <= fit.epoch]
        if len(kept) != fit.epoch:
            raise InputError(f"resume: expected {fit.epoch} epochs in metrics.jsonl of {self.path}, got {len(kept)}")
        if not fit.done:
            (self.path / "evaluation.json").unlink(missing_ok=True)  # it is of the weights that go on
        write_whole(self.path / "metrics.jsonl", lambda p: p.write_text("".join(kept)))
        write_whole(self.path / "config.toml", lambda p: p.write_text(config.to_toml()))
        self.config = config

    def finish(self, fit: Fit) -> dict[str, Any]:
        """Write summary.json: final and best numbers, in nats per image, and how they came about."""
        summary = summarise(self.config, fit, self.metrics)
        write_whole(self.path / "summary.json", lambda p: p.write_text(json.dumps(summary, indent=2) + "\n"))
        return summary

    def save_evaluation(self, found: dict[str, Any], name: str = "evaluation") -> Path:
        """Write `name`.json."""
        path = self.path / f"{name}.json"
        try:
            write_whole(path, lambda p: p.write_text(json.dumps(found, indent=2) + "\n"))
        except OSError as error:
            raise InputError(f"run: expected to write {path}, got: {error.strerror}") from None
        return path

    def save_figure(self, name: str, figure: Any) -> Path:
        """Write figures/`name`.png."""
        path = self.path / "figures" / f"{name}.png"
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, lambda p: figure.savefig(p, format="png"))
        except OSError as error:
            raise InputError(f"run: expected to write {path}, got: {error.strerror}") from None
        return path

    def _add_progress(self, epoch: int, fit: Fit) -> None:
        x, labels = fit.data.batch(fit.data.test, exhibits(fit.data))
        to_unit = fit.data.pixels.to_unit
        reconstructed = fit.vae.reconstruct(x, fit.vae.given(x, labels))
        images = self.progress | {"original": to_unit(x), str(epoch): to_unit(reconstructed)}
        stored = {name: (image * 255).round().byte().cpu().contiguous() for name, image in images.items()}
        write_whole(self.path / "progress.safetensors", lambda p: save_file(stored, p))


def _records(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may have cut the last one short


def _version(summary: Path) -> str:
    return json.loads(summary.read_text()).get("versions", {}).get("pyrovae", "an unknown version")


def exhibits(data: Data, n: int = 10) -> Tensor:
    """Rows of the test images to show: the first of each class, or the first n."""
    labels = data.test.labels
    if labels is None or len(data.classes) > n:
        return torch.arange(min(n, len(data.test)))
    return torch.tensor([int((labels == label).nonzero()[0]) for label in labels.unique()])


def _what_is(path: Path) -> str:
    if not path.exists():
        return "nothing"
    return "a folder without one" if path.is_dir() else "a file"
