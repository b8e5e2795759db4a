"""pyrovae train: train a model in a run folder."""

import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyrovae.config.settings import Config

from .interrupts import answered
from .options import SettingsCommand, trusts
from .processes import check_environment, end, end_with_the_others, ending, processes
from .starts import check_config, name_of, starts, texts_of
from .terminal import say
from .values import NAMED, examples

if TYPE_CHECKING:
    from pyrovae.commands.train import Training


@click.command(
    "train",
    cls=SettingsCommand,
    epilog=examples(
        "pyrovae train                                     digits, in seconds",
        "pyrovae train --preset mnist-vae --latent-dim 10  a named experiment, changed",
        "pyrovae train --resume --epochs 200               go on with the newest of results/digits",
    ),
)
@starts
@click.option(
    "--out", metavar="DIR", type=NAMED, help="the run folder  [results/NAME, or NAME-2, ... if that is taken]"
)
@click.option("--resume", is_flag=True, help="go on from the run folder's checkpoint, or begin if there is none")
@click.option("--force", is_flag=True, help="replace the run that --out holds")
@click.option("--figures/--no-figures", default=True, help="draw the figures and write the page  [yes]")
@trusts
@click.option("--tensorboard", is_flag=True, help="write each epoch to DIR/tensorboard, too (pyrovae[tensorboard])")
def command(
    preset_name: str | None,
    config_file: Path | None,
    out: Path | None,
    resume: bool,
    force: bool,
    figures: bool,
    tensorboard: bool,
    trust: bool,
    **flags: str | None,
) -> None:
    """Train a VAE, draw its figures and write a page about it.

    Settings come from the defaults, then --preset, then --config, then the flags below.
    """
    check_environment()  # before the imports, which take seconds
    settings = {name: value for name, value in flags.items() if value is not None}
    name = name_of(preset_name, config_file, settings.get("dataset"))
    merged = {} if resume else settings  # a run that is resumed has its own settings, which flags change
    config = Config.from_toml(*texts_of(preset_name, config_file), **merged)
    if not trust:
        check_config(config, config_file, settings)
    from pyrovae.commands.train import Training  # imports torch

    changed = settings if resume else {}
    _train(Training(config, out, name, resume, force, tensorboard, changed, trust), figures)


def _train(training: "Training", figures: bool) -> None:
    """Do all steps of a training and show them. A training that ends early says how to go on with it."""
    from pyrovae.inference import choose_device
    from pyrovae.inference.meeting import Lost
    from pyrovae.inference.processes import joined
    from pyrovae.runs.files import NoRoom

    with answered(lambda: ending(training.path, "interrupted")):
        if processes() > 1:
            end_with_the_others(training.path)
        try:
            with joined(choose_device(training.config.device)), training.begin():
                _show_epochs(training)
                training.finish(figures)
        except KeyboardInterrupt:
            end(training.path, "interrupted", 130)
        except (Lost, NoRoom) as error:
            end(training.path, str(error), 1)
    if training.leads:
        _show_summary(training, figures)


def _show_epochs(training: "Training") -> None:
    from .progress import Progress

    if not training.leads:  # the first process shows the training for all
        list(training)
        return
    _show_start(training)
    with Progress(training.fit) as progress, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: progress.say(f"warning: {message}")
        for event in training:
            if isinstance(event, str):
                progress.say(f"warning: {event}")
            else:
                progress.show(event)


def _show_start(training: "Training") -> None:
    from pyrovae.inference.compiled import estimate
    from pyrovae.inference.processes import size

    fit, data = training.fit, training.fit.data
    if training.anew:
        say(f"no run to resume in {training.path}: this is its start")
    images = f"{len(data.train):,} {data.noun}s for training, {len(data.test):,} for testing"
    several = f"; {size()} processes" if size() > 1 else ""
    say(f"{fit.config.dataset}: {images}; run folder {training.path}{several}")
    if fit.to_compile:
        begun = fit.epoch or fit.step  # a resumed run takes no --compile
        why = "as when the run began" if begun else f"{estimate(fit.steps)} (--compile no: not)"
        say(f"compiling the step first: {why}")


def _show_summary(training: "Training", figures: bool) -> None:
    from rich.table import Table

    from .console import Console

    summary, path = training.summary, training.folder
    chosen, epochs = summary["best"], summary["final"]["epoch"]
    table = Table()
    for column in ("", "loss", "reconstruction", "KL"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("train", "validation", "test"):
        if name in chosen:
            table.add_row(name, *(f"{chosen[name][key]:.2f}" for key in ("loss", "reconstruction", "kl")))
    say(f"{path}: {summary['unit']}, weights of {summary['weights']}")
    Console().print(table)
    lines = [
        f"{epochs} epoch{'' if epochs == 1 else 's'} in {summary['seconds']:.1f} s on {summary['device']}",
        f"{summary['parameters']:,} parameters",
        *([f"{chosen['accuracy']:.1%} of the test labels are inferred rightly"] if "accuracy" in chosen else []),
        *([f"{summary['bits_per_dimension']:.3f} bits per dimension"] if "bits_per_dimension" in summary else []),
        f"pixels {summary['protocol']}" + (f": {summary['note']}" if summary["note"] else ""),
        *([f"figures in {path / 'figures'}"] if figures else []),
        *([f"TensorBoard: tensorboard --logdir {shlex.quote(str(path))}"] if training.tensorboard else []),
        *([f"report in {path / 'report.html'}"] if (path / "report.html").exists() else []),
    ]
    say(*lines)
