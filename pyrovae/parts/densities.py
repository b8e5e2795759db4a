"""Log-densities in plain PyTorch, with which `pyrovae explain` checks what Pyro computes.

The `forward` of a prior, a posterior or a likelihood returns a Pyro distribution. A member may write that distribution
out a second time without Pyro: a reader then sees the mathematics, and a mistake in either version shows. It may have
any of three attributes. Training and evaluation use none of them.

`formula`
    The density as text, as one would write it on paper: `"N(z; μ, diag σ²)"`. Each line after the first says what a
    letter stands for. Without it `explain` shows the name of the class.
`log_density(argument, value)`
    The log-density of `value` by that formula, computed without Pyro. `argument` is what `forward` takes: the context
    y (or None) of a prior, the encoder's features of a posterior, the decoder's features of a likelihood. Priors and
    posteriors return one number for each code, (n,); likelihoods one for each pixel, (n, C, H, W). Without it
    `explain` shows Pyro's value alone. It may return None where it has no formula after all.
`moments(argument)`
    Only for Gaussians whose KL has a closed form: a prior returns its mean and standard deviations, both (latent,) or
    (n, latent), a posterior its mean (n, latent) and covariance (n, latent, latent).

`explain` reads them with `declared`: a subclass that changes `forward` must not inherit the formula of another density.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, overload

import torch
from torch import Tensor


@overload
def declared(member: object, name: Literal["formula"]) -> str | None: ...
@overload
def declared(member: object, name: Literal["log_density"]) -> Callable[..., Tensor] | None: ...
@overload
def declared(member: object, name: Literal["moments"]) -> Callable[..., tuple[Tensor, Tensor]] | None: ...
def declared(member: object, name: str) -> Any:
    """Return the attribute `name` of a member (see above), or None if it has none that describes its own `forward`.

    A class that overrides `forward` and not `name` would inherit what is true of another density.

    >>> declared(torch.nn.Linear(1, 1), "formula") is None
    True
    """
    classes = type(member).__mro__
    first = {each: next((i for i, cls in enumerate(classes) if each in vars(cls)), None) for each in (name, "forward")}
    place, forward = first[name], first["forward"]
    return None if place is None or (forward is not None and place > forward) else getattr(member, name)


def log_normal(value: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Return log N(x; μ, σ²) = −½ ((x − μ)/σ)² − log σ − ½ log 2π, elementwise."""
    return -0.5 * ((value - loc) / scale) ** 2 - torch.as_tensor(scale).log() - 0.5 * math.log(2 * math.pi)


