"""Allocate memory for images, or a file on disk if they do not fit in memory."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from pyrovae.errors import InputError

SHARE = 0.25  # the largest share of the memory that one set of images may take
PART = 4096  # images processed at a time
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # a container's


def fits(nbytes: int, device: torch.device | str = "cpu") -> bool:
    """Return whether a set of images of `nbytes` bytes may be kept in the memory of this device."""
    return nbytes <= SHARE * memory(torch.device(device))


@cache
def memory(device: torch.device) -> int:
    """Return the bytes of memory of a CUDA device, or for a CPU those that this process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**33
    limits = [path.read_text(encoding="utf-8").strip() for path in LIMITS if path.exists()]
    return min([whole, *(int(limit) for limit in limits if limit.isdigit())])


def allocate(shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> Tensor:
    """Return an uninitialised tensor: in memory if it fits there, else in a deleted temporary file in $TMPDIR.

    Raises `InputError` if it fits neither in memory nor on disk.
    """
    n, folder = torch.Size(shape).numel(), tempfile.gettempdir()
    nbytes = n * dtype.itemsize
    if fits(nbytes):
        return torch.empty(*shape, dtype=dtype)
    if nbytes > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"dataset: expected {nbytes / 1e9:.1f} GB free in {folder}, as these images do not fit in memory,"
            f" got {free / 1e9:.1f} GB; TMPDIR names another folder"
        )
    with tempfile.NamedTemporaryFile(prefix="pyrovae-") as file:  # deleted at once, its data live as long as the tensor
        return torch.from_file(file.name, shared=True, size=n, dtype=dtype).view(*shape)


def convert(images: Tensor, function: Callable[[Tensor], Tensor], shape: Sequence[int] | None = None) -> Tensor:
    """Apply `function` to all images, `PART` at a time; `shape` is that of one image afterwards, if it changes."""
    out = allocate((len(images), *(shape or images.shape[1:])), images.dtype)
    for target, part in zip(out.split(PART), images.split(PART)):
        target.copy_(function(part))
    return out


def select(images: Tensor, rows: Tensor) -> Tensor:
    """Copy these rows of the images, `PART` at a time."""
    out = allocate((len(rows), *images.shape[1:]), images.dtype)
    for target, part in zip(out.split(PART), rows.split(PART)):
        target.copy_(images[part])
    return out


def missing(images: Tensor) -> Tensor:
    """Return where values that a set keeps are missing: NaN in a table, and −1 in images."""
    return images.isnan() if images.is_floating_point() else images < 0
