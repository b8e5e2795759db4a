"""Densities written out in plain PyTorch: what `pyrovae explain` holds Pyro's against.

A member of a family may say twice what it is: `forward` returns a Pyro distribution, and `log_density`, which takes the
same argument and a value, returns its log-density (of each pixel, or of each code) by the formula, without Pyro. Its
`formula` is that formula as one reads it; lines after the first tell what its letters stand for. `moments` are the mean
and covariance of a Gaussian posterior, the mean and standard deviations of a Gaussian prior, where their KL is known.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def own(member: object, name: str) -> Any:
    """`formula`, `log_density` or `moments` of a member; None if it has none, or its base has one of another `forward`.

    >>> own(torch.nn.Linear(1, 1), "formula") is None
    True
    """
    order = type(member).__mro__
    places = {each: next((i for i, base in enumerate(order) if each in vars(base)), None) for each in (name, "forward")}
    place, forward = places[name], places["forward"]
    return None if place is None or (forward is not None and place > forward) else getattr(member, name)


def log_normal(value: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Log N(x; μ, σ²) = −½ ((x − μ)/σ)² − log σ − ½ log 2π, of each number."""
    return -0.5 * ((value - loc) / scale) ** 2 - torch.as_tensor(scale).log() - 0.5 * math.log(2 * math.pi)


def log_laplace(value: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """−|x − μ|/b − log 2b, of each number."""
    return -(value - loc).abs() / scale - torch.as_tensor(2 * scale).log()


def log_student_t(value: Tensor, df: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Log Γ(½(ν + 1)) − log Γ(½ν) − ½ log νπ − log s − ½(ν + 1) log(1 + t²/ν), t = (x − μ)/s, of each number."""
    constant = (
        torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (math.pi * df).log() - torch.as_tensor(scale).log()
    )
    return constant - (df + 1) / 2 * (1 + ((value - loc) / scale) ** 2 / df).log()


def log_gaussian(value: Tensor, loc: Tensor, covariance: Tensor) -> Tensor:
    """Log N(z; μ, Σ) = −½ (z − μ)ᵀ Σ⁻¹ (z − μ) − ½ log |2πΣ|, of each vector."""
    difference = (value - loc)[..., None]
    square: Tensor = (difference * torch.linalg.solve(covariance, difference)).sum((-2, -1))
    return -0.5 * square - 0.5 * log_det(2 * math.pi * covariance)


def kl_of_gaussians(loc: Tensor, covariance: Tensor, prior_loc: Tensor, prior_scale: Tensor) -> Tensor:
    """KL(N(μ, Σ) ‖ N(m, diag s²)) = ½ Σ_j [(Σ_jj + (μ_j − m_j)²)/s_j² + log s_j² − 1] − ½ log |Σ|."""
    variance = torch.diagonal(covariance, dim1=-2, dim2=-1)
    each = (variance + (loc - prior_loc) ** 2) / prior_scale**2 + 2 * prior_scale.log() - 1
    return 0.5 * each.sum(-1) - 0.5 * log_det(covariance)


@torch.enable_grad()
def log_det_jacobian(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Log |det ∂f/∂z| of each row of z (n, latent), for an f that takes rows apart: the Jacobian row by row."""
    z = z.detach().requires_grad_()
    bent = f(z)
    rows = [torch.autograd.grad(column.sum(), z, retain_graph=True)[0] for column in bent.unbind(-1)]
    return log_det(torch.stack(rows, -2))


def log_det(matrix: Tensor) -> Tensor:
    """Log |det A| of each matrix."""
    found: Tensor = torch.linalg.slogdet(matrix)[1]
    return found
