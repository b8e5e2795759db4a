"""Every prior is a density, and scores what it draws."""

import pytest
import torch
from support.builders import small_data, small_vae
from support.grid import grid

from pyrovae import fit
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

FLOWS = ("autoregressive", "coupling")


CASES = [(prior, flow) for prior in PRIORS for flow in FLOWS if prior == "flow" or flow == FLOWS[0]]


def trained(prior, flow="autoregressive", **settings):
    """A VAE after two epochs, with an image context for the conditional prior."""
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
    """Minus the mean score of draws is the entropy, which the grid gives too."""
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


@pytest.mark.parametrize(("family", "name"), [(PRIORS, "flow"), (POSTERIORS, "flow")])
def test_flows_need_two_dimensions(family, name):
    with pytest.raises(ValueError, match="expected two latent dimensions or more, got 1"):
        family[name](latent_dim=1, **({"flow": "coupling"} if family is PRIORS else {"features": 3}))
