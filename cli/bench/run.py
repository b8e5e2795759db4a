"""What `pyrovae bench` does once torch is there."""

import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import click
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.profiler import ProfilerActivity, profile

from pyrovae.errors import InputError
from pyrovae.figures.style import as_png
from pyrovae.runs.files import as_json, write_whole

from .curves import curves
from .figure import benchmark, benchmark_curves
from .measure import BASE, build, repeat, result
from .rows.floor import flops
from .rows.work import Work
from .scoring import scoring

PACKAGES = ("pyrovae", "torch", "pyro-ppl", "numpyro", "jax")
TOP = 12  # lines of a profile


def run(work: Work, names: list[str], repetitions: int, dataset: str, out: Path, **also: bool) -> None:
    """Measure, show and write."""
    memory = _peak_memory(work, dataset)  # first, as a process begins as large as the one that starts it
    rows = list(track(build(names, work), "building", len(names), transient=True))
    ready = [row for row in rows if row.epoch]
    list(track(repeat(ready, work, repetitions), "timing", repetitions * len(ready), transient=True))
    hardware = _hardware(work)
    found: dict[str, Any] = {
        "hardware": hardware,
        "threads": torch.get_num_threads(),
        "versions": _versions(),
        "work": {"dataset": dataset, "images": len(work.images), "hidden": work.hidden, "latent_dim": work.latent_dim}
        | {"batch_size": work.batch_size, "particles": work.particles, "floating_point_operations": flops(work)},
        "rows": result(rows, work),
        "peak_memory_of_training": memory,
    }
    found["importance_sampling"] = scoring(work, repetitions)
    if also["profile"] and (epoch := {row.name: row.epoch for row in ready}.get(BASE)):
        found["profile"] = _profile(epoch, len(work.images) / work.batch_size)
    title = (
        f"One epoch of {dataset}, {work.pixels}-{work.hidden}-{work.latent_dim}, batch {work.batch_size}; {hardware}"
    )
    figures = {"": benchmark(found["rows"], BASE, title)}
    if also["curves"]:
        found["curves"] = list(track(curves(work), "curves", transient=True))
        figures["-curves"] = benchmark_curves(found["curves"], hardware)
    _show(found)
    for path in _write(out, f"benchmark-{_slug(hardware)}", found, figures):
        click.echo(path)


def _hardware(work: Work) -> str:
    if work.device.type == "cuda":
        return torch.cuda.get_device_name(work.device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _peak_memory(work: Work, dataset: str) -> dict[str, Any]:
    """Of `pyrovae train` on one epoch, in a process of its own: what lies in main memory."""
    settings = f"--dataset {dataset} --hidden {work.hidden} --latent-dim {work.latent_dim} --epochs 1 --compile yes"
    arguments = ["train", *settings.split(), "--device", str(work.device), "--batch-size", str(work.batch_size)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pyrovae", *arguments, "--out", f"{folder}/run"]
        process = Popen(command, stdout=DEVNULL, stderr=DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    gigabytes = round(used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9, 3)
    return {"command": "pyrovae " + " ".join(arguments), "gigabytes": None if status else gigabytes}


def _profile(epoch: Callable[[], Any], steps: float) -> list[dict[str, Any]]:
    """Microseconds of a step by operation, the longest first."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities) as profiled:
        epoch()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    return [{"operation": event.key, "microseconds": event.self_cpu_time_total / steps} for event in events[:TOP]]


def _show(found: dict[str, Any]) -> None:
    table, work = Table(), found["work"]
    for column in ("row", "s / epoch", "images / s", "ratio", "target", "loss"):
        table.add_column(column, justify="left" if column == "row" else "right")
    for row in found["rows"]:
        if "skipped" in row:
            table.add_row(row["row"], "skipped")
            click.echo(f"{row['row']}: skipped, as {row['skipped']}")
            continue
        ratio = row.get("base_over_row")
        table.add_row(
            row["row"],
            f"{row['median']:.2f} ({min(row['seconds']):.2f}–{max(row['seconds']):.2f})",
            f"{work['images'] / row['median']:,.0f}",
            "" if ratio is None else f"{ratio:.2f}",
            _target(row),
            "" if row["loss"] is None else f"{row['loss']:.1f}",
        )
    Console().print(table)
    click.echo(f"ratio: what {BASE} takes of the row's time, the median over repetitions; target: what we aim at")
    for line in found.get("profile", []):
        click.echo(f"{line['microseconds']:8.0f} µs  {line['operation'][:90]}")
    rates = [work["floating_point_operations"] / row["median"] / 1e9 for row in found["rows"] if row["row"] == "floor"]
    if rates:
        click.echo(f"floor: nothing but the matrix products, {rates[0]:,.0f} GFLOP/s")
    scored = found["importance_sampling"]
    rate = f"{scored['rate'] / 1e9:,.0f} GFLOP/s, {scored['share']:.2f} of the floor's (target ≥ {scored['target']})"
    click.echo(f"importance sampling, K = {scored['samples']:,}: {rate}")
    memory = found["peak_memory_of_training"]
    click.echo(f"peak memory {memory['gigabytes']} GB: {memory['command']}")
    click.echo(f"{found['hardware']}, {found['threads']} threads; torch {found['versions']['torch']}")


def _target(row: dict[str, Any]) -> str:
    ratio = row.get("base_over_row")
    if (most := row.get("target")) is not None:
        return f"{'' if ratio <= most else 'not '}≤ {most}"
    if (least := row.get("at_least")) is not None:
        return f"{'' if ratio >= least else 'not '}≥ {least}"
    return ""


def _write(out: Path, stem: str, found: dict[str, Any], figures: dict[str, Any]) -> list[Path]:
    """The files, each whole or not at all."""
    paths = [out / f"{stem}.json", *(out / f"{stem}{suffix}.png" for suffix in figures)]
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(paths[0], as_json(found))
        for path, figure in zip(paths[1:], figures.values()):
            write_whole(path, as_png(figure))
    except OSError as error:
        raise InputError(f"out: expected a folder to write to, got {out}: {error.strerror}") from None
    return paths


def _slug(hardware: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
