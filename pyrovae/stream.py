"""Images that do not fit on a device, handed to it batch by batch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pyrovae.data import Images

WORKERS = 2  # processes that fetch images for a GPU; a CPU has no time to spare


def stream(images: Images, batches: Sequence[Tensor], device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """The images, uint8, and their labels, if there are any, of the rows in each batch, on the device.

    For a GPU they are fetched ahead, into pinned memory, and copied while it works.
    """
    gpu = device.type == "cuda"
    loader = DataLoader(
        _Rows(images),
        sampler=[rows.cpu() for rows in batches],
        batch_size=None,  # a batch is what the sampler says
        num_workers=WORKERS if gpu else 0,
        multiprocessing_context="fork" if gpu else None,  # another way would send the images to each worker
        pin_memory=gpu,
        generator=torch.Generator(),  # it draws a seed: not from the random numbers of the training
    )
    for batch in loader:
        yield tuple(part.to(device, non_blocking=True) for part in batch)


class _Rows(Dataset):
    def __init__(self, images: Images) -> None:
        self.images = images

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, ...]:
        chosen = self.images[rows]
        return (chosen.images,) if chosen.labels is None else (chosen.images, chosen.labels)
