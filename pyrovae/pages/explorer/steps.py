"""Turns a program into the steps that `nn.js` runs, of seven kinds.

A step is a list: its kind, the slot that it fills, the slots that it reads, and what else that kind needs. A slot holds
the numbers of one tensor as float32, the last dimension fastest; `sizes` lists how many. Truth values are 1 and 0.

    each    applies a function to each number of up to three tensors of one size, any of which may be a single number
    move    puts numbers at other places, or a fill value: views, padding, gathering, enlarging
    join    concatenates tensors
    fold    takes the sum, mean, maximum, minimum or product over some dimensions
    mm      multiplies matrices, one pair or a batch of pairs
    conv    convolves in two dimensions, or does the transposed convolution
    norm    standardises blocks of numbers, multiplies by a weight and adds a bias
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, cast

import torch
from torch import Tensor
from torch.fx import Node

from pyrovae.errors import InputError
from pyrovae.inference.private import OpOverload
from pyrovae.pages.explorer.names import EACH, MOVES, SAME_AS
from pyrovae.pages.explorer.program import AtenProgram, value_of
from pyrovae.pages.explorer.rounding import Rounded
from pyrovae.pages.explorer.store import Store, Stored


class ProgramSteps(TypedDict):
    """A program as `nn.js` reads it."""

    sizes: list[int]  # how many numbers each slot holds
    inputs: dict[str, int]  # slots by name
    constants: list[tuple[int, Stored]]  # slots, and the arrays that fill them
    steps: list[list[object]]
    outputs: dict[str, int]  # slots by name


class Steps:
    """Builds the steps of `program` for arguments of the shapes of `args`; arrays go to `store`.

    `constants` are the program's own or rounded; `what` names the function in errors. Raises `InputError` for an
    operation that no step can do.
    """

    def __init__(
        self,
        what: str,
        program: AtenProgram,
        constants: Mapping[Node, Tensor | Rounded],
        operations: Mapping[str, Callable[["Steps", Node, torch.Size], int]],
        store: Store,
        *args: Tensor,
    ) -> None:
        self.what, self.program, self.constants = what, program, constants
        self.operations, self.store = operations, store
        self.values = program.run(program.constants, *args)
        self.sizes: list[int] = []
        self.steps: list[list[object]] = []
        self.stored: list[tuple[int, Stored]] = []
        self.slots: dict[object, int] = {}
        for node in program.inputs.values():
            self.slots[node] = self._new(self.values[node].numel())
        for node in program.nodes:
            if isinstance(self.values[node], Tensor):
                self.slots[node] = self._add_operation(node)

    def result(self) -> ProgramSteps:
        return {
            "outputs": {name: self.slot(node) for name, node in self.program.outputs.items()},
            "inputs": {name: self.slots[node] for name, node in self.program.inputs.items()},
            "constants": self.stored,
            "steps": self.steps,
            "sizes": self.sizes,
        }

    def slot(self, value: Any) -> int:
        """Return the slot of a node, or of the single number `value`; a constant is stored when it is first used."""
        key = value if isinstance(value, Node) else ("number", float(value))
        if key not in self.slots:
            tensor = self.constants[value] if isinstance(value, Node) else torch.tensor(float(value))
            self.slots[key] = self.constant(tensor)
        return self.slots[key]

    def step(self, kind: str, size: int, reads: Sequence[int], *more: object) -> int:
        """Add a step that fills a new slot of `size` numbers; returns the slot."""
        slot = self._new(size)
        self.steps.append([kind, slot, [*reads], *more])
        return slot

    def each(self, name: str, shape: torch.Size, *args: object) -> int:
        """Apply the JavaScript function `name` to each number of nodes, or to single numbers; returns the slot."""
        return self.step("each", shape.numel(), [self.broadcast(arg, shape) for arg in args], name)

    def broadcast(self, arg: object, shape: torch.Size) -> int:
        """Broadcast a node to `shape` and return the slot; a single number stays one, and the step broadcasts it."""
        slot = self.slot(arg)
        value = self.values.get(arg) if isinstance(arg, Node) else None
        if value is None or value.numel() in (1, shape.numel()):
            return slot
        return self.move([(slot, value.shape)], lambda numbered: numbered.expand(shape))

    def move(self, sources: Sequence[tuple[int, torch.Size]], moved: Callable[..., Tensor], fill: float = 0.0) -> int:
        """Rearrange the numbers of `sources`, slots with their shapes, as `moved` does; returns the slot.

        `moved` is called on the numbers of the places, counted from 1 on across all sources, so that its result says
        where each number comes from. A place that comes out as 0 gets `fill`.
        """
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
        """Fold the numbers over `dims`, or over all dimensions if it is empty; returns the slot."""
        dims = sorted(dim % max(len(shape), 1) for dim in dims) if dims else [*range(len(shape))]
        places = torch.empty(shape, device="meta")
        kept = [dim for dim in range(len(shape)) if dim not in dims]

        def part(some: Sequence[int]) -> list[object]:
            return [[shape[dim] for dim in some], [places.stride(dim) for dim in some], 0]

        size = math.prod(shape[dim] for dim in kept)
        return self.step("fold", size, [slot], kind, part(kept), part(dims))

    def refuse(self, name: str) -> InputError:
        """Return the error for an operation `name` that the page cannot do."""
        return InputError(f"explore: expected {self.what} of operations that the page can do, got {name}")

    def _add_operation(self, node: Node) -> int:
        """Add the steps of one operation; returns the slot of its result."""
        shape, output = self.values[node].shape, None
        if node.target is operator.getitem:  # one output of an operation that has several
            node, output = cast(tuple[Node, int], node.args)
        name = cast(OpOverload, node.target).overloadpacket.__name__
        name = SAME_AS.get(name, name)
        if name in self.operations and not output:
            return self.operations[name](self, node, shape)
        if name in EACH and not node.kwargs:
            return self.each(name, shape, *node.args)
        if name in MOVES:
            return self._moved(node, output)
        raise self.refuse(name)

    def _moved(self, node: Node, output: int | None) -> int:
        sources = [before for before in dict.fromkeys(node.all_input_nodes) if self._is_moved(before)]
        shapes = [(self.slot(source), self.values[source].shape) for source in sources]

        def moved(*numbered: Tensor) -> Tensor:
            result = value_of(node, {**self.values, **dict(zip(sources, numbered))})
            return cast(Tensor, result if output is None else result[output])

        try:
            return self.move(shapes, moved, 0.0)
        except (IndexError, RuntimeError, TypeError):
            raise self.refuse(f"{node.target} at places that depend on its input") from None

    def _is_moved(self, node: Node) -> bool:
        """Return True for a tensor whose numbers an operation moves, False for indices that say where to."""
        return node not in self.program.constants or self.values[node].is_floating_point()

    def constant(self, tensor: Tensor | Rounded) -> int:
        """Store a tensor; returns the slot that it fills when the page loads."""
        if isinstance(tensor, Rounded):
            slot, stored = self._new(tensor.multiples.numel()), self.store.put_rounded(tensor)
        else:
            slot = self._new(tensor.numel())
            stored = self.store.put(tensor.detach().float().contiguous().numpy())
        self.stored.append((slot, stored))
        return slot

    def _places(self, flat: Tensor) -> Stored:
        return self.store.put_places(flat.long().numpy() - 1)

    def _new(self, size: int) -> int:
        self.sizes.append(size)
        return len(self.sizes) - 1


def _strides(view: Tensor) -> list[object]:
    return [[*view.shape], [*view.stride()], view.storage_offset()]
