"""The weight of the KL term."""

import pytest
import torch
from support.builders import small_vae

from pyrovae.inference.objectives import KLWeight, TraceELBO


@pytest.mark.parametrize("beta", [0.0, 0.25, 1.0, 4.0])
def test_a_kl_weight_scales_the_loss_at_site_z_but_not_its_term(beta):
    vae, _ = small_vae()
    weight, elbo = KLWeight(beta), TraceELBO(max_plate_nesting=1)
    loss = elbo.differentiable_loss(weight(vae.model), weight(vae.guide), torch.rand(6, 1, 8, 8))
    assert elbo.terms["z"] != 0
    assert loss.item() == pytest.approx((elbo.terms["x"] + beta * elbo.terms["z"]).item(), rel=1e-6)


def test_with_weight_none_the_site_z_adds_nothing():
    vae, _ = small_vae(posterior="delta")
    weight, elbo = KLWeight(None), TraceELBO(max_plate_nesting=1)
    loss = elbo.differentiable_loss(weight(vae.model), weight(vae.guide), torch.rand(6, 1, 8, 8))
    assert elbo.terms["z"] == 0
    assert loss == elbo.terms["x"]
