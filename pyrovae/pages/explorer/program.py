"""A function of tensors as a graph of few kinds of operations, and what in it does not depend on the arguments."""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyro
import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from pyrovae.errors import InputError, reason
from pyrovae.inference import seeded
from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.private import adaptive_avg_pool2d, decompositions

aten = torch.ops.aten
SIMPLER = [  # told by the operations that they are made of
    *(aten.elu, aten.gelu, aten.hardtanh, aten.leaky_relu),
    *(adaptive_avg_pool2d, aten.upsample_bilinear2d),
]


@dataclass(frozen=True)
class Program:
    """Operations in ATen's words, in order, for arguments of fixed shapes.

    `held` are the tensors that do not depend on the arguments: weights, and all that follows from weights alone.
    """

    inputs: dict[str, Node]
    nodes: list[Node]
    held: dict[Node, Tensor]
    outputs: dict[str, Node]

    def run(self, held: Mapping[Node, Tensor], *args: Tensor) -> dict[Node, Any]:
        """What each operation returns for `args`, with these tensors in the place of the program's own."""
        values: dict[Node, Any] = {**held, **dict(zip(self.inputs.values(), args))}
        for node in self.nodes:
            values[node] = called(node, values)
        return values

    def answer(self, held: Mapping[Node, Tensor], *args: Tensor) -> dict[str, Tensor]:
        values = self.run(held, *args)
        return {name: values[node] for name, node in self.outputs.items()}


def called(node: Node, values: Mapping[Node, Any]) -> Any:
    """The operation of `node`, carried out on what the nodes before it returned."""
    args: Any = map_arg(node.args, lambda given: values[given])
    kwargs: Any = map_arg(node.kwargs, lambda given: values[given])
    function: Callable[..., Any] = node.target  # type: ignore[assignment]  # a call's target is what is called
    return function(*args, **kwargs)


def trace(what: str, function: Callable[..., dict[str, Tensor]], seed: int, **examples: Tensor) -> Program:
    """The program of `function`, which Python runs once, on `examples`. Random numbers in it are drawn here for good.

    Raises `InputError` where Python decides by the values of tensors, so that one run does not tell of others.
    """
    names: list[str] = []

    def listed(*args: Tensor) -> tuple[Tensor, ...]:
        found = function(**dict(zip(examples, args)))
        names[:] = found
        return tuple(found.values())

    try:
        with torch.no_grad(), seeded(seed), pyro.validation_enabled(False):
            graph = _graph(listed, *examples.values())
    except Exception as error:  # whatever a class of one's own may do
        raise InputError(
            f"explore: expected {what} whose operations do not depend on values, got: {reason(error)}"
        ) from None
    with torch.no_grad(), seeded(seed):
        return _folded(graph, [*examples], names)


def without_idle(program: Program, *args: Tensor) -> dict[Node, Tensor]:
    """`held`, with weights set to 0 that do not count, or whose work others can do: a file holds them for nothing.

    The first are those of pixels that a context does not show. They are found by running the program on NaN in place
    of `args`: all becomes NaN that depends on them. The second are those of numbers that a product reads twice, as an
    image and in its context; numbers are the same if they change from run to run, and are equal in each.
    """
    held = dict(program.held)
    nothing = program.run(held, *(torch.full_like(arg, torch.nan) for arg in args))
    generator = torch.Generator().manual_seed(0)
    runs = [program.run(held, *(torch.rand(arg.shape, generator=generator) for arg in args)) for _ in range(3)]
    for _, left, right in products(program):
        weight = held[right].clone()
        weight[(nothing[left] == 0).all(0)] = 0.0
        first: dict[tuple[float, ...], int] = {}
        for row, values in enumerate(torch.cat([run[left] for run in runs]).T.tolist()):
            if len({0.0, *values}) < 1 + len(values):
                continue
            if (same := first.setdefault(tuple(values), row)) != row:
                weight[same] += weight[row]
                weight[row] = 0.0
        held[right] = weight
    return held


def products(program: Program) -> Iterator[tuple[Node, Node, Node]]:
    """Operations a @ b with b held, as (operation, a, b)."""
    for node in program.nodes:
        if node.target in (aten.mm.default, aten.addmm.default):
            left, right = node.args[-2:]
            if isinstance(left, Node) and isinstance(right, Node) and right in program.held:
                yield node, left, right


def _graph(function: Callable[..., tuple[Tensor, ...]], *args: Tensor) -> GraphModule:
    graph = trace_graph(torch.func.functionalize(function), *args, decompositions=_table())
    graph.graph.eliminate_dead_code()
    return graph


@cache
def _table() -> dict[Any, Callable[..., Any]]:
    """How ATen's many operations are made of few."""
    return decompositions(SIMPLER)


def _folded(graph: GraphModule, names: list[str], answers: list[str]) -> Program:
    """The graph's operations, but for those that can be carried out now."""
    inputs: list[Node] = []
    nodes: list[Node] = []
    held: dict[Node, Any] = {}
    outputs: dict[str, Node] = {}
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            inputs.append(node)
        elif node.op == "get_attr":
            held[node] = operator.attrgetter(node.target)(graph).detach()
        elif node.op == "output":
            outputs = dict(zip(answers, node.args[0]))
        elif all(before in held for before in node.all_input_nodes):
            held[node] = called(node, held)
        else:
            nodes.append(node)
    used = {before for node in nodes for before in node.all_input_nodes} | {*outputs.values()}
    return Program(dict(zip(names, inputs)), nodes, {node: held[node] for node in held if node in used}, outputs)
