"""Traces a function of tensors into a list of ATen operations, and computes now what its arguments cannot change."""

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
from pyrovae.inference.private import OpOverload, adaptive_avg_pool2d, decompositions

aten = torch.ops.aten
SIMPLER = [  # decomposed into simpler operations, which the page has
    *(aten.elu, aten.gelu, aten.hardtanh, aten.leaky_relu),
    *(adaptive_avg_pool2d, aten.upsample_bilinear2d),
]


@dataclass(frozen=True)
class AtenProgram:
    """A function for arguments of fixed shapes, as ATen operations in the order in which they run.

    `constants` are the tensors that do not depend on the arguments: weights, and what is computed from weights alone.
    """

    inputs: dict[str, Node]
    nodes: list[Node]
    constants: dict[Node, Tensor]
    outputs: dict[str, Node]

    def run(self, constants: Mapping[Node, Tensor], *args: Tensor) -> dict[Node, Any]:
        """Run all operations on `args`, with `constants` in place of the program's own; returns the value of each."""
        values: dict[Node, Any] = {**constants, **dict(zip(self.inputs.values(), args))}
        for node in self.nodes:
            values[node] = value_of(node, values)
        return values

    def outputs_for(self, constants: Mapping[Node, Tensor], *args: Tensor) -> dict[str, Tensor]:
        """Run all operations on `args`, with `constants` in place of the program's own; returns the outputs by name."""
        values = self.run(constants, *args)
        return {name: values[node] for name, node in self.outputs.items()}


def value_of(node: Node, values: Mapping[Node, Any]) -> Any:
    """Carry out the operation of `node` on the values of the nodes before it."""
    args: Any = map_arg(node.args, lambda before: values[before])
    kwargs: Any = map_arg(node.kwargs, lambda before: values[before])
    function: Callable[..., object] = node.target  # type: ignore[assignment]  # the target of a call is a function
    return function(*args, **kwargs)


def trace_program(what: str, function: Callable[..., dict[str, Tensor]], seed: int, **examples: Tensor) -> AtenProgram:
    """Run `function` once on `examples` and record its operations; random numbers drawn on the way become constants.

    Raises `InputError` if the function decides by the values of tensors: one run would then not stand for others.
    """
    names: list[str] = []

    def as_tuple(*args: Tensor) -> tuple[Tensor, ...]:
        outputs = function(**dict(zip(examples, args)))
        names[:] = outputs
        return tuple(outputs.values())

    try:
        with torch.no_grad(), seeded(seed), pyro.validation_enabled(False):
            graph = _graph(as_tuple, *examples.values())
    except Exception as error:  # a user's own class may raise anything
        raise InputError(
            f"explore: expected {what} whose operations do not depend on values, got: {reason(error)}"
        ) from None
    with torch.no_grad(), seeded(seed):
        return _folded(graph, [*examples], names)


def without_idle_weights(program: AtenProgram, *args: Tensor) -> dict[Node, Tensor]:
    """Set weights to 0 that never matter or that repeat others, so that they take no space; returns all constants.

    Weights of pixels that a context hides never matter. They show when the program runs on NaN instead of `args`: a
    number that stays 0 then does not depend on the arguments. Weights repeat others where a matrix product reads a
    number twice, from an image and from its context: two columns count as the same number if they are equal in each of
    three runs on random arguments and change from run to run. The two rows of weights are then added up.
    """
    constants = dict(program.constants)
    on_nan = program.run(constants, *(torch.full_like(arg, torch.nan) for arg in args))
    generator = torch.Generator().manual_seed(0)
    runs = [program.run(constants, *(torch.rand(arg.shape, generator=generator) for arg in args)) for _ in range(3)]
    for _, left, right in products(program):
        weight = constants[right].clone()
        weight[(on_nan[left] == 0).all(0)] = 0.0
        first_row: dict[tuple[float, ...], int] = {}
        for row, values in enumerate(torch.cat([run[left] for run in runs]).T.tolist()):
            if len({0.0, *values}) < 1 + len(values):
                continue
            if (same := first_row.setdefault(tuple(values), row)) != row:
                weight[same] += weight[row]
                weight[row] = 0.0
        constants[right] = weight
    return constants


def products(program: AtenProgram) -> Iterator[tuple[Node, Node, Node]]:
    """Yield each matrix product a @ b whose b is a constant, as (operation, a, b)."""
    for node in program.nodes:
        if node.target in (aten.mm.default, aten.addmm.default):
            left, right = node.args[-2:]
            if isinstance(left, Node) and isinstance(right, Node) and right in program.constants:
                yield node, left, right


def _graph(function: Callable[..., tuple[Tensor, ...]], *args: Tensor) -> GraphModule:
    graph = trace_graph(torch.func.functionalize(function), *args, decompositions=_table())
    graph.graph.eliminate_dead_code()
    return graph


@cache
def _table() -> dict[OpOverload, Callable[..., object]]:
    """Return the decompositions that turn ATen's many operations into few."""
    return decompositions(SIMPLER)


def _folded(graph: GraphModule, input_names: list[str], output_names: list[str]) -> AtenProgram:
    """Turn a graph into a program, with the operations on constants carried out now (constant folding)."""
    inputs: list[Node] = []
    nodes: list[Node] = []
    constants: dict[Node, Any] = {}
    outputs: dict[str, Node] = {}
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            inputs.append(node)
        elif node.op == "get_attr":
            constants[node] = operator.attrgetter(node.target)(graph).detach()
        elif node.op == "output":
            outputs = dict(zip(output_names, node.args[0]))
        elif all(before in constants for before in node.all_input_nodes):
            constants[node] = value_of(node, constants)
        else:
            nodes.append(node)
    used = {before for node in nodes for before in node.all_input_nodes} | {*outputs.values()}
    kept = {node: constants[node] for node in constants if node in used}
    return AtenProgram(dict(zip(input_names, inputs)), nodes, kept, outputs)
