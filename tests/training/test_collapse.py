"""The warning of a collapsed posterior."""

import pytest

from pyrovae import Config
from pyrovae.cli import main
from pyrovae.training.collapse import collapse


def records(*pairs):
    return [{"epoch": i + 1, "test": {"kl": kl}, "active_units": active} for i, (kl, active) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("pairs", "settings", "warns"),
    [
        ([(5.0, 2), (0.05, 1)], {}, True),
        ([(5.0, 2), (3.0, 0)], {}, True),
        ([(20.0, 30), (9.0, 12)], {}, True),  # both fall
        ([(20.0, 100), (19.0, 10)], {}, False),  # only surplus dimensions are pruned
        ([(5.0, 2), (6.0, 2)], {}, False),
        ([(0.0, 0)], {"epochs": 2}, False),  # the codes may come into use later
        ([(90.0, 20), (20.0, 9), (21.0, 9)], {"warmup": 1}, False),
        ([(0.0, 0)], {"warmup": 1}, False),
        ([(5.0, 2), (90.0, 20), (21.0, 9)], {"warmup": 2, "cycle": 3}, False),
        ([(9.0, 9), (90.0, 20), (21.0, 9), (80.0, 20), (20.0, 9)], {"warmup": 1, "cycle": 2}, False),
        ([(9.0, 9), (90.0, 20), (21.0, 9), (80.0, 20), (20.0, 9)], {"warmup": 2, "cycle": 2}, False),
        ([(90.0, 20), (0.0, 0), (90.0, 20), (0.0, 0)], {"warmup": 1, "cycle": 2}, True),
        ([(0.0, 2)], {"posterior": "delta"}, False),
    ],
)
def test_a_collapse_is_distinguished_from_pruned_dimensions(pairs, settings, warns):
    warning = collapse(records(*pairs), Config(**({"epochs": len(pairs)} | settings)))
    assert bool(warning) == warns
    if warns:
        assert "--warmup, --free-bits" in warning


@pytest.mark.parametrize(("beta", "warns"), [(30.0, True), (1.0, False)])
def test_training_warns_of_a_collapse_once(tmp_path, capsys, beta, warns):
    """On digits, a model starts to use its codes within some twenty epochs, whatever the seed."""
    with pytest.raises(SystemExit):
        main(["train", "--beta", str(beta), "--epochs", "60", "--device", "cpu", "--out", str(tmp_path / "run")])
    assert capsys.readouterr().out.count("the posterior collapses") == warns
