"""ATen operations one by one: the page does in JavaScript what torch does, or refuses by name."""

import pytest
import torch
from support.explorer import as_lists, needs_node, run_in_node
from torch import nn
from torch.nn import functional as F

from pyrovae import InputError
from pyrovae.pages.explorer.operations import OPERATIONS
from pyrovae.pages.explorer.program import trace_program
from pyrovae.pages.explorer.rounding import round_weights
from pyrovae.pages.explorer.steps import Steps
from pyrovae.pages.explorer.store import Store


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(36, 4, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x, need_weights=False)[0]


LAYERS = {
    "attention": nn.Sequential(nn.Flatten(2), Attending()),
    "max_pool": nn.MaxPool2d(3, 2, 1),
    "avg_pool": nn.AvgPool2d((2, 3), stride=1),
    "adaptive": nn.AdaptiveAvgPool2d(2),
    "instance_norm": nn.InstanceNorm2d(4, affine=True),
    "layer_norm": nn.LayerNorm([6, 6]),
    "group_norm": nn.GroupNorm(2, 4),
    "batch_norm": nn.BatchNorm2d(4, affine=False).eval(),
    "grouped": nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, bias=False),
    "transposed": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    "line": nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 3, 5, padding=2)),
    "reflected": nn.ReflectionPad2d(2),
    "padded": nn.ConstantPad2d((1, 0, 2, 1), 3.0),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "mish": nn.Mish(),
    "hardswish": nn.Hardswish(),
    "prelu": nn.PReLU(),
    "softmax": nn.LogSoftmax(1),
    "shuffle": nn.PixelShuffle(2),
}

FUNCTIONS = {
    "scaled sum": lambda x: torch.add(x, x.cos(), alpha=0.5) - 2,
    "folds": lambda x: x.amax((1, 2), keepdim=True) - x.amin(3, keepdim=True) + x.std() + x.prod(1, keepdim=True),
    "places": lambda x: x.flip(3).roll(1, 2)[:, [2, 0], ..., 1:4].tril(),
    "choice": lambda x: torch.where((x > 0) & ~(x > 1), x, x.new_full((), 7.0)).clamp(max=5),
    "bounds": lambda x: x.clamp(-0.5, 0.5).floor() + torch.maximum(x, x.mean()) + x.round(),
    "numbers": lambda x: (x > 0).int() + (2 * x).long() + torch.ones_like(x) + 2**x,
    "written": lambda x: x.new_zeros(1, 4, 6, 6).index_put((torch.tensor([0]), torch.tensor([1])), x[0, 2][None]),
    "matrices": lambda x: x @ x.mT + torch.baddbmm(x[0], x[0], x[0], alpha=0.5),
    "truth": lambda x: (x > 0).float() * ((x < 1) | (x > 2)).double() + x.isnan(),
}


def exported(function, x):
    """A function of one tensor as steps for the page, and their store."""
    program = trace_program("a function", lambda x: {"y": function(x)}, 0, x=x)
    constants, _ = round_weights(program, [[x]], {"y": 1e-5})
    store = Store()
    return Steps("a function", program, constants, OPERATIONS, store, x).result(), store


@needs_node
def test_operations_do_in_javascript_what_they_do_in_torch():
    x, cases, expected = torch.randn(1, 4, 6, 6), [], {}
    for name, function in (LAYERS | FUNCTIONS).items():
        steps, store = exported(function, x)
        cases.append([store.text(), steps, [as_lists({"x": x})]])
        with torch.no_grad():
            expected[name] = function(x)
    for (name, want), (got,) in zip(expected.items(), run_in_node(cases), strict=True):
        assert torch.allclose(got["y"], want.float().flatten(), atol=2e-5, rtol=2e-5), name


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.cumsum(1), "operations that the page can do, got cumsum"),
        (lambda x: x if x.sum() > 0 else -x, "operations do not depend on values, got"),
        (lambda x: x[0, 0][(10 * x[0, 0, 0]).long().clamp(0, 5)], "at places that depend on its input"),
        (lambda x: F.conv3d(x[None], x.new_ones(1, 1, 1, 1, 1)), "a convolution of 3 dimensions"),
        (lambda x: F.max_pool2d(x, 4, 3, ceil_mode=True), "windows that are cut off"),
        (lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False), "does not count its padding"),
        (lambda x: F.batch_norm(x.view(2, 2, 6, 6), None, None, training=True), "normalisation by a batch"),
        (lambda x: torch.addmm(x[0, 0], x[0, 0], x[0, 1], beta=2), "with factors"),
    ],
)
def test_operations_that_the_page_cannot_do_are_refused_by_name(function, reason):
    with pytest.raises(InputError, match=reason):
        exported(function, torch.randn(1, 4, 6, 6))
