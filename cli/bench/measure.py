"""Time the rows of the benchmark in turn, in one run, so that they compare."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .rows import ROWS, Work

BASE = "pyrovae-compiled"
TARGETS = {  # upper limits of pyrovae-compiled's time divided by the row's
    "cpu": {"pyro": 0.25, "pyro-resident": 0.45, "torch": 0.75, "torch-compiled": 0.95, "numpyro": 1.0, "floor": 1.35},
    "cuda": {"pyro": 0.02, "torch": 0.5, "numpyro": 1.0},
}
AT_LEAST = {"cpu": {"pyrovae-bf16": 1.43}, "cuda": {}}  # lower limits of that ratio: bf16 takes at most 0.7


@dataclass
class Row:
    """One row with its times in seconds: of each epoch, and of `building` it, with compiling and the first epoch."""

    name: str
    epoch: Callable[[], float | None] | None = None
    building: float = 0.0
    skipped: str = ""
    loss: float | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: "Row") -> float:
        """Return this row's time divided by the other's: the median over the repetitions, in which both ran in turn."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, other.seconds))


def build(names: Sequence[str], work: Work) -> Iterator[Row]:
    """Yield each row, ready to be timed, or marked as skipped if a package that it needs is not installed."""
    for name in names:
        row, start = Row(name), time.perf_counter()
        try:
            row.epoch = ROWS[name](work)
            row.loss = row.epoch()
            wait(work)
        except ImportError as error:
            row.epoch, row.skipped = None, f"{error.name} is not installed: pip install 'pyrovae[bench]'"
        row.building = time.perf_counter() - start
        yield row


def repeat(rows: Sequence[Row], work: Work, repetitions: int) -> Iterator[None]:
    """Time an epoch of every row in turn, `repetitions` times, each time beginning with another row."""
    for repetition in range(repetitions):
        first = repetition % max(len(rows), 1)
        for row in (*rows[first:], *rows[:first]):
            if row.epoch is None:  # skipped
                continue
            wait(work)
            start = time.perf_counter()
            row.loss = row.epoch()
            wait(work)
            row.seconds.append(time.perf_counter() - start)
            yield


def wait(work: Work) -> None:
    if work.device.type == "cuda":
        torch.cuda.synchronize(work.device)


def result(rows: Sequence[Row], work: Work) -> list[dict[str, Any]]:
    """Return the rows for the JSON file, each with the time of pyrovae-compiled relative to it, and its target."""
    timed = {row.name: row for row in rows if row.seconds}
    base, targets, least = timed.get(BASE), TARGETS[work.device.type], AT_LEAST[work.device.type]
    entries = []
    for row in rows:
        entry: dict[str, Any] = {"row": row.name}
        if row.skipped:
            entry["skipped"] = row.skipped
        elif row.seconds:
            entry |= {"median": row.median, "seconds": row.seconds, "building": row.building, "loss": row.loss}
            if base is not None and row is not base:
                entry["base_over_row"] = base.ratio(row)
                if row.name in targets:
                    entry["target"] = targets[row.name]
                if row.name in least:
                    entry["at_least"] = least[row.name]
        entries.append(entry)
    return entries
