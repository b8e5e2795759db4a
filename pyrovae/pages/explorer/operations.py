"""The ATen operations that take several steps, or a kind of step of their own.

Each function here adds the steps of one operation and returns the slot of its result, a tensor of `shape`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn import functional as F

from pyrovae.pages.explorer.steps import Steps

Operation = Callable[[Steps, Node, torch.Size], int]


def _shape(steps: Steps, node: Any) -> torch.Size:
    return torch.Size(steps.values[node].shape)


def _argument(node: Node, place: int, name: str, default: object = None) -> Any:
    """Return the argument at `place` or called `name`."""
    return node.args[place] if place < len(node.args) else node.kwargs.get(name, default)


def _both(values: Any) -> tuple[int, ...]:
    """Return a number for rows and one for columns, where ATen may give a single number for both."""
    sides = (values,) if isinstance(values, int) else tuple(values)
    return sides * 2 if len(sides) == 1 else sides


def _pair(values: Any, rows: int) -> list[int]:
    """Return a number for rows and one for columns; a one-dimensional operation takes `rows`."""
    return [rows] * (2 - len(values)) + [*values]


def weighted(name: str) -> Operation:
    """Return the operation that adds or subtracts; it may multiply the second term by `alpha`."""

    def add_steps(steps: Steps, node: Node, shape: torch.Size) -> int:
        first, second = (steps.broadcast(term, shape) for term in node.args[:2])
        if (alpha := node.kwargs.get("alpha", 1)) != 1:
            second = steps.step("each", steps.sizes[second], [second, steps.slot(alpha)], "mul")
        return steps.step("each", shape.numel(), [first, second], name)

    return add_steps


def clamp(steps: Steps, node: Node, shape: torch.Size) -> int:
    slot = steps.broadcast(node.args[0], shape)
    for place, name, limit in ((1, "min", "maximum"), (2, "max", "minimum")):
        if (bound := _argument(node, place, name)) is not None:
            slot = steps.step("each", shape.numel(), [slot, steps.broadcast(bound, shape)], limit)
    return slot


def filled(value: float | None = None) -> Operation:
    """Return the operation that fills a tensor, of the size of another one, with a number."""

    def add_steps(steps: Steps, node: Node, shape: torch.Size) -> int:
        number = steps.slot(node.args[1] if value is None else value)
        return steps.step("each", shape.numel(), [number, steps.slot(0)], "add")

    return add_steps


def converted(steps: Steps, node: Node, shape: torch.Size) -> int:
    slot, kind = steps.slot(node.args[0]), steps.values[node].dtype
    if kind == torch.bool:
        return steps.step("each", shape.numel(), [slot, steps.slot(0)], "ne")
    return slot if kind.is_floating_point else steps.step("each", shape.numel(), [slot], "trunc")


def folded(kind: str) -> Operation:
    def add_steps(steps: Steps, node: Node, shape: torch.Size) -> int:
        dims = node.args[1] if len(node.args) > 1 else []
        dims = [dims] if isinstance(dims, int) else dims
        return steps.fold(kind, steps.slot(node.args[0]), _shape(steps, node.args[0]), dims or [])  # type: ignore[arg-type]

    return add_steps


def variance(steps: Steps, node: Node, shape: torch.Size) -> int:
    whole, slot = _shape(steps, node.args[0]), steps.slot(node.args[0])
    dims = [dim % len(whole) for dim in _argument(node, 1, "dim") or range(len(whole))]
    kept = torch.Size([1 if dim in dims else side for dim, side in enumerate(whole)])
    mean = steps.move([(steps.fold("mean", slot, whole, dims), kept)], lambda numbered: numbered.expand(whole))
    deviation = steps.step("each", whole.numel(), [slot, mean], "sub")
    total = steps.fold("sum", steps.step("each", whole.numel(), [deviation, deviation], "mul"), whole, dims)
    correction = _argument(node, 2, "correction")
    degrees_of_freedom = whole.numel() // kept.numel() - (1 if correction is None else correction)
    return steps.step("each", shape.numel(), [total, steps.slot(degrees_of_freedom)], "div")


def softmax(logarithm: bool) -> Operation:
    def add_steps(steps: Steps, node: Node, shape: torch.Size) -> int:
        dim: Any = node.args[1]
        folded_shape = torch.Size([1 if at == dim % len(shape) else side for at, side in enumerate(shape)])

        def combined(name: str, left: int, right: int) -> int:
            right = steps.move([(right, folded_shape)], lambda numbered: numbered.expand(shape))
            return steps.step("each", shape.numel(), [left, right], name)

        slot = steps.slot(node.args[0])
        lowered = combined("sub", slot, steps.fold("max", slot, shape, [dim]))
        parts = steps.step("each", shape.numel(), [lowered], "exp")
        total = steps.fold("sum", parts, shape, [dim])
        if logarithm:
            return combined("sub", lowered, steps.step("each", folded_shape.numel(), [total], "log"))
        return combined("div", parts, total)

    return add_steps


def product(steps: Steps, node: Node, shape: torch.Size) -> int:
    left, right = node.args[-2:]
    *batch, rows, inner = _shape(steps, left)
    sizes = [torch.Size(batch).numel(), rows, inner, shape[-1]]
    slot = steps.step("mm", shape.numel(), [steps.slot(left), steps.slot(right)], sizes)
    if len(node.args) == 2:
        return slot
    if node.kwargs:
        raise steps.refuse(f"{node.target} with factors")
    return steps.step("each", shape.numel(), [slot, steps.broadcast(node.args[0], shape)], "add")


def convolution(steps: Steps, node: Node, shape: torch.Size) -> int:
    x, weight, bias, stride, padding, dilation, transposed, _, groups = node.args
    if len(shape) not in (3, 4):
        raise steps.refuse(f"a convolution of {len(shape) - 2} dimensions")
    n, channels, *size = _shape(steps, x)
    kernel = _shape(steps, weight)[2:]
    geometry: dict[str, object] = {
        "from": [channels, *_pair(size, 1)],
        "to": [shape[1], *_pair(shape[2:], 1)],
        "kernel": _pair(kernel, 1),
        "stride": _pair(stride, 1),
        "padding": _pair(padding, 0),
        "dilation": _pair(dilation, 1),
    }
    biases = steps.constant(torch.zeros(shape[1])) if bias is None else steps.slot(bias)
    geometry |= {"images": n, "groups": groups, "transposed": bool(transposed)}
    return steps.step("conv", shape.numel(), [steps.slot(x), steps.slot(weight), biases], geometry)


def _normed(steps: Steps, x: Any, weight: Any, bias: Any, length: int, block: int, inner: int, epsilon: float) -> int:
    """Standardise each block of x, unless `block` is 0, and multiply and add for runs of `inner` numbers.

    Run k is multiplied by weight[k mod length] and gets bias[k mod length] added; a missing weight is 1, a bias 0.
    """
    slots = [
        steps.constant(torch.full((length,), default)) if node is None else steps.slot(node)
        for node, default in ((weight, 1.0), (bias, 0.0))
    ]
    size = steps.values[x].numel()
    return steps.step("norm", size, [steps.slot(x), *slots], block, inner, epsilon)


def group_norm(steps: Steps, node: Node, shape: torch.Size) -> int:
    x, weight, bias, _, channels, pixels, groups, epsilon = node.args
    return _normed(steps, x, weight, bias, channels, channels // groups * pixels, pixels, epsilon)  # type: ignore[operator, arg-type]


def layer_norm(steps: Steps, node: Node, shape: torch.Size) -> int:
    x, size, weight, bias, epsilon = node.args
    block = torch.Size(size).numel()  # type: ignore[arg-type]
    return _normed(steps, x, weight, bias, block, block, 1, epsilon)  # type: ignore[arg-type]


def batch_norm(steps: Steps, node: Node, shape: torch.Size) -> int:
    x, weight, bias, mean, variance, training, _, epsilon = node.args
    channels, pixels = shape[1], shape[2:].numel()
    if training:  # normalised by the batch, which is a single image: instance normalisation
        if shape[0] > 1:
            raise steps.refuse("normalisation by a batch")
        return _normed(steps, x, weight, bias, channels, pixels, pixels, epsilon)  # type: ignore[arg-type]
    values: Any = steps.values
    scale = (values[variance] + epsilon).rsqrt() * (1 if weight is None else values[weight])
    shift = (0 if bias is None else values[bias]) - values[mean] * scale
    slots = [steps.slot(x), steps.constant(scale), steps.constant(shift)]
    return steps.step("norm", shape.numel(), slots, 0, pixels, 0)


def pooled(kind: str, fill: float) -> Operation:
    def add_steps(steps: Steps, node: Node, shape: torch.Size) -> int:
        kernel = _both(node.args[1])
        stride = _both(_argument(node, 2, "stride") or kernel)
        padding = _both(_argument(node, 3, "padding", 0))
        dilation = _both(_argument(node, 4, "dilation", 1)) if kind == "max" else (1, 1)
        if kind == "mean" and any(padding) and not _argument(node, 5, "count_include_pad", True):
            raise steps.refuse(f"{node.target} that does not count its padding")
        x = _shape(steps, node.args[0])
        windows = torch.Size([x[0], x[1], kernel[0] * kernel[1], shape[2:].numel()])

        def moved(numbered: Tensor) -> Tensor:
            return F.unfold(numbered, kernel, dilation, padding, stride).view(windows)

        try:
            slot = steps.move([(steps.slot(node.args[0]), x)], moved, fill)
        except RuntimeError:
            raise steps.refuse(f"{node.target} with windows that are cut off") from None
        return steps.fold(kind, slot, windows, [2])

    return add_steps


def padded(steps: Steps, node: Node, shape: torch.Size) -> int:
    sides: Sequence[int] = node.args[1]  # type: ignore[assignment]
    source = (steps.slot(node.args[0]), _shape(steps, node.args[0]))
    return steps.move([source], lambda numbered: F.pad(numbered, sides), _argument(node, 2, "value", 0))


OPERATIONS: dict[str, Operation] = {
    "add": weighted("add"),
    "sub": weighted("sub"),
    "clamp": clamp,
    "full_like": filled(),
    "zeros_like": filled(0.0),
    "ones_like": filled(1.0),
    "_to_copy": converted,
    "sum": folded("sum"),
    "mean": folded("mean"),
    "amax": folded("max"),
    "amin": folded("min"),
    "prod": folded("prod"),
    "any": folded("max"),
    "all": folded("min"),
    "var": variance,
    "_softmax": softmax(logarithm=False),
    "_log_softmax": softmax(logarithm=True),
    "mm": product,
    "addmm": product,
    "bmm": product,
    "convolution": convolution,
    "native_group_norm": group_norm,
    "native_layer_norm": layer_norm,
    "native_batch_norm": batch_norm,
    "_native_batch_norm_legit_no_training": batch_norm,
    "max_pool2d_with_indices": pooled("max", -math.inf),
    "avg_pool2d": pooled("mean", 0.0),
    "constant_pad_nd": padded,
}
