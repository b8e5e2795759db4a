"""Time trainings beside other busy processes: on one thread, on all threads, and on as many as pay at the moment."""

import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from subprocess import Popen
from typing import Any

import torch
from rich.progress import track
from rich.table import Table

from pyrovae.commands.threads import threads_restored, use_threads
from pyrovae.config.settings import Config
from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.errors import InputError
from pyrovae.inference.threads import counts
from pyrovae.programs.build import build
from pyrovae.training.fit import Fit, fit

from ..console import Console
from ..terminal import say
from .machine import hardware_of, versions

GOAL = 1.15  # at most so many times the time of the better number of threads
TURN = 3.0  # seconds, at least, that a fit trains before the next one does
COMPILED = {"eager": "no", "compiled": "yes"}
WORK: dict[str, tuple[tuple[int, int, int], int, dict[str, Any]]] = {  # shape, images and settings
    "small": ((1, 28, 20), 1950, {"network": "gated", "hidden": (300, 300), "prior": "vamp", "batch_size": 150}),
    "large": ((1, 28, 28), 6400, {"hidden": (512, 512), "batch_size": 128}),
}
# A process that keeps a core busy for as long as its parent, whose number it is given, lives.
BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(100_000): pass"


class Training:
    """A training without an end, on a number of threads that is named, or chosen as `pyrovae train` does."""

    def __init__(self, work: str, compile: str, threads: int | None) -> None:
        shape, n, settings = WORK[work]
        config = Config(
            **settings,
            latent_dim=40,
            epochs=1_000_000,
            compile=compile,
            threads=threads,
            device="cpu",
        )
        generator = torch.Generator().manual_seed(0)
        images = Images(torch.randint(0, 256, (n, *shape), generator=generator, dtype=torch.uint8))
        data = Data("bench", train=images, test=images[slice(0, 1)])  # an epoch ends by scoring one image
        self.fit: Fit = fit(build(config, data.shape), data, config)
        self.epochs = iter(self.fit)

    def take_turn(self) -> float:
        """Train for a while; returns the seconds that an epoch took."""
        start, epochs = time.perf_counter(), 0
        with threads_restored():
            use_threads(self.fit)
            while not epochs or time.perf_counter() < start + TURN:
                next(self.epochs)
                epochs += 1
        return (time.perf_counter() - start) / epochs


def measure(most: int, repetitions: int) -> Iterator[dict[str, Any]]:
    """Yield the seconds of an epoch of each kind of training beside 0 to `most` busy processes."""
    if len(counts()) < 2:
        raise InputError(
            "beside: expected several threads to choose from, got one number; leave out --threads and OMP_NUM_THREADS"
        )
    one, every = counts()
    for work, way in product(WORK, COMPILED):
        trainings = [Training(work, COMPILED[way], threads) for threads in (one, every, None)]
        for training in trainings:
            training.take_turn()  # compiles
        for neighbours in range(most + 1):
            with busy(neighbours):
                turns = [[training.take_turn() for training in trainings] for _ in range(repetitions)]
            seconds = [statistics.mean(column) for column in zip(*turns)]
            yield {
                "training": f"{work}, {way}",
                "neighbours": neighbours,
                **dict(zip(("one", "all", "adapting"), seconds)),
                "ratio": seconds[-1] / min(seconds[:-1]),
            }


@contextmanager
def busy(processes: int) -> Iterator[list[Popen[bytes]]]:
    """Keep so many cores busy inside, by other processes."""
    started = [Popen([sys.executable, "-c", BUSY, str(os.getpid())]) for _ in range(processes)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows that `measure` yields."""
    table = Table()
    for column in ("training", "busy", "one", "all", "adapting", "ratio", "goal"):
        table.add_column(column, justify="left" if column == "training" else "right")
    for row in rows:
        seconds = (f"{row[key]:.3f}" for key in ("one", "all", "adapting"))
        goal = f"{'' if row['ratio'] <= GOAL else 'not '}≤ {GOAL}"
        table.add_row(row["training"], str(row["neighbours"]), *seconds, f"{row['ratio']:.2f}", goal)
    Console().print(table)
    say("seconds of an epoch, means over the repetitions; ratio: adapting over the better of one and all threads")


def run(most: int, repetitions: int) -> dict[str, Any]:
    """Measure and show everything; returns the contents of beside-HARDWARE.json."""
    rows = list(
        track(
            measure(most, repetitions),
            "timing",
            len(COMPILED) * len(WORK) * (most + 1),
            transient=True,
            console=Console(),
        )
    )
    show(rows)
    return {
        "hardware": hardware_of(torch.device("cpu")),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "repetitions": repetitions,
        "goal": GOAL,
        "rows": rows,
    }
