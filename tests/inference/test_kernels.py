"""Kernels of a graph that are compiled together: one file for several, and the same numbers as Inductor's own way."""

import os

import pytest
import torch
from torch import Tensor

from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.kernels import Kernel, compile_kernels, few_files, share
from pyrovae.inference.private import compile_by_inductor

HEADER = "#include <torch/csrc/inductor/cpp_prefix.h>"


def kernel(*types, body):
    """Return a kernel as Inductor writes it, with a helper whose name all kernels use."""
    arguments = ", ".join(f"{kind} a{index}" for index, kind in enumerate(types))
    helper = "static double twice(double x) { return 2 * x; }"
    return Kernel(types, f'\n{HEADER}\n{helper}\nextern "C"  void  kernel({arguments})\n{{ {body} }}\n')


@pytest.mark.parametrize("processors", [1, 2])
def test_kernels_of_one_file_do_not_meet(processors, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    body = "a1[0] = twice(a0[0]) + {};"
    kernels = [kernel("const float*", "float*", body=body.format(index)) for index in range(3 * processors)]
    for index, function in enumerate(compile_kernels(kernels)):
        source, target = torch.tensor([3.0]), torch.zeros(1)
        assert function(source, target) is None
        assert target.item() == 6.0 + index


def test_numbers_are_passed_as_well_as_tensors():
    (function,) = compile_kernels([kernel("double*", "int64_t", "float", body="a0[a1] = a2;")])
    target = torch.zeros(3, dtype=torch.float64)
    function(target, 2, 0.25)
    assert target.tolist() == [0.0, 0.0, 0.25]
    with pytest.raises(TypeError, match="expected 3 arguments, got 2"):
        function(target, 2)
    with pytest.raises(TypeError):
        function(target, "two", 0.25)


def test_an_exception_of_a_kernel_is_raised_in_python():
    (function,) = compile_kernels([kernel("float*", body='throw std::runtime_error("index 7 of 5");')])
    with pytest.raises(RuntimeError, match="index 7 of 5"):
        function(torch.zeros(1))


def test_files_get_about_the_same_share():
    kernels = [Kernel((), "x" * length) for length in (9, 1, 5, 5, 2, 2)]
    lengths = [sum(len(kernels[index].code) for index in group) for group in share(kernels, 2)]
    assert sorted(index for group in share(kernels, 2) for index in group) == list(range(6))
    assert lengths == [12, 12]


def forward(x: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
    h = torch.tanh(x @ weight)
    h = torch.nn.functional.softplus(h @ weight) + x.sum(1, keepdim=True)
    return torch.logsumexp(h @ weight, 1), h.exp().mean()


def test_the_numbers_are_those_of_inductors_own_way():
    inputs = torch.randn(33, 17), torch.randn(17, 17) / 5
    graph = trace_graph(forward, *inputs)
    own = compile_by_inductor(graph, inputs, {})(*inputs)
    with few_files():
        together = compile_by_inductor(trace_graph(forward, *inputs), inputs, {"fx_graph_cache": False})(*inputs)
    for one, other, expected in zip(own, together, forward(*inputs), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, expected)
