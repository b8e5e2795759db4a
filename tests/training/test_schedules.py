"""The KL weight and the learning rate that the steps of a training take."""

import math

import pytest
from support.builders import small_data, small_vae

from pyrovae import fit


def paces(monkeypatch, **settings):
    """Train with four steps in an epoch; returns the KL weight and the learning rate of every step."""
    vae, config = small_vae(batch_size=10, **settings)
    fitting = fit(vae, small_data(n=40), config)
    weights, rates, step = [], [], fitting.svi.step

    def watched(*args):
        weights.append(float(fitting.kl_weight.weight))
        rates.append(fitting.svi.optim.param_groups[0]["lr"])
        return step(*args)

    monkeypatch.setattr(fitting.svi, "step", watched)
    list(fitting)
    return weights, rates


def test_warm_up_raises_the_weight_from_zero_to_beta(monkeypatch):
    weights, _ = paces(monkeypatch, beta=2.0, warmup=2, epochs=3)
    assert weights == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2, 2, 2])


def test_a_cyclical_warm_up_starts_again(monkeypatch):
    weights, _ = paces(monkeypatch, warmup=1, cycle=2, epochs=4)
    assert weights == pytest.approx(2 * [0, 0.25, 0.5, 0.75, 1, 1, 1, 1])


def test_the_cosine_schedule_lets_the_learning_rate_fall_to_zero(monkeypatch):
    _, rates = paces(monkeypatch, schedule="cosine", lr=0.01, epochs=2)
    assert rates == pytest.approx([0.005 * (1 + math.cos(math.pi * step / 8)) for step in range(8)])
