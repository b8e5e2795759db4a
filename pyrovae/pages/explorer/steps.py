"""A program as the steps that `nn.js` takes: nine kinds, of which one moves numbers and one acts on each number.

A step is a list: its kind, the slot that it fills, the slots that it reads, and what else it has to know. A slot holds
the numbers of a tensor, the last dimension fastest, as all of them are float32; `sizes` says how many. Truth is 1 or 0.

    each    a function of JavaScript of each number, of up to three tensors of one size, or of single numbers
    move    numbers at other places, or a fill: of all views, paddings, gathers and enlargements
    join    tensors one after another
    fold    sum, mean, max, min or product over some dimensions
    mm      matrix products, one or several
    conv    a two-dimensional convolution, perhaps transposed
    norm    blocks of numbers, standardised, times a weight and plus a bias
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx import Node

from pyrovae.errors import InputError
from pyrovae.inference.private import OpOverload
from pyrovae.pages.explorer.names import EACH, MOVES, SAME_AS
from pyrovae.pages.explorer.program import Program, called
from pyrovae.pages.explorer.rounding import Rounded
from pyrovae.pages.explorer.store import Store


class Steps:
    """The steps of `program` on arguments like `args`, with numbers in `store`."""

    def __init__(
        self,
        what: str,
        program: Program,
        held: Mapping[Node, Tensor | Rounded],
        operations: Mapping[str, Callable[["Steps", Node, torch.Size], int]],
        store: Store,
        *args: Tensor,
    ) -> None:
        self.what, self.program, self.held, self.operations, self.store = what, program, held, operations, store
        self.values = program.run(program.held, *args)
        self.sizes: list[int] = []
        self.taken: list[list[Any]] = []
        self.constants: list[list[Any]] = []
        self.slots: dict[Any, int] = {}
        for node in program.inputs.values():
            self.slots[node] = self._new(self.values[node].numel())
        for node in program.nodes:
            if isinstance(self.values[node], Tensor):
                self.slots[node] = self._taken(node)

    def told(self) -> dict[str, Any]:
        return {
            "sizes": self.sizes,
            "inputs": {name: self.slots[node] for name, node in self.program.inputs.items()},
            "constants": self.constants,
            "steps": self.taken,
            "outputs": {name: self.slot(node) for name, node in self.program.outputs.items()},
        }

    def slot(self, given: Any) -> int:
        """Where the numbers of a node lie, or a single number."""
        key = given if isinstance(given, Node) else ("number", float(given))
        if key not in self.slots:
            held = self.held[given] if isinstance(given, Node) else torch.tensor(float(given))
            self.slots[key] = self.constant(held)
        return self.slots[key]

    def step(self, kind: str, size: int, reads: Sequence[int], *more: Any) -> int:
        slot = self._new(size)
        self.taken.append([kind, slot, [*reads], *more])
        return slot

    def each(self, name: str, shape: torch.Size, *given: Any) -> int:
        """The slot of a function of JavaScript of each number of nodes, or of single numbers."""
        return self.step("each", shape.numel(), [self.spread(one, shape) for one in given], name)

    def spread(self, given: Any, shape: torch.Size) -> int:
        """The slot of a tensor as an operation on tensors of `shape` reads it: of this size, or a single number."""
        slot = self.slot(given)
        value = self.values.get(given) if isinstance(given, Node) else None
        if value is None or value.numel() in (1, shape.numel()):
            return slot
        return self.move([(slot, value.shape)], lambda numbered: numbered.expand(shape))

    def move(self, sources: Sequence[tuple[int, torch.Size]], moved: Callable[..., Tensor], fill: float = 0.0) -> int:
        """The slot of what `moved` makes of the sources, of which it is asked by numbering their places from 1 on."""
        numbered, first = [], 1
        for _, shape in sources:
            numbered.append(torch.arange(first, first + shape.numel(), dtype=torch.float64).view(shape))
            first += shape.numel()
        places = moved(*numbered)
        slot = sources[0][0]
        if len(sources) > 1:
            slot = self.step("join", first - 1, [slot for slot, _ in sources])
        flat = places.reshape(-1)
        if len(flat) == first - 1 and torch.equal(flat, torch.arange(1, first, dtype=torch.float64)):
            return slot
        if len(sources) == 1 and places.untyped_storage().data_ptr() == numbered[0].untyped_storage().data_ptr():
            return self.step("move", len(flat), [slot], _strides(places))
        return self.step("move", len(flat), [slot], self._places(flat), str(fill).replace("inf", "Infinity"))

    def fold(self, kind: str, slot: int, shape: torch.Size, dims: Sequence[int]) -> int:
        """The slot of numbers that are folded over these dimensions, or over all of them if none is named."""
        dims = sorted(dim % max(len(shape), 1) for dim in dims) if dims else [*range(len(shape))]
        places = torch.empty(shape, device="meta")
        kept = [dim for dim in range(len(shape)) if dim not in dims]

        def part(some: Sequence[int]) -> list[Any]:
            return [[shape[dim] for dim in some], [places.stride(dim) for dim in some], 0]

        size = math.prod(shape[dim] for dim in kept)
        return self.step("fold", size, [slot], kind, part(kept), part(dims))

    def refuse(self, name: str) -> InputError:
        return InputError(f"explore: expected {self.what} of operations that the page can do, got {name}")

    def _taken(self, node: Node) -> int:
        shape, pick = self.values[node].shape, None
        if node.target is operator.getitem:  # of what an operation returned
            node, pick = cast(tuple[Node, int], node.args)
        name = cast(OpOverload, node.target).overloadpacket.__name__
        name = SAME_AS.get(name, name)
        if name in self.operations and not pick:
            return self.operations[name](self, node, shape)
        if name in EACH and not node.kwargs:
            return self.each(name, shape, *node.args)
        if name in MOVES:
            return self._moved(node, pick)
        raise self.refuse(name)

    def _moved(self, node: Node, pick: int | None) -> int:
        sources = [one for one in dict.fromkeys(node.all_input_nodes) if self._has_content(one)]
        shapes = [(self.slot(one), self.values[one].shape) for one in sources]

        def moved(*numbered: Tensor) -> Tensor:
            values = {**self.values, **dict(zip(sources, numbered))}
            made = called(node, values)
            return cast(Tensor, made if pick is None else made[pick])

        try:
            return self.move(shapes, moved, 0.0)
        except (IndexError, RuntimeError, TypeError):
            raise self.refuse(f"{node.target} at places that depend on its input") from None

    def _has_content(self, node: Node) -> bool:
        """Whether it is what is moved, and not indices."""
        return node not in self.program.held or self.values[node].is_floating_point()

    def constant(self, held: Tensor | Rounded) -> int:
        size = held.whole.numel() if isinstance(held, Rounded) else held.numel()
        slot = self._new(size)
        if isinstance(held, Rounded):
            stored = self.store.put_rounded(held)
        else:
            stored = self.store.put(held.detach().float().contiguous().numpy())
        self.constants.append([slot, stored])
        return slot

    def _places(self, flat: Tensor) -> dict[str, Any]:
        return self.store.put_places(flat.long().numpy() - 1)

    def _new(self, size: int) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1


def _strides(view: Tensor) -> list[Any]:
    return [[*view.shape], [*view.stride()], view.storage_offset()]
