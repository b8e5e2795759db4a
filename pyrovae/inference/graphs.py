"""Run a function of tensors once, and record it as a graph of ATen operations."""

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.fx import GraphModule, Node

from pyrovae.inference.private import OpOverload, linalg_check_errors, make_fx


def trace_graph(
    function: Callable[..., tuple[object, ...]],
    *args: Tensor,
    decompositions: Mapping[OpOverload, Callable[..., object]] | None = None,
) -> GraphModule:
    """Run `function` once on `args`, and return the graph of that run, for arguments of these shapes.

    Whatever Python decides in that run holds for the graph. Tensors that the function reads from elsewhere, such as
    parameters, are attributes of the graph and stay shared with it. `decompositions` rewrite operations as simpler
    ones.
    """
    graph = make_fx(lambda *inputs: function(*inputs), decompositions, *args)
    for node in list(graph.graph.nodes):
        if node.target is linalg_check_errors:
            graph.graph.erase_node(node)
    return graph


def shared_as_inputs(graph: GraphModule) -> list[Tensor]:
    """Turn the tensors that the graph has as attributes into its last inputs, and return them in their order."""
    inputs: dict[str, tuple[Tensor, Node]] = {}
    last = placeholders(graph)[-1]
    for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
        if node.target not in inputs:
            with graph.graph.inserting_after(last):
                last = graph.graph.placeholder(f"shared{len(inputs)}")
            last.meta = node.meta
            inputs[node.target] = (getattr(graph, node.target), last)
        node.replace_all_uses_with(inputs[node.target][1])
        graph.graph.erase_node(node)
    for name in inputs:
        delattr(graph, name)  # otherwise Inductor makes it one more input, and compares the two at every call
    graph.recompile()
    return [tensor for tensor, _ in inputs.values()]


def placeholders(graph: GraphModule) -> list[Node]:
    """Return the nodes that stand for the arguments of a graph, in their order."""
    return [node for node in graph.graph.nodes if node.op == "placeholder"]
