"""The part that made a distribution, found among the calls of a program's modules."""

import pyro.distributions as dist
import pytest
import torch
from support.hierarchy import Hierarchy
from torch import nn

from pyrovae.explain.made import recording


class Handed(nn.Module):
    """Hands on what another part returns."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, *args):
        return self.part(*args)


@pytest.fixture
def program():
    program = Hierarchy().double()
    program.likelihood = Handed(program.likelihood)
    return program


def test_an_expanded_or_masked_distribution_is_still_that_of_its_part(program):
    with recording(program) as made:
        prior, pixels = program.prior(), program.likelihood(torch.zeros(3, 1, 1, 8, 8).double())
    assert made.maker(prior.expand((7,))).name == "prior"
    assert made.maker(pixels.base_dist.mask(torch.ones(8, 8) > 0).to_event(3)).name == "likelihood.part"


def test_another_distribution_is_of_no_part(program):
    with recording(program) as made:
        q = program.upper_posterior(torch.ones(3, 6).double())
    assert made.maker(q).name == "upper_posterior"
    assert made.maker(dist.Normal(q.base_dist.loc, q.base_dist.scale * (1 + 1e-9)).to_event(1)) is None
    assert made.maker(dist.Laplace(q.base_dist.loc, q.base_dist.scale).to_event(1)) is None


def test_recording_ends(program):
    with recording(program) as made:
        pass
    program.prior()
    assert not made.calls
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in program.modules())
