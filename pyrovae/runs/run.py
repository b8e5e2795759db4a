"""A run folder: create it, open it, record a training in it and resume that training.

A training writes config.toml, metrics.jsonl, model.safetensors, checkpoint.pt, progress.safetensors, summary.json,
figures/*.png and report.html; other commands write evaluation.json and estimates.safetensors (evaluation.pt until these
are complete), explore.html and tensorboard/.
"""

import io
import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from matplotlib.figure import Figure
from safetensors.torch import load_file
from torch import Tensor

from pyrovae.config.settings import CLASSES, PLACES, Config
from pyrovae.data.data import Data
from pyrovae.data.loading import load
from pyrovae.data.pixels import Pixels
from pyrovae.display import table
from pyrovae.errors import InputError
from pyrovae.figures.style import as_png
from pyrovae.parts.kinds import Kind
from pyrovae.program import Program
from pyrovae.programs.build import build
from pyrovae.runs import evaluating, reading
from pyrovae.runs.card import as_line, describe
from pyrovae.runs.checks import check_version, read_version
from pyrovae.runs.digests import DIGESTED, digests_of, expect_digest, expect_sound_archive
from pyrovae.runs.files import append_line, as_json, cannot_write, path_of, write_whole
from pyrovae.runs.layout import OF_WEIGHTS, expect_own_files, make_folder, what_is
from pyrovae.runs.places import located
from pyrovae.runs.resume import changes, expect_epochs
from pyrovae.runs.schema import About, Evaluation, Summary
from pyrovae.runs.summary import summarise
from pyrovae.runs.trust import check_classes, check_places, is_signed, repeat, sign
from pyrovae.runs.weights import PROGRESS_EPOCHS, conditions_of, kinds_of, pixels_of, progress_of, weights_of
from pyrovae.training.fit import Fit
from pyrovae.training.interrupts import held_back
from pyrovae.training.record import Record

T = TypeVar("T")


