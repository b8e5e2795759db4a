"""The ELBO with its KL term in closed form."""

import pytest
import torch
from support.linear import Linear, make, value


@pytest.mark.usefixtures("double")
def test_the_kl_is_in_closed_form():
    program, x = Linear(), torch.randn(4, 3)
    objective = make("analytic")
    loss = value(objective, program, x)
    loc, scale = x @ program.slope, program.log_scale.exp()
    kl = (0.5 * (loc.square() + scale.square() - 1) - program.log_scale).sum()
    assert loss.item() == pytest.approx((objective.terms["x"] + kl).item())
