"""Means over seeds, and which runs have numbers that compare."""

import math

from support.sweeps import edited

from pyrovae import Run
from pyrovae.runs.comparison import best_row, loss_differences, mean_and_sd, over_seeds


def test_mean_and_standard_deviation_by_hand():
    assert mean_and_sd([1.0, 2.0, 6.0]) == {"mean": 3.0, "sd": math.sqrt(7), "n": 3, "values": [1.0, 2.0, 6.0]}
    assert mean_and_sd([4]) == {"mean": 4.0, "sd": None, "n": 1, "values": [4]}


def test_runs_of_other_protocols_are_named(swept):
    runs = [Run(swept / f"latent_dim=2,seed={seed}") for seed in (0, 1)]
    assert loss_differences(runs) == ""
    assert best_row(over_seeds(runs, ["seed"]), runs) is None  # one row has no better
    edited(swept / "latent_dim=2,seed=1/summary.json", loss="reconstruction", protocol="static")
    assert loss_differences(runs) == (
        "pixels grey (latent_dim=2,seed=0), static (latent_dim=2,seed=1); "
        "loss negative ELBO (latent_dim=2,seed=0), reconstruction (latent_dim=2,seed=1)"
    )
