"""Name the hardware that the benchmark runs on, and the versions of the packages that it compares."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("pyrovae", "torch", "pyro-ppl", "numpyro", "jax")


def hardware_of(device: torch.device) -> str:
    """Name the graphics card, or the processor and its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of the packages that are compared, as far as they are installed."""
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def slug(hardware: str) -> str:
    """Write the name of the hardware as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")
