"""Products by oneDNN, in graphs in which one product feeds another."""

import pytest
import torch
from torch import nn

from pyrovae.inference.compiled import capture
from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.onednn import use_onednn

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN")


@pytest.mark.parametrize("bias", [True, False])
def test_a_product_of_a_product_compiles(bias):
    """A network that ends in a linear layer, before the linear layer of a posterior."""
    body = nn.Sequential(nn.Linear(300, 200, bias), nn.Linear(200, 300, bias), nn.ReLU(), nn.Linear(300, 200, bias))
    x = torch.randn(300, 300)
    weights = [*body.parameters()]

    def gradients(x):
        loss = body(x).square().sum()
        return (loss.detach(), *torch.autograd.grad(loss, weights))

    compiled = capture(gradients, x)
    for one, other in zip(compiled(x), gradients(x)):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)


def test_every_node_that_is_made_says_what_it_returns():
    left, right = torch.randn(300, 300).t(), torch.randn(300, 300)
    graph = trace_graph(lambda left, right: (left @ right @ right,), left, right)
    use_onednn(graph)
    made = [node for node in graph.graph.nodes if node.op == "call_function"]
    assert len([node for node in made if "pyrovae" in str(node.target)]) == 2
    assert all("val" in node.meta for node in made)


def test_columns_cut_out_of_a_wider_matrix_are_copied_first():
    """With such a factor oneDNN falls back to a loop, a thousand times slower."""
    left, wide = torch.randn(300, 200), torch.randn(300, 210)
    graph = trace_graph(lambda left, wide: (left @ wide[:, :200].t(),), left, wide)
    use_onednn(graph)
    (product,) = [node for node in graph.graph.nodes if "pyrovae" in str(node.target)]
    right = product.args[1].meta["val"]
    assert right.is_contiguous() or right.mT.is_contiguous()
    torch.testing.assert_close(graph(left, wide)[0], left @ wide[:, :200].t(), rtol=1e-4, atol=1e-3)
