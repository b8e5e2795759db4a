"""Measure the peak memory of a training, and the time that a step spends in each operation."""

import os
import sys
import tempfile
from collections.abc import Callable
from subprocess import DEVNULL, Popen
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from .rows.work import Work

TOP = 12  # lines of a profile


def peak_memory(work: Work, dataset: str) -> dict[str, Any]:
    """Measure the peak main memory of `pyrovae train` over one epoch, in a process of its own.

    Call this first, because a new process begins as large as the one that starts it.
    """
    settings = f"--dataset {dataset} --hidden {work.hidden} --latent-dim {work.latent_dim} --epochs 1 --compile yes"
    arguments = ["train", *settings.split(), "--device", str(work.device), "--batch-size", str(work.batch_size)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pyrovae", *arguments, "--out", f"{folder}/run"]
        process = Popen(command, stdout=DEVNULL, stderr=DEVNULL)
        try:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if process.returncode is None:  # Ctrl-C: it must not go on alone
                process.kill()
                process.wait()
    gigabytes = round(used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9, 3)
    return {"command": "pyrovae " + " ".join(arguments), "gigabytes": None if status else gigabytes}


def profile_of(epoch: Callable[[], object], steps: float) -> list[dict[str, Any]]:
    """Return the microseconds that a step spends in each operation, the longest first."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities) as profiled:
        epoch()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    return [{"operation": event.key, "microseconds": event.self_cpu_time_total / steps} for event in events[:TOP]]
