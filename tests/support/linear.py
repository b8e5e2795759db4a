"""Linear-Gaussian programs, whose posterior is known, and gradients of objectives on them."""

import math

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.inference.parameters import hidden

LINEAR = """
from torch import nn
from pyrovae.parts.networks import MLP

class Linear(MLP):
    def layer(self, units, width):
        return [nn.Linear(units, width)]
"""  # a network for --network FILE.py:Linear


class Linear(nn.Module):
    """x = w z + noise, with a Gaussian guide: off the posterior, or with `exact` the posterior itself. For float64."""

    def __init__(self, exact=False):
        super().__init__()
        self.w, self.scale = nn.Parameter(torch.tensor([1.0, -0.5, 0.8])), 0.7
        precision = 1 + self.w.square().sum().item() / self.scale**2
        self.slope = nn.Parameter(self.w.detach() / self.scale**2 / precision + (0 if exact else 0.1))
        self.log_scale = nn.Parameter(torch.tensor(-0.5 * math.log(precision) + (0 if exact else 0.3)))

    def model(self, x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z * self.w, self.scale).to_event(1), obs=x)

    def guide(self, x):
        with pyro.plate("images", len(x)):
            loc = (x @ self.slope)[:, None]
            pyro.sample("z", dist.Normal(loc, self.log_scale.exp()).to_event(1))


class Regression(nn.Module):
    """y = w x + b + noise, with a Gaussian guide of w and b: a program that is not a VAE."""

    def __init__(self):
        super().__init__()
        self.loc, self.log_scale = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.full((2,), -1.0))

    def model(self, x, y):
        weights = pyro.sample("weights", dist.Normal(torch.zeros(2), 3.0).to_event(1))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(weights[0] * x + weights[1], 0.5), obs=y)

    def guide(self, x, y):
        pyro.sample("weights", dist.Normal(self.loc, self.log_scale.exp()).to_event(1))


def make(name, particles=1, **settings):
    """Make an objective by its name, for programs of one plate."""
    return OBJECTIVES[name](num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1, **settings)


def value(objective, program, x, seed=0):
    """Return the loss of a program at the random numbers of `seed`."""
    torch.manual_seed(seed)
    return objective.differentiable_loss(program.model, program.guide, x).detach()


def gradients(objective, program, x, repeats):
    """Return gradients (repeats, parameters) at independent draws, those of seeds 0, 1, ...

    Python runs once, unless the program decides by values, as a flow does.
    """

    def gradient(x):
        with hidden(), pyro.validation_enabled(False):
            loss = objective.differentiable_loss(program.model, program.guide, x)
        return (torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(program.parameters()))]),)

    def drawn(function, seed):
        torch.manual_seed(seed)
        return function(x)[0].detach()

    try:
        graph = torch.no_grad()(trace_graph(gradient, x))
    except RuntimeError:
        graph = gradient
    rows = torch.stack([drawn(graph, seed) for seed in range(repeats)])
    assert torch.equal(rows[-1], drawn(gradient, repeats - 1))
    return rows
