"""The maximum mean discrepancy, and the objective that penalises it."""

import math

import pytest
import torch

from pyrovae import Config, build, fit, load
from pyrovae.evaluation.latents import report
from pyrovae.inference.objectives.mmd import squared_mmd

pytestmark = pytest.mark.usefixtures("double")


def test_the_mmd_equals_that_of_a_double_loop():
    a, b = torch.randn(6, 2), torch.randn(6, 2) + 1

    def kernel(u, v):
        scales = [4 * s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
        return sum(c / (c + (u - v).square().sum()) for c in scales) / len(scales)

    within = sum(kernel(x[i], x[j]) for x in (a, b) for i in range(6) for j in range(6) if i != j) / 30
    between = sum(kernel(u, v) for u in a for v in b) / 36
    torch.testing.assert_close(squared_mmd(a, b), within - 2 * between)


def test_the_mmd_of_two_samples_of_one_distribution_averages_zero():
    same = torch.stack([squared_mmd(torch.randn(20, 3), torch.randn(20, 3)) for _ in range(500)])
    assert same.mean().abs() < 3 * same.std() / math.sqrt(500)
    assert squared_mmd(torch.randn(200, 3), torch.randn(200, 3) + 2) > 0.3


def test_the_mmd_pulls_the_codes_of_all_images_to_the_prior():
    marginal = {}
    for weight in (0.0, 100.0):
        config = Config(objective="mmd", beta=0, mmd_weight=weight, epochs=15, device="cpu", lr=5e-3)
        data = load(config)
        vae = build(config, data.shape)
        for _ in fit(vae, data, config):
            pass
        marginal[weight] = report(vae, data)
    assert marginal[100.0]["marginal_kl_upper"] < marginal[0.0]["marginal_kl_lower"]
