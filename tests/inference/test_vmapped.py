"""Several runs as one graph, against each run alone."""

import gc

import pytest
import torch

from pyrovae.inference import vmapped
from pyrovae.inference.vmapped import capture_stacked, stack

RUNS = 3


def runs_of(scales):
    """Return a function that reads the first of `scales` and draws random numbers, the stack of all, and generators."""

    def function(x):
        return torch.normal(scales[0] * x, torch.ones(4)), torch.bernoulli(torch.full((4,), 0.5))

    generators = [torch.Generator().manual_seed(seed) for seed in range(RUNS)]
    return function, [(scales[0], stack(scales))], generators


@pytest.mark.parametrize("compiled", [False, True])
def test_each_run_draws_what_it_draws_alone(compiled):
    scales = [torch.tensor(1.0 + run) for run in range(RUNS)]
    function, stacks, generators = runs_of(scales)
    x = torch.rand(RUNS, 4)
    captured = capture_stacked(function, stacks, generators, x, compiled=compiled)
    for generator, seed in zip(generators, range(RUNS)):
        generator.manual_seed(seed)
    sums, coins = captured(x)
    for run in range(RUNS):
        torch.manual_seed(run)
        torch.testing.assert_close(sums[run], torch.normal(scales[run] * x[run], torch.ones(4)))
        assert torch.equal(coins[run], torch.bernoulli(torch.full((4,), 0.5)))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_captured_function_frees_its_draws(compiled):
    before = len(vmapped._DRAWS)
    for _ in range(3):
        function, stacks, generators = runs_of([torch.ones(()) for _ in range(RUNS)])
        captured = capture_stacked(function, stacks, generators, torch.rand(RUNS, 4), compiled=compiled)
        assert len(vmapped._DRAWS) == before + 2
        del captured
        gc.collect()
        assert len(vmapped._DRAWS) == before


def test_a_capture_that_fails_leaves_no_draws():
    before = len(vmapped._DRAWS)

    def function(x):
        return (torch.bernoulli(x) * x.sum().item(),)

    with pytest.raises(Exception, match="data-dependent"):
        capture_stacked(function, [], [torch.Generator() for _ in range(RUNS)], torch.rand(RUNS, 4))
    gc.collect()
    assert len(vmapped._DRAWS) == before


def test_stacked_tensors_are_views_of_the_stack():
    tensors = [torch.full((2,), float(run)) for run in range(RUNS)]
    stacked = stack(tensors)
    stacked += 1
    assert [tensor.tolist() for tensor in tensors] == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
