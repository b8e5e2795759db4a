"""One training session: what `pyrovae train` does once torch is there."""

import os
import shlex
import warnings
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.builder import build
from pyrovae.cli.progress import Progress
from pyrovae.compiled import estimate
from pyrovae.config import Config
from pyrovae.data import load
from pyrovae.figures import draw
from pyrovae.runs import Run
from pyrovae.spread import collapse
from pyrovae.training import Fit, fit
from pyrovae.vae import mean_of

SMALL_STEP = 3e7  # floating-point operations forwards


def train(path: Path, config: Config | None, settings: dict[str, Any], force: bool, figures: bool = True) -> None:
    """Train the run at `path`: a new one of this config, or without one the run that is there, from its checkpoint."""
    resumed = None
    if config is None:
        resumed = Run(path)
        config = resumed.config.replace(**settings)
    data = load(config)
    fitting = fit(build(config, data.shape, len(data.classes)), data, config)
    run = resumed or Run.create(path, config, force)
    _spare_threads(fitting)
    if resumed:
        run.resume(fitting, config)
    else:
        run.save(fitting)  # so that it can be resumed from its first epoch on
    click.echo(
        f"{config.dataset}: {len(data.train):,} images for training, {len(data.test):,} for testing; run folder {path}"
    )
    if fitting.to_compile:
        click.echo(f"compiling the step first: {estimate(fitting.steps)} (--compile no: not)")
    try:
        with Progress(fitting) as progress, warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: progress.say(f"warning: {message}")
            warned = False
            for epoch in fitting:
                run.record(epoch, fitting)
                progress.show(epoch)
                if not warned and (warning := collapse(run.metrics, config)):
                    progress.say(f"warning: {warning}")
                    warned = True
        summary = run.finish(fitting)
        run.data = data
        for name, figure in draw(run) if figures else ():
            run.save_figure(name, figure)
    except KeyboardInterrupt:
        command = f"pyrovae train --resume --out {shlex.quote(str(path))}"
        click.echo(f"pyrovae: interrupted; go on with: {command}", err=True)
        raise SystemExit(130) from None
    _show(summary, fitting, path)


def _spare_threads(fitting: Fit) -> None:
    """One thread for a small step: more make it no faster, and far slower where other programs share the cores."""
    x, labels = fitting.data.batch(fitting.data.train, slice(0, fitting.config.batch_size))
    vae, y = fitting.vae, fitting.vae.given(x, labels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.decoder(mean_of(vae.encode(x, y)), y)
    if counter.get_total_flops() < SMALL_STEP and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def _show(summary: dict[str, Any], fitting: Fit, path: Path) -> None:
    chosen = summary["best"]
    table = Table()
    for column in ("", "loss", "reconstruction", "KL"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("train", "validation", "test"):
        if name in chosen:
            table.add_row(name, *(f"{chosen[name][key]:.2f}" for key in ("loss", "reconstruction", "kl")))
    click.echo(f"{path}: nats per image, weights of {summary['weights']}")
    Console().print(table)
    lines = [
        f"{summary['final']['epoch']} epochs in {summary['seconds']:.0f} s on {summary['device']}",
        f"{summary['parameters']:,} parameters",
        *([f"{summary['bits_per_dimension']:.3f} bits per dimension"] if "bits_per_dimension" in summary else []),
        f"pixels {summary['protocol']}" + (f": {summary['note']}" if summary["note"] else ""),
        f"figures in {path / 'figures'}",
    ]
    click.echo("\n".join(lines))
