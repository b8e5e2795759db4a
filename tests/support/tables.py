"""Tables of mixed columns from a process whose likelihood is known."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, LogNormal, NegativeBinomial, Normal, Poisson

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


def counts_of_truth(*sizes: int, columns: int = 20) -> tuple[list[Tensor], Tensor]:
    """Return sets of counts (n, columns) of a negative binomial factor model, and the exact log p of the last's rows.

    Means are exp(W z + b) for two normal codes, over which a grid integrates.
    """
    generator = torch.Generator().manual_seed(0)
    weight = 0.6 * torch.randn(columns, 2, generator=generator, dtype=torch.float64)
    offset, r = (torch.rand(columns, generator=generator, dtype=torch.float64) * most for most in (2.0, 4.0))

    def given(z: Tensor) -> NegativeBinomial:
        return NegativeBinomial(r + 1, logits=z @ weight.T + offset - (r + 1).log())

    with torch.random.fork_rng():
        torch.manual_seed(0)
        sets = [given(torch.randn(n, 2, dtype=torch.float64)).sample() for n in sizes]
    line = torch.linspace(-5.5, 5.5, 111, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    log_prior = Normal(0.0, 1.0).log_prob(grid).sum(-1) + 2 * math.log(line[1] - line[0])
    parts = (given(grid).log_prob(part[:, None]).sum(-1) for part in sets[-1].split(50))
    return sets, torch.cat([torch.logsumexp(log_prior + part, 1) for part in parts])


class FactorModel:
    """Counts of rows that have shares softmax(W z + b) of a total, for two normal codes z, as negative binomials."""

    def __init__(self, columns: int = 20) -> None:
        generator = torch.Generator().manual_seed(1)
        self.weight = 0.8 * torch.randn(columns, 2, generator=generator, dtype=torch.float64)
        self.offset = torch.rand(columns, generator=generator, dtype=torch.float64)
        self.log_r = 0.5 + torch.rand(columns, generator=generator, dtype=torch.float64)
        line = torch.linspace(-5.5, 5.5, 111, dtype=torch.float64)
        self.grid = torch.cartesian_prod(line, line)  # of codes, with the logarithm of what each stands for
        self.log_weights = Normal(0.0, 1.0).log_prob(self.grid).sum(-1) + 2 * math.log(line[1] - line[0])

    def given(self, z: Tensor, total: Tensor) -> NegativeBinomial:
        """p(x | z, l) for codes (..., 2) and totals (...)."""
        log_mean = (z @ self.weight.T + self.offset).log_softmax(-1) + total.log()[..., None]
        return NegativeBinomial(self.log_r.exp(), logits=log_mean - self.log_r)

    def draw(self, n: int, seed: int) -> Tensor:
        """Draw rows whose totals vary about tenfold."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            z, depth = torch.randn(n, 2, dtype=torch.float64), 5 + 0.6 * torch.randn(n, dtype=torch.float64)
            return self.given(z, depth.exp()).sample()

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Return log p(x | l) of rows (n, columns) given their own totals, integrated over a grid of codes."""
        parts = (self.given(self.grid, row.sum()[None]).log_prob(row).sum(-1) for row in x)
        return torch.stack([torch.logsumexp(self.log_weights + part, 0) for part in parts])
