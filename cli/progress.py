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
            scores = TextColumn("{task.fields[scores]}")
            columns = (TextColumn("epoch"), MofNCompleteColumn(), BarColumn(None), scores, TimeRemainingColumn())
            self.bar = Bar(*columns, console=console, expand=True)
            self.task = self.bar.add_task("", total=fit.config.epochs, completed=fit.epoch, scores="")

    def __enter__(self) -> "Progress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.bar:
            self.bar.stop()

    def show(self, epoch: dict[str, Any]) -> None:
        number, total, test = epoch["epoch"], self.fit.config.epochs, epoch["test"]
        speed = f"{len(self.fit.data.train) / max(epoch['seconds'], 1e-9):,.0f} images/s"
        if self.bar:  # narrow enough for 80 columns
            scores = f"loss {test['loss']:.1f}  rec {test['reconstruction']:.1f}  KL {test['kl']:.1f}  {speed}"
            self.bar.update(self.task, completed=number, scores=scores)
        elif number % max(1, total // PLAIN_LINES) == 0 or number == 1 or self.fit.done:
            minutes, seconds = divmod(round((total - number) * epoch["seconds"]), 60)
            scores = f"test loss {test['loss']:.2f}  reconstruction {test['reconstruction']:.2f}  KL {test['kl']:.2f}"
            click.echo(f"epoch {number}/{total}  {scores}  {speed}  {minutes}:{seconds:02d} left")
