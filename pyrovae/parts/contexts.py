"""Contexts: what a conditional model knows about an image, as the tensor y that its parts read.

A context is a module. `reads` says what its `forward` turns into y: "labels", "columns" or "images". `shape` is the
shape of one y, and `check(y)` returns what `forward` may take, and raises `InputError` for anything else.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyrovae.errors import InputError, one_of
from pyrovae.parts.kinds import Kind, encoded, width


class Label(nn.Module):
    """The class of an image: turns integer labels (n,) into one-hot rows (n, classes); returns such rows unchanged."""

    reads = "labels"
    about = (
        "The model is given the class of an image both when it encodes and when it decodes, so a code can"
        " hold the style and need not hold the class."
    )

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.shape = (classes,)

    def forward(self, y: Tensor) -> Tensor:
        if y.is_floating_point():
            return y
        classes = torch.arange(self.shape[0], device=y.device)
        return (y[:, None] == classes).to(torch.get_default_dtype())  # torch's one_hot reads values, and waits

    def check(self, y: Tensor) -> Tensor:
        """Return y if it is integers from 0 to classes − 1, or rows (n, classes) that add up to 1."""
        classes = self.shape[0]
        if y.is_floating_point() and y.shape == (len(y), classes):
            if not (y >= 0).all() or ((y.sum(1) - 1).abs() > 1e-4).any():
                raise InputError(f"y: expected rows of shares of the {classes} classes, which add up to 1, got others")
            return y
        if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool or y.dim() != 1:
            expected = f"integer labels of shape ({len(y)},), or one-hot ones of shape ({len(y)}, {classes})"
            raise InputError(f"y: expected {expected}, got {tuple(y.shape)} of {y.dtype}")
        if len(y) and (y.min() < 0 or y.max() >= classes):
            raise InputError(f"y: expected labels from 0 to {classes - 1}, got {y.min()} to {y.max()}")
        return y.long()


class Quadrants(nn.Module):
    """A part of the image: keeps the pixels (n, C, H, W) of the first `seen` quadrants and sets all others to 0.

    Those that are `missing`, NaN, are 0, too.

    The quadrants are, in this order, the lower left, the upper left and the upper right, as in the experiments of Sohn,
    Lee & Yan (2015), Learning structured output representation using deep conditional generative models.
    """

    reads = "images"
    about = (
        "The model is given a part of the image and decodes the rest: the code says which of the possible rests it is."
    )
    seen: Tensor  # (C, H, W), true where a pixel is kept

    def __init__(self, shape: tuple[int, ...], seen: int, missing: bool = False) -> None:
        super().__init__()
        self.missing = missing
        _, height, width = self.shape = tuple(shape)
        top, left = slice(0, height // 2), slice(0, width // 2)
        bottom, right = slice(height // 2, height), slice(width // 2, width)
        mask = torch.zeros(self.shape, dtype=torch.bool)
        for rows, columns in [(bottom, left), (top, left), (top, right)][:seen]:
            mask[:, rows, columns] = True
        self.register_buffer("seen", mask, persistent=False)

    def forward(self, y: Tensor) -> Tensor:
        return torch.where(self.seen & ~y.isnan() if self.missing else self.seen, y, 0.0)

    def check(self, y: Tensor) -> Tensor:
        """Return y if it is images of the model's shape."""
        if y.shape[1:] != self.shape or not y.is_floating_point():
            raise InputError(f"y: expected images of shape {self.shape}, got {tuple(y.shape[1:])} of {y.dtype}")
        return y


class Columns(nn.Module):
    """Columns of a table: turns their values (n, K) into the numbers (n, width) that networks read.

    Values are in their own units, truth values 0 or 1, and categories numbers, their places. Networks read numbers
    standardised by mean and standard deviation of the training rows, counts as log(1 + x) so standardised, truth values
    as they are, and categories one-hot.
    """

    reads = "columns"
    about = (
        "The model is given columns of the table both when it encodes and when it decodes, so a code need not hold what"
        " they say."
    )

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        super().__init__()
        self.kinds = dict(kinds)
        self.shape = (width([*kinds.values()]),)

    def forward(self, y: Tensor) -> Tensor:
        return encoded([*self.kinds.values()], y.to(torch.get_default_dtype()))

    def check(self, y: Tensor) -> Tensor:
        """Return y if it is values (n, K) that the columns may have."""
        if y.shape != (len(y), len(self.kinds)) or y.is_complex():
            names = ", ".join(self.kinds)
            raise InputError(f"y: expected values ({len(y)}, {len(self.kinds)}) of {names}, got {described(y)}")
        y = y.to(torch.get_default_dtype())
        for (name, kind), values in zip(self.kinds.items(), y.unbind(1)):
            if not (fits := kind.fits(values)).all():
                raise InputError(f"y: expected {kind.wanted} as {name}, got {values[~fits][0]:g}")
        return y

    def rows(self, values: Mapping[str, Any], n: int | None = None) -> Tensor:
        """Return values by the names of columns as rows (n, K): each one for all rows, or as many as there are rows.

        A category is named. Raises `InputError` for an unknown name or value, and if one is missing.

        >>> columns = Columns({"age": Kind("count", "poisson"), "sex": Kind("category", "categorical", ("f", "m"))})
        >>> columns.rows({"age": [40, 50], "sex": "m"})
        tensor([[40.,  1.],
                [50.,  1.]])
        """
        for name in values:
            one_of("y", name, self.kinds)
        if absent := [name for name in self.kinds if name not in values]:
            raise InputError(f"y: expected a value of {', '.join(absent)}, too, got those of {', '.join(values)}")
        listed = {name: [*values[name]] for name in self.kinds if np.ndim(values[name])}
        n = n or max(map(len, listed.values()), default=1)
        for name, each in listed.items():
            if len(each) != n:
                raise InputError(f"y: expected one value of {name}, or {n}, got {len(each)}")
        columns = [
            [kind.number(value, f"y: {name}") for value in listed.get(name, [values[name]])]
            for name, kind in self.kinds.items()
        ]
        return torch.stack([torch.tensor(column).expand(n) for column in columns], 1)


Context = Label | Quadrants | Columns


def context_of(
    context: Context, y: Tensor | Mapping[str, object] | None, n: int | None, x: Tensor | None, device: torch.device
) -> Tensor:
    """Return the context of n images as the networks read it; if it reads images, it comes from x if y is None.

    Raises `InputError` for a y that it cannot take.
    """
    y = x if y is None and context.reads == "images" else y
    if y is None:
        raise InputError(f"y: expected {context.reads}, as the model is conditional, got none")
    if isinstance(y, Mapping) and isinstance(context, Columns):
        y = context.rows(y, n)
    if not isinstance(y, Tensor) or y.dim() == 0 or len(y) != (n or max(1, len(y))):
        raise InputError(f"y: expected a tensor of {n or 'one or more'} {context.reads}, got {described(y)}")
    read: Tensor = context(context.check(y.to(device)))
    return read


def described(x: object) -> str:
    """Describe a value for an error message: a tensor by shape and dtype, anything else by its type."""
    return f"shape {tuple(x.shape)} of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
