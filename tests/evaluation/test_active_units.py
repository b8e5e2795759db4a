"""Active units during training, and the warning of a collapse."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import Config, fit
from pyrovae.cli import main
from pyrovae.evaluation.active_units import ActiveUnits
from pyrovae.evaluation.latents import report
from pyrovae.training.collapse import collapse


def test_it_counts_the_dimensions_whose_means_vary():
    loc = torch.randn(50, 4) * torch.tensor([1.0, 0.05, 0.2, 0.0]) + 100.0
    spread = ActiveUnits()

    def guide(loc):
        with pyro.plate("images", len(loc)):
            pyro.sample("z", dist.Normal(loc, 5.0).to_event(1))

    for part in loc.split(20):
        spread(guide)(part)
    assert spread.active_units == int((loc.double().var(0) > 0.01).sum()) == 2


def test_without_a_mean_in_closed_form_it_does_not_count():
    vae, config = small_vae(posterior="flow")
    (*_, last) = fit(vae, small_data(pixels=config.pixels), config)
    assert "active_units" not in last


@pytest.mark.parametrize("settings", [{}, {"posterior": "full"}, {"posterior": "delta"}, {"condition": "label"}])
def test_a_record_counts_as_the_report_does(settings):
    vae, config = small_vae(**settings)
    data = small_data()
    (*_, last) = fit(vae, data, config)
    assert last["active_units"] == report(vae, data)["active_units"]


def records(*pairs):
    return [{"epoch": i + 1, "test": {"kl": kl}, "active_units": active} for i, (kl, active) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("pairs", "settings", "warns"),
    [
        ([(5.0, 2), (0.05, 1)], {}, True),
        ([(5.0, 2), (3.0, 0)], {}, True),
        ([(20.0, 30), (9.0, 12)], {}, True),  # both fall
        ([(20.0, 100), (19.0, 10)], {}, False),  # surplus dimensions are given up
        ([(5.0, 2), (6.0, 2)], {}, False),
        ([(0.0, 0)], {"epochs": 2}, False),  # not found yet
        ([(90.0, 20), (20.0, 9), (21.0, 9)], {"warmup": 1}, False),
        ([(0.0, 0)], {"warmup": 1}, False),
        ([(5.0, 2), (90.0, 20), (21.0, 9)], {"warmup": 2, "cycle": 3}, False),
        ([(9.0, 9), (90.0, 20), (21.0, 9), (80.0, 20), (20.0, 9)], {"warmup": 1, "cycle": 2}, False),
        ([(9.0, 9), (90.0, 20), (21.0, 9), (80.0, 20), (20.0, 9)], {"warmup": 2, "cycle": 2}, False),
        ([(90.0, 20), (0.0, 0), (90.0, 20), (0.0, 0)], {"warmup": 1, "cycle": 2}, True),
        ([(0.0, 2)], {"posterior": "delta"}, False),
    ],
)
def test_a_collapse_is_told_from_pruning(pairs, settings, warns):
    warning = collapse(records(*pairs), Config(**({"epochs": len(pairs)} | settings)))
    assert bool(warning) == warns
    if warns:
        assert "--warmup, --free-bits" in warning


@pytest.mark.parametrize(("beta", "warns"), [(30.0, True), (1.0, False)])
def test_training_warns_once(tmp_path, capsys, beta, warns):
    """Digits find their code after some twenty epochs, whatever the seed."""
    with pytest.raises(SystemExit):
        main(["train", "--beta", str(beta), "--epochs", "60", "--device", "cpu", "--out", str(tmp_path / "run")])
    assert capsys.readouterr().out.count("the posterior collapses") == warns
