"""Rounding the weights, and the weights that need not be stored."""

import torch
from support.explorer import picture_model, row

from pyrovae.pages.explorer.export import TOLERANCES
from pyrovae.pages.explorer.program import trace_program
from pyrovae.pages.explorer.rounding import Rounded, round_weights


def test_weights_that_never_matter_are_stored_as_zeros():
    """In a model of quadrants: those of hidden pixels, and those of pixels that the image and the context share."""
    model, _, pictures = picture_model(condition="quadrant1", hidden=(32,))
    program = trace_program("an encoder", model.encode, 0, **row(pictures, 0))
    constants, changes = round_weights(program, [[pictures["u"][i : i + 1]] for i in range(3)], TOLERANCES)
    (weights,) = [tensor.multiples for tensor in constants.values() if isinstance(tensor, Rounded)]
    used = weights.any(1)  # (pixels of image and context,), of (pixels, hidden)
    assert used[:64].all()
    assert not used[64:].any()  # of the context 48 pixels are hidden, and 16 are in the image, too
    assert 0 < changes["mean"] <= TOLERANCES["mean"]


def test_a_tensor_stays_as_it_is_if_no_rounding_meets_the_tolerance():
    x, weight = torch.ones(1, 2048), torch.randn(2048, 2)
    program = trace_program("a function", lambda x: {"y": 1e6 * (x @ weight)}, 0, x=x)
    constants, changes = round_weights(program, [[x]], {"y": 1e-9})
    assert changes == {"y": 0}
    assert not any(isinstance(tensor, Rounded) for tensor in constants.values())
