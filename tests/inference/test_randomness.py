"""Random numbers of torch, numpy and Python that follow from a seed."""

import random

import numpy as np
import torch

from pyrovae.inference import seeded
from pyrovae.inference.randomness import random_state, set_random_state


def draw():
    return torch.rand(2).tolist(), np.random.rand(2).tolist(), random.random()


def test_the_same_seed_gives_the_same_numbers():
    draws = []
    for seed in (1, 1, 2):
        with seeded(seed):
            draws.append(draw())
    assert draws[0] == draws[1]
    assert not [one for one, other in zip(draws[0], draws[2]) if one == other]


def test_random_numbers_afterwards_continue_as_if_nothing_had_been_seeded():
    state = random_state()
    expected = draw()
    set_random_state(state)
    with seeded(1):
        draw()
    assert draw() == expected


def test_a_state_survives_a_file(tmp_path):
    torch.save(random_state(), tmp_path / "state.pt")
    expected = draw()
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draw() == expected