def log_laplace(value: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Return the log-density of Laplace's distribution, −|x − μ|/b − log 2b, elementwise."""
    return -(value - loc).abs() / scale - torch.as_tensor(2 * scale).log()


def log_student_t(value: Tensor, df: Tensor, loc: Tensor | float, scale: Tensor | float) -> Tensor:
    """Return the log-density of Student's t, elementwise, with ν degrees of freedom and t = (x − μ)/s.

    log Γ(½(ν + 1)) − log Γ(½ν) − ½ log νπ − log s − ½(ν + 1) log(1 + t²/ν)
    """
    constant = (
        torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - 0.5 * (math.pi * df).log() - torch.as_tensor(scale).log()
    )
    return constant - (df + 1) / 2 * (1 + ((value - loc) / scale) ** 2 / df).log()


def log_log_normal(value: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Return log N(log x; μ, σ²)/x, elementwise: the logarithm of x is normal."""
    return log_normal(value.log(), loc, scale) - value.log()


def log_gamma(value: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Return log β^α x^(α − 1) exp(−βx) / Γ(α) = α log β + (α − 1) log x − βx − log Γ(α), elementwise."""
    return alpha * beta.log() + (alpha - 1) * value.log() - beta * value - torch.lgamma(alpha)


def log_bernoulli(value: Tensor, logits: Tensor) -> Tensor:
    """Return log π^x (1 − π)^(1 − x) = x h − log(1 + exp h), elementwise, with π = σ(h)."""
    return value * logits - torch.logaddexp(logits, torch.zeros_like(logits))


def log_one_hot(value: Tensor, logits: Tensor) -> Tensor:
    """Return log Πₖ πₖ^xₖ = Σₖ xₖ hₖ − log Σₖ exp hₖ, for each vector x (..., K) with one 1, where π = softmax(h)."""
    return (value * logits).sum(-1) - logits.logsumexp(-1)


def log_categorical(value: Tensor, logits: Tensor) -> Tensor:
    """Return log π[x] = h[x] − log Σₖ exp hₖ, for each index x (...) of logits h (..., K), where π = softmax(h)."""
    logits = logits.expand(*torch.broadcast_shapes(value.shape, logits.shape[:-1]), -1)
    index = value.long().expand(logits.shape[:-1])[..., None]
    return logits.gather(-1, index).squeeze(-1) - logits.logsumexp(-1)


def log_poisson(value: Tensor, rate: Tensor) -> Tensor:
    """Return log λ^x exp(−λ) / x! = x log λ − λ − log x!, elementwise."""
    return value * rate.log() - rate - torch.lgamma(value + 1)


def log_gaussian(value: Tensor, loc: Tensor, covariance: Tensor) -> Tensor:
    """Return log N(z; μ, Σ) = −½ (z − μ)ᵀ Σ⁻¹ (z − μ) − ½ log |2πΣ|, for each vector (..., latent)."""
    difference = (value - loc)[..., None]
    square: Tensor = (difference * torch.linalg.solve(covariance, difference)).sum((-2, -1))
    return -0.5 * square - 0.5 * log_det(2 * math.pi * covariance)


def log_equal_mixture(log_components: Callable[[Tensor], Tensor], k: int, z: Tensor) -> Tensor:
    """Return log 1/K Σ_k p_k(z) for each code of z (n, latent); `log_components(code)` gives log p_k (K,)."""
    return torch.stack([log_components(code).logsumexp(-1) for code in z]) - math.log(k)


def kl_of_gaussians(loc: Tensor, covariance: Tensor, prior_loc: Tensor, prior_scale: Tensor) -> Tensor:
    """Return KL(N(μ, Σ) ‖ N(m, diag s²)) = ½ Σ_j [(Σ_jj + (μ_j − m_j)²)/s_j² + log s_j² − 1] − ½ log |Σ|, in nats."""
    variance = torch.diagonal(covariance, dim1=-2, dim2=-1)
    each = (variance + (loc - prior_loc) ** 2) / prior_scale**2 + 2 * prior_scale.log() - 1
    return 0.5 * each.sum(-1) - 0.5 * log_det(covariance)


def kl_of_normals(loc: Tensor, scale: Tensor, prior_loc: Tensor, prior_scale: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) ‖ N(m, s²)) = ½ [(σ² + (μ − m)²)/s² − 1] − log σ/s in nats, elementwise."""
    return 0.5 * ((scale**2 + (loc - prior_loc) ** 2) / prior_scale**2 - 1) - (scale / prior_scale).log()


def kl_of_categoricals(logits: Tensor, prior_logits: Tensor) -> Tensor:
    """Return KL = Σₖ πₖ (log πₖ − log ρₖ) of probabilities π = softmax(h) and ρ = softmax(g), for each (..., K)."""
    log_pi, log_rho = logits.log_softmax(-1), prior_logits.log_softmax(-1)
    return (log_pi.exp() * (log_pi - log_rho)).sum(-1)


@torch.enable_grad()
def log_det_jacobian(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """Return log |det ∂f/∂z| at each row of z (n, latent), by automatic differentiation; f must map rows singly."""
    z = z.detach().requires_grad_()
    moved = f(z)
    rows = [torch.autograd.grad(column.sum(), z, retain_graph=True)[0] for column in moved.unbind(-1)]
    return log_det(torch.stack(rows, -2))


def log_det(matrix: Tensor) -> Tensor:
    """Return log |det A| of each matrix (..., d, d)."""
    return torch.linalg.slogdet(matrix).logabsdet
