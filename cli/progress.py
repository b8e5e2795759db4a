"""The live progress bar; plain lines where there is no terminal."""

from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from pyrovae.training import Fit

PLAIN_LINES = 20  # of a run, about


class Progress:
    """`with Progress(fit) as progress: progress.show(epoch)` for each epoch's record."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        console = Console()
        self.bar = None
        if console.is_terminal:
            columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[scores]}"))
            self.bar = Bar(*columns, TimeRemainingColumn(), console=console)
            self.task = self.bar.add_task("", total=fit.config.epochs, completed=fit.epoch, scores="")

    def __enter__(self) -> "Progress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar:
            self.bar.stop()

    def show(self, epoch: dict[str, Any]) -> None:
        number, total = epoch["epoch"], self.fit.config.epochs
        speed = len(self.fit.data.train) / max(epoch["seconds"], 1e-9)
        scores = (
            "  ".join(f"{name} {epoch['test'][key]:.2f}" for name, key in _SHOWN.items()) + f"  {speed:,.0f} images/s"
        )
        if self.bar:
            self.bar.update(self.task, completed=number, scores=scores)
        elif number % max(1, total // PLAIN_LINES) == 0 or number == 1 or self.fit.done:
            minutes, seconds = divmod(round((total - number) * epoch["seconds"]), 60)
            click.echo(f"epoch {number}/{total}  {scores}  {minutes}:{seconds:02d} left")


_SHOWN = {"test loss": "loss", "reconstruction": "reconstruction", "KL": "kl"}
