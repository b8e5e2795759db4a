"""Room for images: in memory, or where they would fill it, in a file that is read as they are asked for."""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from pyrovae.errors import InputError

SHARE = 0.25  # of the memory, that one set of images may take
PART = 4096  # images that are worked on at a time
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # of a container


def fits(nbytes: int, device: torch.device | str = "cpu") -> bool:
    """Whether so many bytes of images may lie in the memory of this device."""
    return nbytes <= SHARE * memory(torch.device(device))


@cache
def memory(device: torch.device) -> int:
    """Bytes that the device has; of a CPU, that this process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**33
    limits = [path.read_text().strip() for path in LIMITS if path.exists()]
    return min([whole, *(int(limit) for limit in limits if limit.isdigit())])


def room(shape: Sequence[int]) -> Tensor:
    """An uint8 tensor to be filled. One too large for the memory lies in a file without a name in $TMPDIR."""
    n, folder = torch.Size(shape).numel(), tempfile.gettempdir()
    if fits(n):
        return torch.empty(*shape, dtype=torch.uint8)
    if n > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"dataset: expected {n / 1e9:.1f} GB free in {folder}, as these images do not fit in memory,"
            f" got {free / 1e9:.1f} GB; TMPDIR names another folder"
        )
    with tempfile.NamedTemporaryFile(prefix="pyrovae-") as file:  # soon without a name, it lasts as long as the tensor
        return torch.from_file(file.name, shared=True, size=n, dtype=torch.uint8).view(*shape)


def changed(images: Tensor, change: Callable[[Tensor], Tensor], shape: Sequence[int] | None = None) -> Tensor:
    """`change` of all images, a part at a time; each has this shape afterwards, or the one that it had."""
    out = room((len(images), *(shape or images.shape[1:])))
    for into, part in zip(out.split(PART), images.split(PART)):
        into.copy_(change(part))
    return out


def taken(images: Tensor, rows: Tensor) -> Tensor:
    """The images of these rows, a part at a time."""
    out = room((len(rows), *images.shape[1:]))
    for into, part in zip(out.split(PART), rows.split(PART)):
        into.copy_(images[part])
    return out
