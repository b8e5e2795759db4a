"""A set of a dataset: images or the rows of a table, and their labels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.data.sparse import SparseRows, Stored
from pyrovae.data.storage import PART, fits, missing, select
from pyrovae.display import strip, table
from pyrovae.errors import InputError

KINDS = ((4, torch.uint8), (4, torch.int16), (2, torch.float32))  # dimensions and type of a set


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W) as uint8 from 0 to 255, and their labels (N,) as int64, if there are any; -1: not known.

    Or vectors, the rows (N, D) of a table, as float32, NaN where a value is missing; beside them `given`, (N, K), the
    values of the columns that are conditions. Images of which pixels are missing are int16, and −1 there. Floats are
    no images: 1 would be white to one reader and nearly black to another. Rows that are mostly 0 may be `SparseRows`.
    """

    images: Stored
    labels: Tensor | None = None
    given: Tensor | None = None
    noise: Tensor | None = None  # (N, C, H, W), uint8: 256ths of a level, which `dequantised` adds; else it draws them

    def __post_init__(self) -> None:
        images = self.images
        if not isinstance(images, Tensor | SparseRows) or (images.dim(), images.dtype) not in KINDS:
            got = f"{tuple(images.shape)} of {images.dtype}" if hasattr(images, "dtype") else type(images).__name__
            raise InputError(
                "images: expected a tensor (N, C, H, W) of torch.uint8, or rows (N, D) of torch.float32, got"
                f" {got}; Data.of(x) reads other arrays"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.images.shape[1:]))
        kind = "Images" if self.images.dim() == 4 else "Vectors"
        return f"{kind}({len(self):,} of {shape}, {'unlabelled' if self.labels is None else 'labelled'})"

    def _repr_html_(self) -> str:
        return table(repr(self), {}, strip(self.images) if isinstance(self.images, Tensor) else "")

    @property
    def missing(self) -> float:
        """The share of the values that are missing."""
        if self.images.dtype == torch.uint8 or isinstance(self.images, SparseRows):
            return 0.0
        return sum(float(missing(part).sum()) for part in self.images.split(PART)) / self.images.numel()

    def gaps(self) -> Tensor:
        """Return where values are missing, (N, *shape), on the CPU."""
        return missing(self.images.to_dense().cpu())

    def __getitem__(self, rows: Tensor | slice) -> "Images":
        return Images(self.images[rows], *self._beside(lambda values: values[rows]))

    def take(self, rows: Tensor) -> "Images":
        """Copy these rows to a set of their own, on disk if it does not fit in memory."""
        chosen = self.images[rows] if isinstance(self.images, SparseRows) else select(self.images, rows)
        return Images(chosen, *self._beside(lambda values: values[rows]))

    @property
    def y(self) -> Tensor | None:
        """What a model may be given of each: the values of conditions (N, K), else the labels (N,), if any."""
        return self.labels if self.given is None else self.given

    def _beside(self, change: Callable[[Tensor], Tensor]) -> list[Tensor | None]:
        return [None if each is None else change(each) for each in (self.labels, self.given, self.noise)]

    def known(self) -> Tensor:
        """Return which images have a label, (N,) on the CPU; without any labels none has."""
        return torch.zeros(len(self), dtype=torch.bool) if self.labels is None else self.labels.cpu() >= 0

    def fits(self, device: torch.device | str) -> bool:
        """Return whether all images may be kept on the device, and a batch of them picked there by their numbers.

        Not sparse rows: how many values a batch has is known only once it is picked, so that no step can be compiled.
        """
        return isinstance(self.images, Tensor) and fits(self.images.nbytes, device)

    def to(self, device: torch.device | str) -> "Images":
        """Move all images to the device if they fit there; else return them where they are."""
        if not isinstance(self.images, Tensor) or not self.fits(device):
            return self
        return Images(self.images.to(device), *self._beside(lambda values: values.to(device)))
