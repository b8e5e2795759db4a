"""Counting the active units of a guide during training."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import fit
from pyrovae.evaluation.active_units import ActiveUnits
from pyrovae.evaluation.latents import report


def test_dimensions_whose_means_vary_are_counted():
    loc = torch.randn(50, 4) * torch.tensor([1.0, 0.05, 0.2, 0.0]) + 100.0
    spread = ActiveUnits("z")

    def guide(loc):
        with pyro.plate("images", len(loc)):
            pyro.sample("z", dist.Normal(loc, 5.0).to_event(1))

    for part in loc.split(20):
        spread(guide)(part)
    assert spread.active_units == int((loc.double().var(0) > 0.01).sum()) == 2


def test_nothing_is_counted_without_a_mean_in_closed_form():
    vae, config = small_vae(posterior="flow")
    (*_, last) = fit(vae, small_data(pixels=config.pixels), config)
    assert "active_units" not in last


@pytest.mark.parametrize("settings", [{}, {"posterior": "full"}, {"posterior": "delta"}, {"condition": "label"}])
def test_a_record_and_the_report_count_the_same(settings):
    vae, config = small_vae(**settings)
    data = small_data()
    (*_, last) = fit(vae, data, config)
    assert last["active_units"] == report(vae, data)["active_units"]
