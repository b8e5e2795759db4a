"""Every program with every likelihood and every network: trained, saved, resumed, drawn, scored and explained."""

import math

import pytest
import torch
from support.builders import small_data, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import fit
from pyrovae.data.data import Batch
from pyrovae.evaluation.importance import log_weights
from pyrovae.explain.explanation import explain
from pyrovae.inference import seeded
from pyrovae.parts.networks import NETWORKS
from pyrovae.programs import PROGRAMS

SIZES = {"hierarchical": {"latent_dim": (4, 2)}, "stacked": {"latent_dim": (4, 2)}, "discrete": {"variables": 3}}


@pytest.mark.slow  # not long, but 264 of them
@pytest.mark.filterwarnings("ignore:epoch .* the posterior collapses")
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(
    "program", [name for name in PROGRAMS if name != "not_at_random"]
)  # which needs gaps: its own grid
def test_each_program_works_with_each_likelihood_and_network(program, likelihood, network, tmp_path):
    pixels = LIKELIHOODS[likelihood].domain[0]
    settings = {"program": program, "likelihood": likelihood, "network": network, "pixels": pixels, "compile": "no"}
    settings |= {"epochs": 2, "threads": 1, "hidden": (8,)} | SIZES.get(program, {})
    data = small_data(pixels=pixels)

    def start():
        vae, config = small_vae(**settings)
        return fit(vae, data, config)

    whole, half, rest = start(), start(), start()
    records = [*whole]  # two epochs of three steps
    assert all(math.isfinite(records[-1]["test"][score]) for score in ("loss", "reconstruction", "kl"))
    next(iter(half))
    torch.save(half.state_dict(), tmp_path / "state.pt")
    rest.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [record["test"] for record in rest] == [records[1]["test"]]
    vae = whole.vae
    x, labels = data.batch(data.test, slice(0, 3))
    assert vae.generate(3, mean=False).shape == vae.reconstruct(x).shape == (3, 1, 8, 8)
    with seeded(0), torch.no_grad():
        assert log_weights(vae.model, vae.guide, 5, x, vae.given(x, labels)).isfinite().all()
    assert explain(vae, Batch(x, labels), whole.config).agrees
