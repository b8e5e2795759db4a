"""Tables of mixed columns from a process whose likelihood is known."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, LogNormal, Normal, Poisson

LOGITS = torch.tensor([[-1.0, 0.0, 1.0], [0.3, 0.6, -0.2]])  # of three categories: slope and offset
GRID = torch.linspace(-8, 8, 2001, dtype=torch.float64)


def distributions(z: Tensor) -> list:
    """The columns given a normal code z: real, positive, count, binary and a category."""
    return [
        Normal(2 * z + 1, 0.8),
        LogNormal(0.7 * z, 0.5),
        Poisson((1 + 0.6 * z).exp()),
        Bernoulli(logits=2 * z - 0.5),
        Categorical(logits=z[..., None] * LOGITS[0].to(z) + LOGITS[1].to(z)),
    ]


def tables_of_truth(n: int, generator: torch.Generator) -> tuple[np.ndarray, Tensor]:
    """Return n rows of the process, categories as words, and the exact log p of each row.

    The code is integrated over a grid, to 1e-9: log p(x) = log ∫ N(z; 0, 1) Π p(xᵢ | z) dz.
    """
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**31, (), generator=generator)))
        columns = [each.sample() for each in distributions(torch.randn(n, dtype=torch.float64))]
    log_joint = Normal(0.0, 1.0).log_prob(GRID)
    for values, given in zip(columns, distributions(GRID), strict=True):
        log_joint = log_joint + given.log_prob(values[:, None])
    exact = torch.logsumexp(log_joint, 1) + math.log(GRID[1] - GRID[0])
    table = np.array([values.tolist() for values in columns], dtype=object).T
    table[:, 4] = ["abc"[int(category)] for category in columns[4]]
    return table, exact
