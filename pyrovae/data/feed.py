"""Images that do not fit on a device, handed to it batch by batch."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pyrovae.data.data import Batch, Data, Images

WORKERS = 2  # processes that fetch images for a GPU; a CPU has no time to spare


class Feed:
    """What a step on the training images is called with, for rows (n,) of each batch, and how that is read.

    Rows of images that lie on the device; or images that do not, and their labels.
    """

    def __init__(self, data: Data, device: torch.device) -> None:
        self.data, self.device, self.resident = data, device, data.train.fits(device)

    def __call__(self, batches: Sequence[Tensor]) -> Iterable[tuple[Tensor, ...]]:
        return ((rows,) for rows in batches) if self.resident else stream(self.data.train, batches, self.device)

    def read(self, *fed: Tensor) -> Batch:
        return self.data.batch(self.data.train, *fed) if self.resident else self.data.read(*fed)


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


class _Rows(Dataset[tuple[Tensor, ...]]):
    def __init__(self, images: Images) -> None:
        self.images = images

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, ...]:
        chosen = self.images[rows]
        return (chosen.images,) if chosen.labels is None else (chosen.images, chosen.labels)
