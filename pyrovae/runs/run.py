"""One run folder: create, save, load, resume.

config.toml, metrics.jsonl, model.safetensors, checkpoint.pt, summary.json, progress.safetensors, figures/*.png and
report.html; evaluation.json (evaluation.pt as long as it is not whole), explore.html and tensorboard/ if asked for.
"""

import io
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor

from pyrovae.config.settings import CLASSES, PLACES, Config
from pyrovae.data.data import Data, load
from pyrovae.data.pixels import Pixels
from pyrovae.display import table
from pyrovae.errors import InputError
from pyrovae.figures import FIGURES
from pyrovae.figures.style import as_png
from pyrovae.programs.build import build
from pyrovae.runs.card import in_brackets, told_of
from pyrovae.runs.evaluating import Evaluation
from pyrovae.runs.files import append_line, as_json, only_writer, path_of, write_whole
from pyrovae.runs.schema import read, read_config, read_evaluation, read_progress, read_records, read_summary
from pyrovae.runs.summary import changes, summarise
from pyrovae.runs.trust import SIGNATURE, check_classes, check_links, check_places, repeat, sign
from pyrovae.runs.weights import About, about_weights, check_version, pictures_of, weights_of
from pyrovae.training.fit import Fit
from pyrovae.training.interrupts import held_back
from pyrovae.vae import VAE

T = TypeVar("T")
PROGRESS_EPOCHS = (1, 3, 5, 10, 20, 30, 40, 50)  # and the last
OF_WEIGHTS = ("summary.json", "evaluation.json", "evaluation.pt", "explore.html", "report.html")  # as they are now
FILES = (
    "config.toml",
    "metrics.jsonl",
    "model.safetensors",
    "checkpoint.pt",
    "progress.safetensors",
    *OF_WEIGHTS,
    SIGNATURE,
)
FOLDERS = ("figures", "tensorboard")
EVENTS = "tensorboard/events.out.tfevents.*"