class Run:
    """A run folder. Its files are read when they are needed: `config`, `metrics`, `summary`, `vae`, `data`, `progress`.

    Anyone may have written the folder. If its config names a class of the user's own, the class is loaded only if it is
    named here again: `Run(path, likelihood="soft.py:SoftLaplace")`. If somebody else made the run, so must be the place
    of data outside the folder. With `trust` the folder may name what it likes, and its files may have changed.

    Raises `InputError` if a file is missing or damaged, if it is another than when the training ended (summary.json
    holds a SHA-256 of each), or of another version: 0.1.x reads what any 0.1.x wrote.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = Run.create(folder, Config(latent_dim=3))
    ...     Run(folder).config.latent_dim, run.begun, run.finished
    (3, False, False)
    """

    def __init__(self, path: Path | str, trust: bool = False, **repeated: object) -> None:
        self.path, self.trust, self.repeated = path_of("run", path), trust, repeated
        if not os.path.lexists(self.path / "config.toml"):
            raise InputError(f"run: expected a run folder with a config.toml at {self.path}, got {what_is(self.path)}")
        expect_own_files(self.path)
        if self.finished:
            check_version(self._read("summary.json", read_version), self.path)

    @classmethod
    def create(cls, path: Path | str, config: Config, force: bool = False) -> "Run":
        """Make a run folder. `force` deletes the files of a run that is there, and no other files."""
        path = path_of("out", path)
        make_folder(path, config, force)
        return cls(path, **{name: getattr(config, name) for name in (*CLASSES, *PLACES)})

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}: {as_line(describe(self), without=['folder'])})"

    def _repr_html_(self) -> str:
        return table("Run", describe(self))

    # --- read ---

    @cached_property
    def config(self) -> Config:
        return self._read("config.toml", reading.read_config)

    @property
    def trusted(self) -> Config:
        """The config with classes and places as the user named them again; `InputError` if a class was not."""
        if not self.trust:
            check_classes(self.config, self.repeated, self.path)
        return repeat(self.config, self.repeated, self.path)

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return (self.path / "checkpoint.pt").exists()

    @property
    def finished(self) -> bool:
        return (self.path / "summary.json").exists()

    @property
    def metrics(self) -> list[Record]:
        """The records of all epochs so far."""
        return self._read("metrics.jsonl", reading.read_records)

    @property
    def summary(self) -> Summary:
        return self._read("summary.json", reading.read_summary)

    @property
    def evaluation(self) -> Evaluation | None:
        """The results of `pyrovae evaluate`, if it was run."""
        if not (self.path / "evaluation.json").exists():
            return None
        evaluation = self._read("evaluation.json", reading.read_evaluation)
        weights = self._digests.get(reading.WEIGHTS)
        if weights and evaluation.get("weights", weights) != weights:
            raise InputError(
                f"run: expected an evaluation.json of the weights in {self.path}, got one of other weights"
            )
        return evaluation

    @property
    def estimates(self) -> dict[str, Tensor] | None:
        """`log_likelihood` and `elbo` of each test image (images,), in nats, and `effective_samples`, if evaluated.

        Raises `InputError` if evaluation.json is of another evaluation.
        """
        evaluation = self.evaluation
        if evaluation is None or not (self.path / reading.ESTIMATES).exists():
            return None
        estimates, about = self._read(reading.ESTIMATES, reading.read_estimates)
        if about != {name: evaluation.get(name) for name in about}:
            raise InputError(
                f"run: expected {reading.ESTIMATES} of the evaluation in {self.path}, got those of another one;"
                " evaluate the run again"
            )
        return estimates

    @cached_property
    def data(self) -> Data:
        if not self.trust:
            check_places(self.config, self.repeated, self.path)
        own = self.trust or is_signed(self.path)  # a stranger's run finds no file that it does not name
        config = located(self.trusted, self.path) if own else self.trusted
        read_before = (self.path / reading.WEIGHTS).exists()
        kinds = self.kinds if read_before and config.pixels == "columns" else ()
        return load(config, kinds, self.conditions if read_before and config.given_columns else {})

    @cached_property
    def vae(self) -> Program:
        """The trained program in evaluation mode on the CPU, built without its data."""
        about = self._about
        missing = about.get("missing", False)
        vae = build(self.trusted, tuple(about["shape"]), len(self.classes), missing, self.kinds, self.conditions)
        self._read("model.safetensors", lambda path: vae.load_state_dict(load_file(path)))
        return vae

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self._about["classes"])

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a table's columns, if they have any."""
        return tuple(self._about.get("columns", ()))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the columns of a table hold, if its protocol is `columns`."""
        return kinds_of(self._about)

    @property
    def conditions(self) -> dict[str, Kind]:
        """The columns of a table that the model is given, by name, with what they hold."""
        return conditions_of(self._about)

    @property
    def pixels(self) -> Pixels:
        return pixels_of(self._about)

    @cached_property
    def _about(self) -> About:
        about = self._read("model.safetensors", reading.read_about)
        if "version" in about:
            check_version(about["version"], self.path)
        return about

    @property
    def progress(self) -> dict[str, Tensor]:
        """Images (n, C, H, W) in [0, 1] by name: `original`, and reconstructions after the epochs `1`, `3`, ..."""
        if not (self.path / "progress.safetensors").exists():
            return {}
        return self._read("progress.safetensors", reading.read_progress)

    def _read(self, name: str, parse: Callable[[Path], T]) -> T:
        content = reading.read(self.path, name, parse)
        if name in DIGESTED:  # afterwards, as the message of `parse` says what is wrong
            expect_digest(self.path, name, self._digests)
        return content

    @property
    def _digests(self) -> Mapping[str, str]:
        """The SHA-256 of the files when the training ended; none while it goes on, or if the files are trusted."""
        return {} if self.trust or not self.finished else self.summary.get("sha256", {})

    # --- train ---

    def record(self, record: Record, fit: Fit) -> None:
        """Save an epoch of `fit`: its record, its pictures, its weights if they are the best, and the checkpoint."""
        with held_back():
            append_line(self.path / "metrics.jsonl", json.dumps(record))
            if len(fit.data.shape) == 3 and (record["epoch"] in PROGRESS_EPOCHS or fit.done):
                write_whole(self.path / "progress.safetensors", progress_of(self.progress, record["epoch"], fit))
            if fit.improved:
                write_whole(self.path / "model.safetensors", weights_of(fit))
            self.save(fit)

    def is_recorded(self, fit: Fit) -> bool:
        """Whether metrics.jsonl has the records of all epochs that `fit` has completed."""
        return fit.epoch == (len(self.metrics) if (self.path / "metrics.jsonl").exists() else 0)

    def save(self, fit: Fit) -> None:
        """Save the checkpoint that `resume` continues from. `fit` may be in the middle of an epoch."""
        content = io.BytesIO()
        torch.save(fit.state_dict(), content)
        write_whole(self.path / "checkpoint.pt", content.getvalue())

    def checkpoint(self, device: torch.device) -> dict[str, Any]:
        """Return the state of the fit that `save` wrote, with its tensors on `device`."""

        def load_checkpoint(path: Path) -> dict[str, Any]:
            expect_sound_archive(path)
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            return state

        return self._read("checkpoint.pt", load_checkpoint)

    def resume(self, fit: Fit, config: Config) -> None:
        """Load the last checkpoint into `fit`, drop the records of later epochs, and replace the config by `config`.

        Raises `InputError` if `config` has fewer epochs than are done, or changes the epochs of a schedule.
        """
        if self.begun or (self.path / "metrics.jsonl").exists():
            fit.load_state_dict(self.checkpoint(fit.device))
        else:  # the training was ended before its first checkpoint
            self.save(fit)
        expect_epochs(fit.epoch, self.config, config, self.path)
        records = [record for record in (self.metrics if fit.epoch else []) if record["epoch"] <= fit.epoch]
        if len(records) != fit.epoch:
            raise InputError(f"resume: expected {fit.epoch} epochs in metrics.jsonl of {self.path}, got {len(records)}")
        if changed := changes(self.config, config):
            fit.note({"epoch": fit.epoch, **changed})
            self.save(fit)
        if not fit.done:
            for name in OF_WEIGHTS:
                (self.path / name).unlink(missing_ok=True)
        write_whole(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in records))
        write_whole(self.path / "config.toml", config.to_toml())
        sign(self.path)
        self.config = config

    def finish(self, fit: Fit) -> Summary:
        """Write summary.json, and return its content."""
        summary = summarise(self.config, fit, self.metrics) | {"sha256": digests_of(self.path)}
        write_whole(self.path / "summary.json", as_json(summary))
        return summary

    # --- evaluate and show ---

    def save_evaluation(self, results: Mapping[str, object], name: str = "evaluation") -> Path:
        """Write `name`.json."""
        return self._write(f"{name}.json", as_json(results))

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
    ) -> Evaluation:
        """Estimate log p(x) of the test set, or log p(x | y), by importance sampling; write evaluation.json.

        Returns its content, in nats per image: `log_likelihood` from `samples` codes for the first `images` test
        images, its `standard_error` over the images, diagnostics, with `latents` a report on the latent space, and with
        `ais` an annealed one of 100 images in `ais_steps` steps. If it is interrupted, the same call with `resume`
        goes on to the same numbers; `pyrovae.pages.report.save` writes the run's page again. Raises `InputError` for a
        plain autoencoder.
        """
        return evaluating.Evaluating(self, samples, images, seed, latents, ais, ais_steps, resume, device).finish()

    def save_figure(self, name: str, figure: Figure) -> Path:
        """Write figures/`name`.png."""
        return self._write(f"figures/{name}.png", as_png(figure))

    def save_table(self, name: str, content: bytes) -> Path:
        """Write a file of numbers, such as sample.csv."""
        return self._write(name, content)

    def save_page(self, name: str, page: str) -> Path:
        """Write `name`.html."""
        return self._write(f"{name}.html", page)

    def _write(self, name: str, content: bytes | str) -> Path:
        path = self.path / name
        try:
            path.parent.mkdir(exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            raise cannot_write("run", path, error) from None
        return path
