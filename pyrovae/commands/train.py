"""Train a program in a run folder: data, model, fit, records, summary, figures and the page about the run."""

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import torch

from pyrovae import __version__
from pyrovae.commands.digests import digest, fingerprint
from pyrovae.commands.folders import claimed, name_after, new_folder, newest
from pyrovae.commands.resume import run_to_resume
from pyrovae.commands.threads import threads_restored, use_threads
from pyrovae.config.settings import Config
from pyrovae.data.loading import load
from pyrovae.errors import InputError
from pyrovae.figures import draw
from pyrovae.inference import choose_device
from pyrovae.inference.processes import expect_same, joined, rank, size
from pyrovae.pages.report import save
from pyrovae.pages.tensorboard import logged, writer_class
from pyrovae.programs.build import build_for
from pyrovae.runs.files import NoRoom, only_writer, path_of
from pyrovae.runs.run import Run
from pyrovae.runs.schema import Summary
from pyrovae.runs.trust import to_repeat
from pyrovae.training.collapse import collapse
from pyrovae.training.fit import Fit, fit
from pyrovae.training.interrupts import Insisted
from pyrovae.training.record import Record

OWN = {"device", "data_dir", "threads"}  # settings that each process of a training may have for itself


def train(
    config: Config | None = None,
    out: Path | str | None = None,
    *,
    name: str | None = None,
    resume: bool = False,
    force: bool = False,
    figures: bool = True,
    tensorboard: bool = False,
    trust: bool = False,
    **settings: object,
) -> Run:
    """Train `config` in the folder `out`, as `pyrovae train` does, and return the run.

    `settings` override `config`. Without `out` the folder is results/NAME, or NAME-2, ... if that exists; NAME is
    `name`, or the name of the dataset. With `force` a run that is there is replaced. With `resume` the run at `out`, or
    the newest of that name, goes on from its checkpoint; where there is none, it is begun. `settings` may then change
    the epochs, the device and a few others; all others, and those that `config` was made with, must be those of the
    run. Classes and paths of your own that the run names must be given again unless you `trust` it.
    `figures` draws figures/*.png and writes report.html; `tensorboard` writes each epoch to the folder tensorboard.

    Ctrl-C raises KeyboardInterrupt when the step under way has ended; the checkpoint is saved. In a script that
    `torchrun` starts, all processes train the run together, and the first one writes it. Raises `InputError` for bad
    settings before a folder is made, FloatingPointError for a loss that is not finite, and `NoRoom` on a full disk.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     run = train(Config(warmup=1, device="cpu"), folder + "/run", epochs=1, figures=False)
    ...     run.finished, len(run.metrics)
    (True, 1)
    """
    training = Training(config, out, name, resume, force, tensorboard, settings, trust)
    with threads_restored():
        return carry_out(training, figures)


def carry_out(training: "Training", figures: bool = True) -> Run:
    """Do all steps of a training, and return its run. Its warnings become Python's; torch may be left on one thread."""
    with joined(choose_device(training.config.device)), training.begin():
        for event in training:
            if isinstance(event, str):
                warnings.warn(event, stacklevel=2)
        training.finish(figures)
    return Run(training.folder, **to_repeat(training.config))


