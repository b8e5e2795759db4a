"""Every prior is a density, and scores what it draws."""

import pytest
import torch
from support.builders import small_data, small_vae
from support.grid import grid

from pyrovae import fit
from pyrovae.parts.priors import PRIORS

FLOWS = ("autoregressive", "coupling")


CASES = [(prior, flow) for prior in PRIORS for flow in FLOWS if prior == "flow" or flow == FLOWS[0]]


def trained(prior, flow="autoregressive", **settings):
    """Train a VAE for two epochs; the conditional prior gets a part of the image as context."""
    condition = "quadrant1" if prior == "conditional" else "none"
    vae, config = small_vae(**({"prior": prior, "flow": flow, "components": 7, "condition": condition} | settings))
    for _ in fit(vae, small_data(pixels=config.pixels), config):
        pass
    return vae


def context_of(vae, n=1):
    return None if vae.context is None else torch.rand(n, 1, 8, 8)


@pytest.mark.parametrize(("prior", "flow"), CASES)
def test_priors_integrate_to_one(prior, flow):
    vae = trained(prior, flow)
    codes, area = grid()
    with torch.no_grad():
        density = vae.prior(context_of(vae)).log_prob(codes).exp()
    assert density.sum().item() * area == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("prior", "flow"), CASES)
def test_priors_score_what_they_draw(prior, flow):
    """Compare minus the mean score of draws with the entropy on a grid."""
    vae = trained(prior, flow)
    p = vae.prior(context_of(vae))
    codes, area = grid()
    with torch.no_grad():
        score = p.log_prob(codes)
        entropy = -(score.exp() * score).nan_to_num().sum().item() * area
        drawn = p.expand((20_000,)).sample()
        scores = p.log_prob(drawn)
    assert drawn.shape == (20_000, 2)
    assert -scores.mean().item() == pytest.approx(entropy, abs=0.05)


def test_a_flow_needs_two_dimensions():
    with pytest.raises(ValueError, match="expected two latent dimensions or more, got 1"):
        PRIORS["flow"](latent_dim=1, flow="coupling")
