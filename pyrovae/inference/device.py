"""Choose the device that a program runs on."""

import re

import torch

from pyrovae.config.values import DEVICES
from pyrovae.errors import InputError


def choose_device(name: str) -> torch.device:
    """Return the device called `auto` (CUDA if there is one, else the CPU), `cpu`, `cuda` or `cuda:1`.

    Raises `InputError` for any other name, and for a CUDA device that this machine does not have.
    """
    if not re.fullmatch(DEVICES, name):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:1, got {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(f"device: expected cpu or one of this machine's {count} CUDA devices, got {name!r}")
    return device
