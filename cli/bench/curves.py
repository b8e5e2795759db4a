"""Measure how the time of an epoch depends on batch size, width, latent dimension and particles."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .measure import build, repeat
from .rows.work import Work

AXES = {
    "batch_size": (32, 128, 512, 2048, 4096),
    "hidden": (100, 200, 400, 800, 1600),
    "latent_dim": (2, 10, 50, 200),
    "particles": (1, 4, 16),
}
NAMES = ("pyro-resident", "torch", "torch-compiled", "pyrovae", "pyrovae-compiled", "floor")
STEPS = 20  # the fewest steps that are timed; their time is scaled to a whole epoch


def curves(work: Work, repetitions: int = 3) -> Iterator[dict[str, Any]]:
    """Yield points: an axis, its value, a row, and its seconds, from the fastest of some shortened epochs."""
    for axis, values in AXES.items():
        for value in values:
            setting: dict[str, Any] = {axis: value}
            point = replace(work, **setting)
            n = min(len(work.images), max(STEPS * point.batch_size, 2048) // point.particles)
            point = replace(point, images=work.images[: n - n % point.batch_size or point.batch_size])
            rows = [row for row in build(NAMES, point) if row.epoch]
            for _ in repeat(rows, point, repetitions):
                pass
            for row in rows:
                seconds = min(row.seconds) * len(work.images) / len(point.images)
                yield {"axis": axis, "value": value, "row": row.name, "seconds": seconds}
