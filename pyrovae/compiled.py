"""A function of tensors, run once by Python and from then on as one compiled graph."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

MM, ADDMM = torch.ops.aten.mm.default, torch.ops.aten.addmm.default
LINEAR = "matmul(Tensor a, Tensor b, Tensor? bias=None) -> Tensor"


def capture(function: Callable[..., Any], *args: Tensor) -> Callable[..., Any]:
    """`function` as a compiled graph for arguments of these shapes; what it returns may be nested.

    Python runs once, on `args`: whatever it decides stays so. Tensors that the function reads from elsewhere, such as
    parameters, stay shared with the graph, which sees and makes changes to them in place. Random numbers are torch's,
    in the order of the operations. The run on `args` has all its effects: restore what it should not have changed.
    """
    graph = make_fx(lambda *inputs: function(*inputs))(*args)
    if not any(tensor.is_cuda for tensor in args):
        _use_onednn(graph)
    compiled = torch.compile(graph, dynamic=False, options={"fallback_random": True})
    return torch.no_grad()(compiled)  # gradients are among what it computes


def _use_onednn(graph: GraphModule) -> None:
    """Hand float32 matrix products to oneDNN: on some processors it is twice as fast as the default BLAS."""
    if not torch.backends.mkldnn.is_available():
        return
    for node in list(graph.graph.nodes):
        if node.target not in (MM, ADDMM) or node.meta["tensor_meta"].dtype != torch.float32 or node.kwargs:
            continue
        bias, a, b = (None, *node.args) if node.target is MM else node.args
        with graph.graph.inserting_before(node):
            node.replace_all_uses_with(graph.graph.call_function(_matmul(), (a, b, bias)))
        graph.graph.erase_node(node)
    graph.recompile()


_library: list[torch.library.Library] = []


def _matmul() -> Any:
    """The operator `pyrovae::matmul`: a @ b + bias, by oneDNN's inner product, which takes strides as they come."""
    if not _library:
        library = torch.library.Library("pyrovae", "DEF")
        library.define(LINEAR)
        linear = torch.ops.mkldnn._linear_pointwise.default
        library.impl("matmul", lambda a, b, bias=None: linear(a, b.t(), bias, "none", [], ""), "CPU")
        library.impl("matmul", lambda a, b, bias=None: a.new_empty(a.shape[0], b.shape[1]), "Meta")
        _library.append(library)
    return torch.ops.pyrovae.matmul.default
