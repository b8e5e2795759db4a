"""One program for several sets of tensors at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, library
from torch.fx import GraphModule, Node

from pyrovae.inference.compiled import compile_graph, trace

RANDOM = torch.Tag.nondeterministic_seeded


def stack(each: Sequence[Tensor]) -> Tensor:
    """All tensors in one, (runs, ...); each of them is from now on a view of its row."""
    stacked = torch.stack([tensor.detach() for tensor in each])
    for tensor, row in zip(each, stacked.unbind()):
        tensor.data = row
    return stacked


def capture_stacked(
    function: Callable[..., tuple[Any, ...]],
    stacks: Sequence[tuple[Tensor, Tensor]],
    generators: Sequence[torch.Generator],
    *args: Tensor,
    compiled: bool = True,
) -> Callable[..., tuple[Any, ...]]:
    """`function` of the first run as one graph for all runs, by `torch.func.vmap`: (runs, ...) in and out.

    `stacks` are the tensors that the function reads from elsewhere and that each run has its own of, the first run's
    with the stack of all; other tensors are shared by the runs. Run i draws its random numbers by `generators[i]`, the
    same as alone. Raises what `vmap` raises where an operation cannot be done for all runs at once.
    """
    graph, shared = trace(function, *(arg[0] for arg in args))
    _draw_apart(graph, generators)
    own = {id(first): whole for first, whole in stacks}
    inputs = [own.get(id(tensor), tensor) for tensor in shared]
    dims = [0 if id(tensor) in own else None for tensor in shared]
    runs = torch.arange(len(generators), device=args[0].device)
    batched = torch.func.vmap(graph, in_dims=(*[0] * len(args), *dims, 0))
    # Of small operations, that is: they are taken one by one, and compiled. The stub of torch._C leaves it out.
    torch._C._functorch._set_vmap_fallback_warning_enabled(False)  # type: ignore[attr-defined]
    whole, _ = trace(batched, *args, *inputs, runs)
    run = compile_graph(whole, *args, *inputs, runs) if compiled else torch.no_grad()(whole)
    return lambda *args: run(*args, *inputs, runs)


@dataclass(frozen=True)
class _Draw:
    """A random operation: what it is called with, where tensors are given their place, and what it returns."""

    function: Any
    args: tuple[Any, ...]
    shape: torch.Size
    dtype: torch.dtype
    generators: Sequence[torch.Generator]


_draws: list[_Draw] = []


def _draw_apart(graph: GraphModule, generators: Sequence[torch.Generator]) -> None:
    """Make each random operation one that draws for each run by its own generator."""
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    with graph.graph.inserting_after(last):
        run = graph.graph.placeholder("run")
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or RANDOM not in getattr(node.target, "tags", ()):
            continue
        if node.kwargs or not isinstance(node.meta["val"], Tensor):
            raise ValueError(f"expected draws of one tensor each, got {node.target}")
        tensors = [arg for arg in node.args if isinstance(arg, Node)]
        places = tuple(tensors.index(arg) if isinstance(arg, Node) else [arg] for arg in node.args)
        value = node.meta["val"]
        _draws.append(_Draw(node.target, places, value.shape, value.dtype, generators))
        with graph.graph.inserting_before(node):
            drawn = graph.graph.call_function(_own(), (tensors, run, len(_draws) - 1))
        node.replace_all_uses_with(drawn)
        graph.graph.erase_node(node)
    graph.recompile()


_defined: list[library.Library] = []


def _own() -> Any:
    """The operator `pyrovae::own`: under vmap, a draw for each run. Its number says which draw it is."""
    if not _defined:
        operators = library.Library("pyrovae", "FRAGMENT")
        operators.define("own(Tensor[] tensors, Tensor run, int draw) -> Tensor", tags=(RANDOM,))
        operators.impl("own", _drawn, "CompositeExplicitAutograd")
        operators.impl("own", lambda tensors, run, draw: _empty(run, draw), "Meta")
        library.register_vmap("pyrovae::own", _for_all_runs, lib=operators)
        _defined.append(operators)
    return torch.ops.pyrovae.own.default


def _for_all_runs(info: Any, dims: Any, tensors: list[Tensor], run: Tensor, draw: int) -> tuple[Tensor, int]:
    rows = [
        tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(tensors, dims[0])
    ]
    return torch.ops.pyrovae.own(rows, run, draw), 0


def _drawn(tensors: list[Tensor], run: Tensor, draw: int) -> Tensor:
    """Of tensors (runs, ...)."""
    about, out = _draws[draw], _empty(run, draw)
    changes = about.function._schema.is_mutable  # its first argument, which it fills
    for i, generator in enumerate(about.generators):
        args = [tensors[place][i] if isinstance(place, int) else place[0] for place in about.args]
        if changes:
            about.function(out[i], *args[1:], generator=generator)
        else:
            out[i] = about.function.overloadpacket(*args, generator=generator)
    return out


def _empty(run: Tensor, draw: int) -> Tensor:
    about = _draws[draw]
    return torch.empty(len(run), *about.shape, dtype=about.dtype, device=run.device)
