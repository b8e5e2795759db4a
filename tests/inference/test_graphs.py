"""The graph of a function of tensors."""

import torch
from torch import nn

from pyrovae.inference.graphs import placeholders, shared_as_inputs, trace_graph
from pyrovae.inference.private import decompositions


def operations(graph):
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_a_graph_has_the_operations_of_one_run():
    branches = []

    def function(x):
        branches.append(len(x))
        return (x * 2 if len(x) > 3 else x * 3,)

    graph = trace_graph(function, torch.ones(4))
    assert operations(graph) == ["aten.mul.Tensor"]
    torch.testing.assert_close(graph(torch.arange(4.0))[0], 2 * torch.arange(4.0))
    assert branches == [4]


def test_shared_tensors_become_inputs_once_each():
    scale = nn.Parameter(torch.ones(3))
    graph = trace_graph(lambda x: (x * scale + scale,), torch.ones(3))
    (shared,) = shared_as_inputs(graph)
    assert shared is scale
    assert len(placeholders(graph)) == 2
    assert not [*graph.parameters(), *graph.buffers()]
    torch.testing.assert_close(graph(torch.ones(3), scale)[0], 2 * scale)


def test_the_checks_of_linear_algebra_are_left_out():
    matrix = 2 * torch.eye(3)
    graph = trace_graph(lambda x: (torch.linalg.cholesky(x),), matrix)
    assert not [name for name in operations(graph) if "check_errors" in name]
    torch.testing.assert_close(graph(matrix)[0], torch.linalg.cholesky(matrix))


def test_decompositions_rewrite_operations():
    elu = torch.nn.functional.elu
    assert operations(trace_graph(lambda x: (elu(x),), torch.ones(3))) == ["aten.elu.default"]
    rules = decompositions([torch.ops.aten.elu])
    assert "aten.elu.default" not in operations(trace_graph(lambda x: (elu(x),), torch.ones(3), decompositions=rules))
