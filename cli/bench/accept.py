"""Hold a GPU to its targets: measure each, and say whether it is met."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from pyrovae.config.settings import Config
from pyrovae.data.loading import load
from pyrovae.errors import InputError

from ..console import Console
from ..terminal import say
from .machine import hardware_of, slug, versions
from .measure import BASE, TARGETS, Row, build, repeat, wait
from .rows.work import Work
from .run import write

RIVALS = ("pyro", "torch", "numpyro")
EPOCHS = 100  # of a whole training
TESTS = Path(__file__).resolve().parents[2] / "tests"  # a checkout has them, an installed package has not


class Target(NamedTuple):
    """A bound on a number that is measured: the most that it may be, or the least."""

    quantity: str
    bound: float
    at_least: bool = False

    def met(self, value: float | str) -> bool:
        """Say whether a number keeps the bound; one that is not known does not."""
        if isinstance(value, str):
            return False
        return value >= self.bound if self.at_least else value <= self.bound


ACCEPTED = {
    "pyro": Target(f"time of {BASE} over that of Pyro's own way", TARGETS["cuda"]["pyro"]),
    "torch": Target(f"time of {BASE} over that of eager PyTorch", TARGETS["cuda"]["torch"]),
    "numpyro": Target(f"time of {BASE} over that of NumPyro", TARGETS["cuda"]["numpyro"]),
    "training": Target(f"seconds of {EPOCHS} epochs of MNIST", 6.0),
    "busy": Target("share of an epoch in which the GPU computes", 0.77, at_least=True),
    "tests": Target("runs of the tests marked `cuda` with an error", 0.0),
}
Measured = Mapping[str, float | str]  # of each target its number, or why there is none


def accept(measured: Measured, device: torch.device, out: Path) -> bool:
    """Print what was measured for each target, write accept-HARDWARE.json, and return whether all targets are met."""
    hardware, verdicts = hardware_of(device), [*_verdicts(measured)]
    table = Table()
    for column in ("target", "measured", "bound", ""):
        table.add_column(column, justify="left" if column == "target" else "right")
    for verdict, target in zip(verdicts, ACCEPTED.values()):
        value = verdict["measured"]
        bound = f"{'≥' if target.at_least else '≤'} {target.bound:g}"
        text = value if isinstance(value, str) else f"{value:.3f}"
        table.add_row(target.quantity, text, bound, "pass" if verdict["met"] else "fail")
    Console().print(table)
    results = {"hardware": hardware, "versions": versions(), "targets": verdicts}
    say(*write(out, f"accept-{slug(hardware)}", results, {}))
    return all(verdict["met"] for verdict in verdicts)


def _verdicts(measured: Measured) -> Iterator[dict[str, Any]]:
    for name, target in ACCEPTED.items():
        value = measured.get(name, "not measured")
        yield {"target": name, "measured": value, "bound": target.bound, "met": target.met(value)}


def measured(device: torch.device, repetitions: int) -> Measured:
    """Measure everything that the targets are about, on a GPU."""
    work = Work(load(Config(dataset="mnist")).train.images.to_dense().to(device))
    rows = {row.name: row for row in build((*RIVALS, BASE), work)}
    for _ in repeat([row for row in rows.values() if row.epoch], work, repetitions):
        pass
    base = rows[BASE]
    assert base.epoch is not None  # as pyrovae is installed
    ratios = {name: _ratio(base, rows[name]) for name in RIVALS}
    return {**ratios, "training": _training(base.epoch, work), "busy": _busy(base, work), "tests": _tests()}


def _ratio(base: Row, rival: Row) -> float | str:
    if rival.skipped:
        return rival.skipped
    if rival.name == "numpyro":
        import jax

        if (backend := jax.default_backend()) == "cpu":
            return f"jax computes on the {backend}: pip install 'jax[cuda13]'"
    return base.ratio(rival)


def _training(epoch: Callable[[], object], work: Work) -> float:
    wait(work)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        epoch()
    wait(work)
    return time.perf_counter() - start


def _busy(base: Row, work: Work) -> float | str:
    """Return the time of an epoch's kernels and copies over the median epoch, which was timed without a profiler."""
    assert base.epoch is not None
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        base.epoch()
        wait(work)
    kernels = [event for event in profiled.key_averages() if event.device_type.name == "CUDA"]
    if not kernels:
        return "the profiler saw no kernel"
    return float(sum(event.self_device_time_total for event in kernels)) / 1e6 / base.median


def _tests() -> float | str:
    if not TESTS.is_dir():
        return "an installed package has no tests: run this in a checkout"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cuda", str(TESTS)]
    return float(subprocess.run(command, cwd=TESTS.parent, stdout=subprocess.DEVNULL, check=False).returncode != 0)


def expect_cuda(device: torch.device) -> None:
    """Raise `InputError` for a device that no target is about."""
    if device.type != "cuda":
        raise InputError(f"accept: expected a CUDA device, as all targets are of a GPU, got {device}")
