"""Measure the rows of the benchmark, and write the files about them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.progress import track

from pyrovae.errors import InputError
from pyrovae.figures.style import as_png
from pyrovae.runs.files import as_json, write_whole

from ..console import Console
from .curves import curves
from .figure import benchmark, benchmark_curves
from .machine import hardware_of, slug, versions
from .measure import BASE, build, repeat, result
from .resources import peak_memory, profile_of
from .rows.floor import flops
from .rows.work import Work
from .scoring import scoring


def measure(
    work: Work, names: Sequence[str], repetitions: int, dataset: str, over_axes: bool, profiled: bool
) -> dict[str, Any]:
    """Measure the named rows in turn; returns the contents of benchmark-HARDWARE.json."""
    memory = peak_memory(work, dataset)
    rows = list(track(build(names, work), "building", len(names), transient=True, console=Console()))
    ready = [row for row in rows if row.epoch]
    list(track(repeat(ready, work, repetitions), "timing", repetitions * len(ready), transient=True, console=Console()))
    results: dict[str, Any] = {
        "hardware": hardware_of(work.device),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "work": {"dataset": dataset, "images": len(work.images), "hidden": work.hidden, "latent_dim": work.latent_dim}
        | {"batch_size": work.batch_size, "particles": work.particles, "floating_point_operations": flops(work)},
        "rows": result(rows, work),
        "peak_memory_of_training": memory,
    }
    results["importance_sampling"] = scoring(work, repetitions)
    if profiled and (epoch := {row.name: row.epoch for row in ready}.get(BASE)):
        results["profile"] = profile_of(epoch, len(work.images) / work.batch_size)
    if over_axes:
        results["curves"] = list(track(curves(work), "curves", transient=True, console=Console()))
    return results


def save(results: Mapping[str, Any], work: Work, out: Path) -> list[Path]:
    """Write benchmark-HARDWARE.json and its figures to the folder `out`, and return their paths."""
    hardware, dataset = results["hardware"], results["work"]["dataset"]
    title = (
        f"One epoch of {dataset}, {work.pixels}-{work.hidden}-{work.latent_dim}, batch {work.batch_size}; {hardware}"
    )
    figures = {"": benchmark(results["rows"], BASE, title)}
    if "curves" in results:
        figures["-curves"] = benchmark_curves(results["curves"], hardware)
    return write(out, f"benchmark-{slug(hardware)}", results, figures)


def write(out: Path, stem: str, results: Mapping[str, Any], figures: Mapping[str, Figure]) -> list[Path]:
    """Write the files, each whole or not at all, and return their paths."""
    paths = [out / f"{stem}.json", *(out / f"{stem}{suffix}.png" for suffix in figures)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(paths[0], as_json(results))
        for path, figure in zip(paths[1:], figures.values()):
            write_whole(path, as_png(figure))
    except OSError as error:
        raise InputError(f"out: expected a folder to write to, got {out}: {error.strerror}") from None
    return paths
