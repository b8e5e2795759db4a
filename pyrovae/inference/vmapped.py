"""One function for several runs at once, each with its own weights and random numbers, by `torch.func.vmap`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, library
from torch.fx import GraphModule, Node

from pyrovae.inference.compiled import compile_graph
from pyrovae.inference.graphs import placeholders, shared_as_inputs, trace_graph
from pyrovae.inference.private import OpOverload, is_mutable, warn_of_vmap_fallback

RANDOM = torch.Tag.nondeterministic_seeded


def stack(tensors: Sequence[Tensor]) -> Tensor:
    """Copy the runs' tensors into one, (runs, ...), and turn each of them into a view of its row."""
    stacked = torch.stack([tensor.detach() for tensor in tensors])
    for tensor, row in zip(tensors, stacked.unbind()):
        tensor.data = row
    return stacked


def capture_stacked(
    function: Callable[..., tuple[object, ...]],
    stacks: Sequence[tuple[Tensor, Tensor]],
    generators: Sequence[torch.Generator],
    *args: Tensor,
    compiled: bool = True,
) -> Callable[..., tuple[Any, ...]]:
    """Turn `function`, as the first run calls it, into one graph for all runs: (runs, ...) in and out.

    The function reads tensors from elsewhere. `stacks` has a pair for each that differs between the runs: the tensor of
    the first run, and the stack of all; the other tensors are shared. Run i draws the same random numbers from
    `generators[i]` as it would alone. Raises what `vmap` raises if an operation cannot be done for all runs at once.
    """
    graph = trace_graph(function, *(arg[0] for arg in args))
    shared = shared_as_inputs(graph)
    draws = _draw_by_run(graph, generators)
    own = {id(first): stacked for first, stacked in stacks}
    inputs = [own.get(id(tensor), tensor) for tensor in shared]
    dims = [0 if id(tensor) in own else None for tensor in shared]
    runs = torch.arange(len(generators), device=args[0].device)
    batched = torch.func.vmap(graph, in_dims=(*[0] * len(args), *dims, 0))
    warn_of_vmap_fallback(False)  # what vmap does run by run is small, and compiled all the same
    whole = trace_graph(batched, *args, *inputs, runs)
    shared_as_inputs(whole)
    run = compile_graph(whole, *args, *inputs, runs) if compiled else torch.no_grad()(whole)
    return _Captured(run, (*inputs, runs), draws)


@dataclass(frozen=True)
class _Draw:
    """A random operation of a captured function, and the generators that the runs draw from."""

    operation: OpOverload
    args: tuple[int | list[object], ...]  # the place of a tensor among those of `pyrovae::own`, or [another argument]
    shape: torch.Size  # the shape of one run's draw
    dtype: torch.dtype
    generators: Sequence[torch.Generator]


@dataclass(frozen=True)
class _Captured:
    """A captured function. It alone keeps its draws: when it is freed, they leave `_DRAWS`."""

    run: Callable[..., tuple[object, ...]]
    inputs: tuple[Tensor, ...]
    draws: list[_Draw]

    def __call__(self, *args: Tensor) -> tuple[Any, ...]:
        return self.run(*args, *self.inputs)


# A graph can pass only tensors and numbers to an operator, so it refers to a draw by its number.
_DRAWS: WeakValueDictionary[int, _Draw] = WeakValueDictionary()
_NUMBERS = count()


def _draw_by_run(graph: GraphModule, generators: Sequence[torch.Generator]) -> list[_Draw]:
    """Replace each random operation of a graph by one that draws for every run from its own generator.

    The graph gets one more input, the numbers of the runs. Returns the draws, which the caller has to keep.
    """
    draws = []
    with graph.graph.inserting_after(placeholders(graph)[-1]):
        run = graph.graph.placeholder("run")
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or RANDOM not in getattr(node.target, "tags", ()):
            continue
        if node.kwargs or not isinstance(node.meta["val"], Tensor):
            raise ValueError(f"expected draws of one tensor each, got {node.target}")
        tensors = [arg for arg in node.args if isinstance(arg, Node)]
        places = tuple(tensors.index(arg) if isinstance(arg, Node) else [arg] for arg in node.args)
        value = node.meta["val"]
        draws.append(_Draw(node.target, places, value.shape, value.dtype, generators))
        _DRAWS[number := next(_NUMBERS)] = draws[-1]
        with graph.graph.inserting_before(node):
            drawn = graph.graph.call_function(_operator(), (tensors, run, number))
        node.replace_all_uses_with(drawn)
        graph.graph.erase_node(node)
    graph.recompile()
    return draws


def _operator() -> Any:
    """Return the operator `pyrovae::own`, which under vmap draws for each run: see `_draw`."""
    _library()
    return torch.ops.pyrovae.own.default


@cache
def _library() -> library.Library:
    """Define the operator, which exists for as long as the library that this returns: the cache keeps it."""
    operators = library.Library("pyrovae", "FRAGMENT")
    operators.define("own(Tensor[] tensors, Tensor run, int number) -> Tensor", tags=(RANDOM,))
    operators.impl("own", _draw, "CompositeExplicitAutograd")
    operators.impl("own", lambda tensors, run, number: _empty(_DRAWS[number], run), "Meta")
    library.register_vmap("pyrovae::own", _draw_for_all, lib=operators)
    return operators


def _draw_for_all(
    info: Any, dims: Sequence[list[int | None]], tensors: list[Tensor], run: Tensor, number: int
) -> tuple[Tensor, int]:
    """Call `_draw` under vmap, with the runs as the first dimension of all tensors."""
    stacked = [
        tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, dims[0])
    ]
    return torch.ops.pyrovae.own(stacked, run, number), 0


def _draw(tensors: list[Tensor], run: Tensor, number: int) -> Tensor:
    """Carry out the draw of this number for every run, with its tensor arguments (runs, ...)."""
    draw = _DRAWS[number]
    out, mutable = _empty(draw, run), is_mutable(draw.operation)  # a mutable operation fills its first argument
    for i, generator in enumerate(draw.generators):
        args = [tensors[place][i] if isinstance(place, int) else place[0] for place in draw.args]
        if mutable:
            draw.operation(out[i], *args[1:], generator=generator)
        else:
            out[i] = draw.operation.overloadpacket(*args, generator=generator)
    return out


def _empty(draw: _Draw, run: Tensor) -> Tensor:
    return torch.empty(len(run), *draw.shape, dtype=draw.dtype, device=run.device)
