"""Progress bars in a terminal, and plain lines elsewhere."""

from collections.abc import Collection, Mapping
from statistics import median_low
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from .console import Console
from .terminal import say

if TYPE_CHECKING:
    from pyrovae.training.fit import Fit

PLAIN_LINES = 20  # about how many lines a whole run prints


class Lines:
    """Lines of text above a progress bar; `bar` is None where there is no terminal."""

    bar: Bar | None

    def __init__(self, *columns: ProgressColumn) -> None:
        console = Console()
        self.bar = Bar(*columns, console=console, expand=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        if self.bar:
            self.bar.console.print(line)
        else:
            say(line)


class Progress(Lines):
    """The progress of one training: `with Progress(fit) as progress: progress.show(record)` for each epoch."""

    def __init__(self, fit: "Fit") -> None:
        scores = TextColumn("{task.fields[scores]}", markup=False)
        super().__init__(TextColumn("epoch"), MofNCompleteColumn(), BarColumn(None), scores, TimeRemainingColumn())
        self.fit = fit
        self.seconds: list[float] = []  # seconds of each epoch: the first one may include compiling
        if self.bar:
            self.task = self.bar.add_task("", total=fit.config.epochs, completed=fit.epoch, scores="")

    def show(self, record: Mapping[str, Any]) -> None:
        """Show the record of an epoch."""
        number, total, test = record["epoch"], self.fit.config.epochs, record["test"]
        self.seconds.append(record["seconds"])
        speed = f"{len(self.fit.data.train) / max(record['seconds'], 1e-9):,.0f} {self.fit.data.noun}s/s"
        accuracy = f"  accuracy {record['accuracy']:.1%}" if "accuracy" in record else ""
        if self.bar:  # narrow enough for 80 columns
            scores = (
                f"loss {test['loss']:.1f}  rec {test['reconstruction']:.1f}  KL {test['kl']:.1f}{accuracy}  {speed}"
            )
            self.bar.update(self.task, completed=number, scores=scores)
        elif number % max(1, total // PLAIN_LINES) == 0 or number == 1 or self.fit.done:
            minutes, seconds = divmod(round((total - number) * median_low(self.seconds)), 60)
            scores = f"test loss {test['loss']:.2f}  reconstruction {test['reconstruction']:.2f}  KL {test['kl']:.2f}"
            say(f"epoch {number}/{total}  {scores}{accuracy}  {speed}  {minutes}:{seconds:02d} left")


class SweepProgress(Lines):
    """The progress of a sweep: a bar over the epochs of all runs, and one for each run that is being trained.

    Without a terminal, it prints a line for each run that has ended.
    """

    def __init__(self, epochs: Mapping[str, int], done: Collection[str]) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False), BarColumn(None), MofNCompleteColumn(), TimeRemainingColumn()
        )
        self.epochs, self.ended = epochs, len(done)
        self.finished_epochs = sum(epochs[name] for name in done)
        self.tasks: dict[str, TaskID] = {}
        if self.bar:
            self.total = self.bar.add_task("", total=sum(epochs.values()), completed=self.finished_epochs)

    def show(self, running: Mapping[str, int]) -> None:
        """Show the epochs done so far of each run that is being trained."""
        if not self.bar:
            return
        for name, done in running.items():
            if name not in self.tasks:
                self.tasks[name] = self.bar.add_task(f"  {name}", total=self.epochs[name])
            self.bar.update(self.tasks[name], completed=done)
        description = f"epochs of all runs, {self.ended}/{len(self.epochs)} ended"
        completed = self.finished_epochs + sum(running.values())
        self.bar.update(self.total, description=description, completed=completed)

    def end(self, name: str, outcome: str) -> None:
        """Show how a run ended. Its epochs count as done, even if it ended early."""
        self.ended += 1
        self.finished_epochs += self.epochs[name]
        if self.bar and name in self.tasks:
            self.bar.remove_task(self.tasks.pop(name))
        self.say(f"{self.ended}/{len(self.epochs)}  {name}  {outcome}")
