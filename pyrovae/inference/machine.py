"""Where a program runs, and with which random numbers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pyrovae.config import DEVICES, InputError


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's random numbers follow from `seed`; afterwards its states, of CUDA devices too, are as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:1`."""
    if not re.fullmatch(DEVICES, name):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:1, got {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(f"device: expected cpu or one of this machine's {count} CUDA devices, got {name!r}")
    return device
