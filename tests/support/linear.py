"""A linear-Gaussian model with its guide, and gradients of objectives on it."""

import math

import pyro
import pyro.distributions as dist
import torch
from torch import nn

from pyrovae.inference.objectives import OBJECTIVES


class Linear(nn.Module):
    """A model x = w z + noise with a Gaussian guide, which is the posterior if `exact`."""

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


def make(name, particles=1, **settings):
    return OBJECTIVES[name](num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1, **settings)


def gradients(objective, program, x, repeats):
    """Return the gradients (repeats, parameters) of an objective at independent draws."""
    rows = []
    for seed in range(repeats):
        torch.manual_seed(seed)
        loss = objective.differentiable_loss(program.model, program.guide, x)
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(program.parameters()))]))
    return torch.stack(rows)
