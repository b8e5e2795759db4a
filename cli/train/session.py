"""One training session: what `pyrovae train` does once torch is there."""

import math
import os
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.config.settings import Config
from pyrovae.data.data import load
from pyrovae.errors import InputError
from pyrovae.figures import draw
from pyrovae.inference import choose_device
from pyrovae.inference.compiled import estimate
from pyrovae.inference.processes import Lost, joined, rank, size, wait_for_all
from pyrovae.pages.report import save
from pyrovae.pages.tensorboard import logged, writer_class
from pyrovae.program import mean_of
from pyrovae.programs.build import build
from pyrovae.runs.files import only_writer
from pyrovae.runs.run import Run
from pyrovae.runs.trust import check_places
from pyrovae.training.batched import fit_batched
from pyrovae.training.collapse import collapse
from pyrovae.training.fit import Fit, fit
from pyrovae.training.interrupts import Insisted

from ..processes import end, end_with_the_others, ended_by_sigterm
from .progress import Progress

SMALL_STEP = 3e7  # floating-point operations forwards


def train(
    path: Path | Iterable[Path],
    config: Config | None,
    settings: dict[str, Any],
    force: bool,
    figures: bool = True,
    tensorboard: bool = False,
    repeated: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Train the run at `path`: a new one of this config, or without one the run that is there, from its checkpoint.

    Of several paths a new run takes the first that nothing is at. Classes and places that a run names are `repeated`.
    Under `torchrun` all processes train it, and the first one writes.
    """
    if tensorboard:
        writer_class()  # missing, it is missed before any work
    resumed, at = None, path if isinstance(path, Path) else None
    if config is None:
        resumed = Run(path, **repeated)  # type: ignore[arg-type]  # a run that is there has one path
        config = resumed.trusted.replace(**settings)
        check_places(config, repeated.keys() | settings.keys(), resumed.path)
    with ended_by_sigterm(), joined(choose_device(config.device)):
        if size() > 1:
            end_with_the_others(at)
        try:
            fitting = _prepare(config)
            if rank() > 0:
                _follow(fitting, resumed)
                return
            with _claimed(path) as at, only_writer(at):
                run = resumed or Run.create(at, config, force)
                _begin_and_end(fitting, run, resumed is not None, figures, tensorboard)
        except KeyboardInterrupt:
            end(at, "interrupted", 130)
        except Lost as error:
            end(at, str(error), 1)


@contextmanager
def _claimed(path: Path | Iterable[Path]) -> Iterator[Path]:
    """The first of several paths that nothing is at, made now, so that no other process takes it."""
    if isinstance(path, Path):
        yield path
        return
    for each in path:
        try:
            each.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"out: expected a folder that can be written at {each}, got: {error.strerror}") from None
        try:
            yield each
        finally:
            if not any(each.iterdir()):
                each.rmdir()
        return


def _begin_and_end(fitting: Fit, run: Run, goes_on: bool, figures: bool, tensorboard: bool) -> None:
    try:
        if goes_on:
            run.resume(fitting, fitting.config)
        else:
            run.save(fitting)  # so that it can be resumed from its first epoch on
        summary = _lead(fitting, run, tensorboard)
    except Insisted:
        raise
    except KeyboardInterrupt:
        if size() == 1 and run.is_recorded(fitting):
            run.save(fitting)
        raise
    except OSError as error:  # a full disk
        end(run.path, f"expected room to write to {run.path}, got: {error.strerror or error}", 1)
    if figures:
        for name, figure in draw(run):
            run.save_figure(name, figure)
        save(run)
    _show(summary, fitting, run, tensorboard)


def train_batched(runs: Sequence[Run], settings: dict[str, Any]) -> FloatingPointError | None:
    """Train the runs as one batched program, from their checkpoints if they have one. Nothing is shown but warnings.

    The error of a run whose loss was not finite, if there is one: such a run stays unfinished.
    """
    warnings.showwarning = lambda message, *_: click.echo(f"warning: {message}", err=True)
    with ExitStack() as locks:
        for run in runs:
            locks.enter_context(only_writer(run.path))
        return _train_batched(runs, settings)


def _train_batched(runs: Sequence[Run], settings: dict[str, Any]) -> FloatingPointError | None:
    data, fits = load(runs[0].trusted.replace(**settings)), []
    for run in runs:
        config = run.trusted.replace(**settings)
        fits.append(fit(build(config, data.shape, len(data.classes)), data, config))
        if run.begun:
            run.resume(fits[-1], config)
        else:
            Run.create(run.path, config, force=True).save(fits[-1])
    _spare_threads(fits[0])
    for run, fitting in zip(runs, fits):
        if fitting.step:  # it was stopped in the middle of an epoch
            run.record(next(iter(fitting)), fitting)
    failed = {}
    for epoch in {fitting.epoch for fitting in fits}:  # of which there are two, where an epoch was not saved by all
        begun = [(run, fitting) for run, fitting in zip(runs, fits) if fitting.epoch == epoch]
        for records in fit_batched([fitting for _, fitting in begun]):
            for (run, fitting), record in zip(begun, records):
                if isinstance(record, FloatingPointError):
                    failed[run.path] = record
                else:
                    run.record(record, fitting)
        for run, fitting in begun:
            if run.path not in failed:
                run.finish(fitting)
    return next(iter(failed.values()), None)


def _prepare(config: Config) -> Fit:
    if rank() > 0:
        wait_for_all()  # the first one may have to download the data
    data = load(config)
    if rank() == 0:
        wait_for_all()
    fitting = fit(build(config, data.shape, len(data.classes)), data, config)
    _spare_threads(fitting)
    return fitting


def _follow(fitting: Fit, resumed: Run | None) -> None:
    """Train what another process writes down and speaks of."""
    if resumed and resumed.begun:
        fitting.load_state_dict(resumed.checkpoint(fitting.device))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in fitting:
            pass


def _lead(fitting: Fit, run: Run, tensorboard: bool) -> Mapping[str, Any]:
    """Train, write down each epoch and tell of it; the summary."""
    data, config = fitting.data, fitting.config
    images = f"{len(data.train):,} images for training, {len(data.test):,} for testing"
    processes = f"; {size()} processes" if size() > 1 else ""
    click.echo(f"{config.dataset}: {images}; run folder {run.path}{processes}")
    if fitting.to_compile:
        begun = fitting.epoch or fitting.step  # --resume takes no --compile
        why = "as when the run began" if begun else f"{estimate(fitting.steps)} (--compile no: not)"
        click.echo(f"compiling the step first: {why}")
    with Progress(fitting) as progress, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: progress.say(f"warning: {message}")
        warned = False
        records = run.metrics if fitting.epoch else []
        epochs = fitting.paused(60 * config.save_minutes if size() == 1 else math.inf)
        for epoch in logged(epochs, fitting, run.path / "tensorboard") if tensorboard else epochs:
            if epoch is None:
                run.save(fitting)
                continue
            run.record(epoch, fitting)
            progress.show(epoch)
            records.append(epoch)
            if not warned and (warning := collapse(records, config)):
                progress.say(f"warning: {warning}")
                warned = True
    run.data = data
    return run.finish(fitting)


def _spare_threads(fitting: Fit) -> None:
    """One thread for a small step: more make it no faster, and far slower where other programs share the cores."""
    x, labels = fitting.data.batch(fitting.data.train, slice(0, fitting.config.batch_size))
    vae, y = fitting.vae, fitting.vae.given(x, labels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.decoder(mean_of(vae.encode(x, y)), y)
    if counter.get_total_flops() < SMALL_STEP and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def _show(summary: Mapping[str, Any], fitting: Fit, run: Run, tensorboard: bool) -> None:
    chosen, epochs = summary["best"], summary["final"]["epoch"]
    table = Table()
    for column in ("", "loss", "reconstruction", "KL"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("train", "validation", "test"):
        if name in chosen:
            table.add_row(name, *(f"{chosen[name][key]:.2f}" for key in ("loss", "reconstruction", "kl")))
    click.echo(f"{run.path}: nats per image, weights of {summary['weights']}")
    Console().print(table)
    lines = [
        f"{epochs} epoch{'' if epochs == 1 else 's'} in {summary['seconds']:.1f} s on {summary['device']}",
        f"{summary['parameters']:,} parameters",
        *([f"{summary['bits_per_dimension']:.3f} bits per dimension"] if "bits_per_dimension" in summary else []),
        f"pixels {summary['protocol']}" + (f": {summary['note']}" if summary["note"] else ""),
        f"figures in {run.path / 'figures'}",
        *([f"TensorBoard: tensorboard --logdir {shlex.quote(str(run.path))}"] if tensorboard else []),
        *([f"report in {run.path / 'report.html'}"] if (run.path / "report.html").exists() else []),
    ]
    click.echo("\n".join(lines))