class Training:
    """One training in its run folder, step by step, for a caller who shows its progress; `train` does all of it.

        training = Training(config, "results/mine")
        with joined(device), training.begin():
            for event in training: ...
            training.finish()

    The loop yields the record of each epoch once it is on the disk, and each warning about the training as text. Of
    several processes only the first one `leads`: it alone writes files, and the others yield nothing.
    """

    fit: Fit
    run: Run
    summary: Summary

    def __init__(
        self,
        config: Config | None = None,
        out: Path | str | None = None,
        name: str | None = None,
        resume: bool = False,
        force: bool = False,
        tensorboard: bool = False,
        settings: Mapping[str, object] = MappingProxyType({}),
        trust: bool = False,
    ) -> None:
        if tensorboard:
            writer_class()  # raises InputError before any work if the package is missing
        self.force, self.tensorboard, self.leads = force, tensorboard, True
        path = None if out is None else path_of("out", out)
        if resume and force:
            raise InputError("resume: expected --resume or --force, got both")
        config = config or Config()
        name = name or name_after(str(settings.get("dataset", config.dataset)))
        self.resumed: Run | None = None
        if resume and (begun := path or newest(name)) and os.path.lexists(begun / "config.toml"):
            same = config if path else None  # without `out`, config and dataset have only named the run
            typed = {setting: value for setting, value in settings.items() if path or setting != "dataset"}
            self.resumed, self.config = run_to_resume(begun, same, typed, trust)
            self._paths: Path | Iterator[Path] = begun
        else:
            self.config, self._paths = config.replace(**settings), path or new_folder(name)
        self.anew = resume and not self.resumed  # there was no run to resume
        self.path = self._paths if isinstance(self._paths, Path) else None  # None until `begin` has chosen one

    @property
    def folder(self) -> Path:
        """The run folder, once `begin` has been entered."""
        if self.path is None:
            raise InputError("train: expected a training that has begun, got one whose folder is not chosen yet")
        return self.path

    @contextmanager
    def begin(self) -> Iterator[None]:
        """Load the data, build the program and make the run folder, or read its checkpoint; inside, iterate and finish.

        Whatever ends the training inside, Ctrl-C too, the last finished step can be resumed from.
        """
        self.fit, self.leads = _prepare(self.config, self.resumed is not None and self.resumed.begun), rank() == 0
        if not self.leads:
            if self.resumed and self.resumed.begun:
                self.fit.load_state_dict(self.resumed.checkpoint(self.fit.device))
            self._expect_same_start()
            yield
            return
        self.path, made = claimed(self._paths)
        with only_writer(self.path, made):
            self.run = self.resumed or Run.create(self.path, self.config, self.force)
            try:
                with self._writing():
                    if self.resumed:
                        self.run.resume(self.fit, self.config)
                    else:
                        self.run.save(self.fit)  # now it can be resumed even in its first epoch
                self._expect_same_start()
                yield
            except Insisted:
                raise
            except KeyboardInterrupt:
                if size() == 1 and self.run.is_recorded(self.fit):
                    self.run.save(self.fit)
                raise

    def _expect_same_start(self) -> None:
        """Wait until the first process has its folder, and all have the same checkpoint."""
        fit = self.fit
        weights = digest(fit.vae.state_dict()) if self.resumed and size() > 1 else "new"
        expect_same(checkpoint=f"epoch {fit.epoch}, step {fit.step}, weights {weights}")

    def __iter__(self) -> Iterator[Record | str]:
        if not self.leads:
            return _train_silently(self.fit)
        return self._train()

    def _train(self) -> Iterator[Record | str]:
        records, warned = self.run.metrics if self.fit.epoch else [], False
        with self._writing():
            for record in self._epochs():
                if record is None:  # time to save, in the middle of an epoch
                    self.run.save(self.fit)
                    continue
                self.run.record(record, self.fit)
                yield record
                records.append(record)
                if not warned and (warning := collapse(records, self.config)):
                    yield warning
                    warned = True

    def _epochs(self) -> Iterator[Record | None]:
        epochs = self.fit.paused(60 * self.config.save_minutes if size() == 1 else math.inf)
        return logged(epochs, self.fit, self.run.path / "tensorboard") if self.tensorboard else epochs

    def finish(self, figures: bool = True) -> None:
        """Write summary.json and, with `figures`, all figures that fit and report.html. Sets `summary`."""
        if not self.leads:
            return
        self.run.data = self.fit.data
        with self._writing():
            self.summary = self.run.finish(self.fit)
        if figures:
            for name, figure in draw(self.run):
                self.run.save_figure(name, figure)
            save(self.run)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NoRoom(f"expected room to write to {self.path}, got: {error.strerror or error}") from error


def _prepare(config: Config, resumes: bool) -> Fit:
    """Build the program and its fit; all processes must have the same settings, versions and data.

    Other processes wait for the first, which may have to download the data.
    """
    settings = {name: value for name, value in config.model_dump(mode="json").items() if name not in OWN}
    expect_same(pyrovae=__version__, torch=torch.__version__, resume=resumes, **settings)
    if rank() > 0:
        expect_same()
    data = load(config)
    if rank() == 0:
        expect_same()
    prepared = fit(build_for(config, data), data, config)
    use_threads(prepared)
    if size() > 1:
        shapes = {name: tuple(value.shape) for name, value in prepared.vae.state_dict().items()}
        expect_same(weights=digest(shapes), **fingerprint(data))
    return prepared


def _train_silently(fit: Fit) -> Iterator[Record | str]:
    """Train alongside the first process, which alone writes files and reports; yields nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in fit:
            pass
    yield from ()
