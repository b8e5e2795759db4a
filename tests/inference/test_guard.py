"""The check of every step: what it flags, and what it clips."""

import math

import pytest
import torch

from pyrovae.inference.guard import Guard


def check(guard, loss=0.0, gradient=(3.0, 4.0)):
    """Check a step of one gradient, and return it as the guard leaves it, with both flags."""
    gradients = [torch.tensor(gradient)]
    guard.check(gradients, torch.tensor(loss))
    return gradients[0].tolist(), guard.failed.item(), guard.skipped.item()


def test_a_finite_step_passes():
    assert check(Guard(torch.device("cpu"))) == ([3.0, 4.0], 0.0, 0.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_without_skip_a_loss_that_is_not_finite_fails_all_later_steps(loss):
    guard = Guard(torch.device("cpu"))
    assert check(guard, loss)[1:] == (1.0, 0.0)
    assert check(guard)[1:] == (1.0, 0.0)


def test_with_skip_only_the_step_itself_fails_and_is_counted():
    guard = Guard(torch.device("cpu"), skip=True)
    assert check(guard, loss=math.inf)[1:] == (1.0, 1.0)
    assert check(guard)[1:] == (0.0, 1.0)
    assert check(guard, gradient=(math.nan, 1.0))[1:] == (1.0, 2.0)


@pytest.mark.parametrize(("grad_clip", "clipped"), [(0.0, [3.0, 4.0]), (1.0, [0.6, 0.8]), (10.0, [3.0, 4.0])])
def test_gradients_are_scaled_down_to_the_norm(grad_clip, clipped):
    assert check(Guard(torch.device("cpu"), grad_clip))[0] == pytest.approx(clipped)
