"""A function of tensors, run once by Python and from then on as one compiled graph."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, library
from torch.fx import GraphModule, Node

MM, ADDMM, BMM = torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default
CHECK = torch.ops.aten._linalg_check_errors.default  # it waits for the device, and Inductor has no place for it
COST, SAVED = 15.0, 0.003  # seconds, to compile and at each step: mlp and gated networks on two CPU cores
CONTIGUOUS = torch.contiguous_format
WORTH = 2e6  # floating-point operations for each thread
LINEAR = "matmul(Tensor a, Tensor b, Tensor? bias=None) -> Tensor"
# Random numbers are torch's; what a graph was made for it is called with, and need not be checked at each call.
OPTIONS = {"fallback_random": True, "size_asserts": False, "alignment_asserts": False, "scalar_asserts": False}


def capture(function: Callable[..., tuple[Any, ...]], *args: Tensor) -> Callable[..., tuple[Any, ...]]:
    """`function` as a compiled graph for arguments of these shapes. It returns a tuple of tensors, or of None.

    Python runs once, on `args`: whatever it decides stays so. Tensors that the function reads from elsewhere, such as
    parameters, stay shared with the graph, which sees and makes changes to them in place. Random numbers are torch's,
    in the order of the operations. The run on `args` has all its effects: restore what it should not have changed.
    """
    graph, shared = trace(function, *args)
    compiled = compile_graph(graph, *args, *shared)
    return lambda *inputs: compiled(*inputs, *shared)


def trace(function: Callable[..., tuple[Any, ...]], *args: Tensor) -> tuple[GraphModule, list[Tensor]]:
    """The graph of `function`, and the tensors from elsewhere that it takes after `args`."""
    from torch.fx.experimental.proxy_tensor import make_fx  # here, as it takes longer to import than torch itself

    graph = make_fx(lambda *inputs: function(*inputs))(*args)
    for node in list(graph.graph.nodes):
        if node.target is CHECK:
            graph.graph.erase_node(node)
    return graph, _shared_as_inputs(graph)


def compile_graph(graph: GraphModule, *inputs: Tensor) -> Callable[..., tuple[Any, ...]]:
    """The graph, compiled by Inductor for inputs like these. It computes gradients: autograd looks at none of it."""
    import torch._inductor

    if not any(tensor.is_cuda for tensor in inputs):
        _use_onednn(graph)
    with torch.no_grad():
        # Not torch.compile: it would trace what is a graph already, and check at each call what cannot have changed.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path.home() / ".cache/pyrovae/compiled"))
        compiled = torch._inductor.compile(graph, [*inputs], options=OPTIONS)

    def run(*inputs: Tensor) -> tuple[Any, ...]:
        with torch.no_grad():
            found: tuple[Any, ...] = compiled(*inputs)
            return found

    return run


def to_compile(choice: str, steps: int) -> bool:
    """Whether to, by `yes`, `no` or `auto`: if so many steps repay it, by a rule of their number alone."""
    return choice == "yes" or (choice == "auto" and steps * SAVED > 1.5 * COST)


def estimate(steps: int) -> str:
    return f"about {COST:.0f} s, for some {SAVED * 1000:.0f} ms less at each of {steps:,} steps"


def why_not(error: Exception) -> str:
    """In a line, why a program could not be captured."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _shared_as_inputs(graph: GraphModule) -> list[Tensor]:
    """Make the tensors that the graph holds its last inputs, and return them in this order."""
    inputs: dict[str, tuple[Tensor, Node]] = {}
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    for node in [node for node in graph.graph.nodes if node.op == "get_attr"]:
        if node.target not in inputs:
            with graph.graph.inserting_after(last):
                last = graph.graph.placeholder(f"shared{len(inputs)}")
            last.meta = node.meta
            inputs[node.target] = (getattr(graph, node.target), last)
        node.replace_all_uses_with(inputs[node.target][1])
        graph.graph.erase_node(node)
    for name in inputs:
        delattr(graph, name)  # or else Inductor takes it for an input once more, and compares the two at each call
    graph.recompile()
    return [tensor for tensor, _ in inputs.values()]


def _use_onednn(graph: GraphModule) -> None:
    """Hand float32 matrix products to oneDNN: on some processors it is twice as fast as the default BLAS.

    It wants the rows of `a` in one piece. A copy in the graph is fused into what computes `a`, one of its own is not.
    Each call costs some 15 microseconds, so that small products stay where they are.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for node in list(graph.graph.nodes):
        if node.target not in (MM, ADDMM, BMM) or node.meta["val"].dtype != torch.float32 or node.kwargs:
            continue
        bias, a, b = node.args if node.target is ADDMM else (None, *node.args)
        rows, inner = a.meta["val"].shape[-2:]
        if 2 * rows * inner * b.meta["val"].shape[-1] < WORTH * torch.get_num_threads():
            continue
        with graph.graph.inserting_before(node):
            if not a.meta["val"].is_contiguous():
                a = graph.graph.call_function(torch.ops.aten.clone.default, (a,), {"memory_format": CONTIGUOUS})
            node.replace_all_uses_with(graph.graph.call_function(_matmul(), (a, b, bias)))
        graph.graph.erase_node(node)
    graph.recompile()


_defined: list[library.Library] = []  # an operator lives as long as what defines it


def _matmul() -> Any:
    """The operator `pyrovae::matmul`: a @ b + bias, by oneDNN's inner product, which takes strides as they come.

    Of three dimensions it is one product after another.
    """
    if not _defined:
        operators = library.Library("pyrovae", "DEF")
        operators.define(LINEAR)
        linear: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise.default

        def matmul(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
            if a.dim() == 2:
                return linear(a, b.t(), bias, "none", [], "")
            return torch.stack([linear(each, other.t(), None, "none", [], "") for each, other in zip(a, b)])

        operators.impl("matmul", matmul, "CPU")
        operators.impl("matmul", lambda a, b, bias=None: a.new_empty(*a.shape[:-1], b.shape[-1]), "Meta")
        _defined.append(operators)
    return torch.ops.pyrovae.matmul.default