class Run:
    """A run folder. What it holds is read when it is asked for: `config`, `metrics`, `vae`, `data`, `progress`.

    A folder may come from anybody. A class of one's own that its config names is loaded only if it is repeated here, as
    `Run(path, likelihood="soft.py:SoftLaplace")`; and so are data outside the folder, of a run that was made elsewhere.

    Raises `InputError` where a file is missing or damaged, or of another version: 0.1.x reads what any 0.1.x wrote.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = Run.create(folder, Config(latent_dim=3))
    ...     Run(folder).config.latent_dim, made.begun, made.finished
    (3, False, False)
    """

    def __init__(self, path: Path | str, **repeated: str) -> None:
        self.path, self.repeated = path_of("run", path), repeated
        if not (self.path / "config.toml").is_file():
            raise InputError(f"run: expected a run folder with a config.toml at {self.path}, got {_what_is(self.path)}")
        check_links(self.path, [*FILES, *FOLDERS])
        if self.finished:
            check_version(self._read("summary.json", _version), self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {in_brackets(told_of(self), but=['folder'])})"

    def _repr_html_(self) -> str:
        return table("Run", told_of(self))

    @classmethod
    def create(cls, path: Path | str, config: Config, force: bool = False) -> "Run":
        """A new run folder. What is there already is replaced only with `force`, and only what a run writes."""
        path = path_of("out", path)
        if path.exists() and not path.is_dir():
            raise InputError(f"out: expected a folder at {path}, got a file")
        check_links(path, [*FILES, *FOLDERS])
        if (path / "config.toml").exists() and not force:
            raise InputError(f"out: {path} already holds a run; expected --resume, --force or another --out")
        names = [*FILES, "figures/sample.png", *(f"figures/{name}.png" for name in FIGURES)]
        names += [str(events.relative_to(path)) for events in sorted(path.glob(EVENTS))]
        held = [name for name in names if (path / name).exists()]
        if held and not force:
            raise InputError(f"out: {path} already holds {held[0]}; expected --force or another --out")
        with only_writer(path):
            try:
                for name in held:
                    (path / name).unlink()
                write_whole(path / "config.toml", config.to_toml())
                sign(path)
            except OSError as error:
                raise InputError(
                    f"out: expected a folder that can be written at {path}, got: {error.strerror}"
                ) from None
        return cls(path, **{name: getattr(config, name) for name in (*CLASSES, *PLACES)})

    @cached_property
    def config(self) -> Config:
        return self._read("config.toml", read_config)

    @property
    def trusted(self) -> Config:
        """The config with what was repeated; raises `InputError` for what should have been."""
        check_classes(self.config, self.repeated, self.path)
        return repeat(self.config, self.repeated, self.path)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The records of all epochs so far."""
        return self._read("metrics.jsonl", read_records)

    @property
    def summary(self) -> dict[str, Any]:
        return self._read("summary.json", read_summary)

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
        return self._read("evaluation.json", read_evaluation)

    @cached_property
    def data(self) -> Data:
        check_places(self.config, self.repeated, self.path)
        return load(self.trusted)

    @cached_property
    def _about(self) -> About:
        def read(path: Path) -> About:
            about = about_weights(path)
            check_version(about.version, self.path)
            return about

        return self._read("model.safetensors", read)

    @cached_property
    def vae(self) -> VAE:
        """The trained model, in evaluation mode, on the CPU, built without the data."""
        vae = build(self.trusted, self._about.shape, len(self.classes))
        self._read("model.safetensors", lambda path: vae.load_state_dict(load_file(path)))
        return vae

    @property
    def classes(self) -> tuple[str, ...]:
        return self._about.classes

    @property
    def pixels(self) -> Pixels:
        return self._about.pixels

    @property
    def progress(self) -> dict[str, Tensor]:
        """Images in [0, 1], (n, C, H, W): `original`, and reconstructions by `1`, `3`, ... for the epochs recorded."""
        if not (self.path / "progress.safetensors").exists():
            return {}
        held = self._read("progress.safetensors", read_progress)
        return {name: held[name] / 255 for name in sorted(held, key=lambda name: (name != "original", name.zfill(9)))}

    def _read(self, name: str, parse: Callable[[Path], T]) -> T:
        return read(self.path, name, parse)

    def record(self, epoch: dict[str, Any], fit: Fit) -> None:
        """Save an epoch of `fit`: its record, its pictures, its weights if they are the best, and the checkpoint."""
        with held_back():
            append_line(self.path / "metrics.jsonl", json.dumps(epoch))
            if epoch["epoch"] in PROGRESS_EPOCHS or fit.done:
                self._add_progress(epoch["epoch"], fit)
            if fit.improved:
                write_whole(self.path / "model.safetensors", weights_of(fit))
            self.save(fit)

    def is_recorded(self, fit: Fit) -> bool:
        """Whether all epochs that `fit` has behind it are in metrics.jsonl."""
        return fit.epoch == (len(self.metrics) if (self.path / "metrics.jsonl").exists() else 0)

    def save(self, fit: Fit) -> None:
        """Save the checkpoint, from which `resume` goes on: after an epoch is recorded, or while one is under way."""
        held = io.BytesIO()
        torch.save(fit.state_dict(), held)
        write_whole(self.path / "checkpoint.pt", held.getvalue())

    def checkpoint(self, device: torch.device) -> dict[str, Any]:
        """What `save` wrote, on `device`."""
        return self._read("checkpoint.pt", lambda path: torch.load(path, map_location=device, weights_only=True))

    def resume(self, fit: Fit, config: Config) -> None:
        """Set `fit` to the last checkpoint and the config to what goes on, and drop records of later epochs."""
        if self.begun or (self.path / "metrics.jsonl").exists():
            fit.load_state_dict(self.checkpoint(fit.device))
        else:  # it was ended before its first checkpoint
            self.save(fit)
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
        if changed := changes(self.config, config):
            fit.note({"epoch": fit.epoch} | changed)
            self.save(fit)
        if not fit.done:
            for name in OF_WEIGHTS:
                (self.path / name).unlink(missing_ok=True)
        write_whole(self.path / "metrics.jsonl", "".join(kept))
        write_whole(self.path / "config.toml", config.to_toml())
        sign(self.path)
        self.config = config

    def finish(self, fit: Fit) -> dict[str, Any]:
        """Write summary.json: final and best numbers, in nats per image, and how they came about."""
        summary = summarise(self.config, fit, self.metrics)
        write_whole(self.path / "summary.json", as_json(summary))
        return summary

    def save_evaluation(self, found: dict[str, Any], name: str = "evaluation") -> Path:
        """Write `name`.json."""
        return self._write(f"{name}.json", as_json(found))

    def evaluate(
        self,
        samples: int = 5000,
        images: int | None = None,
        seed: int = 0,
        latents: bool = True,
        ais: bool = False,
        ais_steps: int = 200,
        resume: bool = False,
        device: str = "auto",
    ) -> dict[str, Any]:
        """Estimate log p(x) of the test set, or log p(x | y), by importance sampling; write evaluation.json.

        Returns what evaluation.json holds, in nats per image: `log_likelihood` from `samples` codes for each of the
        first `images` test images, its `standard_error` over the images, diagnostics, with `latents` a report on the
        latent space, and with `ais` an annealed estimate of the first 100 images, in `ais_steps` steps. Ended early,
        the same call with `resume` goes on to the same numbers. Raises `InputError` for a plain autoencoder.
        """
        evaluation = Evaluation(self, samples, images, seed, latents, ais, ais_steps, resume, device)
        for _ in evaluation:
            pass
        return evaluation.result

    def save_figure(self, name: str, figure: Any) -> Path:
        """Write figures/`name`.png."""
        return self._write(f"figures/{name}.png", as_png(figure))

    def save_page(self, name: str, page: str) -> Path:
        """Write `name`.html."""
        return self._write(f"{name}.html", page)

    def _write(self, name: str, content: bytes | str) -> Path:
        path = self.path / name
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            raise InputError(f"run: expected to write {path}, got: {error.strerror}") from None
        return path

    def _add_progress(self, epoch: int, fit: Fit) -> None:
        write_whole(self.path / "progress.safetensors", pictures_of(self.progress, epoch, fit))


def _version(summary: Path) -> str:
    version: str = json.loads(summary.read_text()).get("versions", {}).get("pyrovae", "an unknown version")
    return version


def _what_is(path: Path) -> str:
    if not path.exists():
        return "nothing"
    return "a folder without one" if path.is_dir() else "a file"
