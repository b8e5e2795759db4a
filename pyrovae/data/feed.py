"""Yields the arguments of training steps, and streams images that do not fit on the device."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pyrovae.data.data import Batch, Data
from pyrovae.data.images import Images

WORKERS = 2  # processes that read images ahead for a GPU; on a CPU they would compete with the training


class Feed:
    """Yields the arguments of one training step for each batch of rows, and reads them inside that step.

    If the training images fit on the device (`resident`), a step receives rows (n,); else it receives the images
    (n, C, H, W) of these rows, as uint8, and their labels (n,) or conditions (n, K) if there are any. Rows of a table
    that is sparse are received as dense ones.
    """

    def __init__(self, data: Data, device: torch.device) -> None:
        self.data, self.device, self.resident = data, device, data.train.fits(device)

    def __call__(self, batches: Sequence[Tensor]) -> Iterable[tuple[Tensor, ...]]:
        """Return the arguments of one step for each of these batches of rows."""
        return ((rows,) for rows in batches) if self.resident else stream(self.data.train, batches, self.device)

    def read(self, *arguments: Tensor) -> Batch:
        """Return the batch that these arguments of a step describe."""
        return self.data.batch(self.data.train, *arguments) if self.resident else self.data.read(*arguments)


def stream(images: Images, batches: Sequence[Tensor], device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """Yield the images, as uint8, and labels or conditions, if there are any, of the rows in each batch, on the device.

    For a GPU, other processes read them ahead into pinned memory, and they are copied while the GPU works.
    """
    gpu = device.type == "cuda"
    loader = DataLoader(
        _Rows(images),
        sampler=[rows.cpu() for rows in batches],
        batch_size=None,  # each item of the sampler is a whole batch
        num_workers=WORKERS if gpu else 0,
        multiprocessing_context="fork" if gpu else None,  # any other way would copy the images to each worker
        pin_memory=gpu,
        generator=torch.Generator(),  # from which it draws a seed; else it would use up a random number of the training
    )
    for batch in loader:
        yield tuple(part.to(device, non_blocking=True) for part in batch)


class _Rows(Dataset[tuple[Tensor, ...]]):
    def __init__(self, images: Images) -> None:
        self.images = images

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, ...]:
        chosen = self.images[rows]
        images = chosen.images.to_dense()
        return (images,) if chosen.y is None else (images, chosen.y)
