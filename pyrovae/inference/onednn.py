"""Large matrix products of a graph by oneDNN, which on some processors is twice as fast as PyTorch's default BLAS."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, library
from torch.fx import GraphModule, Node

from pyrovae.inference.private import linear_by_onednn

MM, ADDMM, BMM = torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default
CONTIGUOUS = torch.contiguous_format
MIN_FLOPS = 2e6  # floating-point operations per thread: a smaller product gains less than a call of oneDNN costs, 15 µs


def use_onednn(graph: GraphModule) -> None:
    """Hand the large float32 matrix products of a graph to oneDNN, where this build of PyTorch has it.

    oneDNN wants the left factor in contiguous memory. A copy made in the graph is fused into the operation that
    computes the factor; a copy that oneDNN makes itself is not. The right factor may be transposed, but must have no
    gaps: by columns cut out of a wider matrix oneDNN multiplies a thousand times more slowly.
    """
    if not torch.backends.mkldnn.is_available():
        return
    for node in list(graph.graph.nodes):
        if node.target not in (MM, ADDMM, BMM) or node.meta["val"].dtype != torch.float32 or node.kwargs:
            continue
        bias, a, b = node.args if node.target is ADDMM else (None, *node.args)
        rows, inner = a.meta["val"].shape[-2:]
        if 2 * rows * inner * b.meta["val"].shape[-1] < MIN_FLOPS * torch.get_num_threads():
            continue
        with graph.graph.inserting_before(node):
            if not a.meta["val"].is_contiguous():
                a = _copied(graph, a)
            if not (b.meta["val"].is_contiguous() or b.meta["val"].mT.is_contiguous()):
                b = _copied(graph, b)
            product = graph.graph.call_function(_matmul(), (a, b, bias))
            product.meta = node.meta  # the product that follows asks for its shape
            node.replace_all_uses_with(product)
        graph.graph.erase_node(node)
    graph.recompile()


def _copied(graph: GraphModule, factor: Node) -> Node:
    """Add a copy of a factor, in contiguous memory, to the graph."""
    copy = graph.graph.call_function(torch.ops.aten.clone.default, (factor,), {"memory_format": CONTIGUOUS})
    copy.meta["val"] = factor.meta["val"].contiguous()
    return copy


def _matmul() -> Any:
    """Return the operator `pyrovae::matmul`: a @ b + bias by oneDNN, for batches of matrices one after another."""
    _library()
    return torch.ops.pyrovae.matmul.default


@cache
def _library() -> library.Library:
    """Define the operator, which exists for as long as the library that this returns: the cache keeps it."""
    operators = library.Library("pyrovae", "DEF")
    operators.define("matmul(Tensor a, Tensor b, Tensor? bias=None) -> Tensor")
    operators.impl("matmul", _multiply, "CPU")
    operators.impl("matmul", lambda a, b, bias=None: a.new_empty(*a.shape[:-1], b.shape[-1]), "Meta")
    return operators


def _multiply(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    if a.dim() == 2:
        return linear_by_onednn(a, b.t(), bias)
    return torch.stack([linear_by_onednn(each, other.t()) for each, other in zip(a, b)])
