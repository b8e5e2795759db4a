"""Sticking the landing."""

import pytest
import torch
from support.linear import Linear, gradients, make


@pytest.mark.usefixtures("double")
def test_the_guides_gradient_is_zero_if_the_guide_is_the_posterior():
    program, x = Linear(exact=True), torch.randn(3, 3)
    elbo, stl = (gradients(make(name), program, x, repeats=50)[:, 3:] for name in ("elbo", "stl"))
    assert stl.abs().max() < 1e-9
    assert elbo.std(0).min() > 0.1
