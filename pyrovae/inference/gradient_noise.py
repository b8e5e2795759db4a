"""Measure how noisy the gradient of an objective is."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import pyro
import torch
from torch import Tensor

from pyrovae.errors import at_least
from pyrovae.inference.graphs import trace_graph
from pyrovae.inference.parameters import hidden
from pyrovae.inference.private import foreach_add_, foreach_addcmul_, foreach_div, foreach_sub
from pyrovae.inference.randomness import seeded
from pyrovae.inference.svi import Loss
from pyrovae.inference.threads import Threads

Groups = Mapping[str, Sequence[Tensor]]


def gradient_noise(
    loss: Loss, model: Callable[..., object], guide: Callable[..., object], groups: Groups, draws: int, *args: object
) -> dict[str, dict[str, float]]:
    r"""Estimate the noise of the gradient g of a Pyro ELBO, from `draws` of g at the same weights and `args`.

    Returns for each group of parameters: `variance`, the trace of the covariance, Σ_j Var g_j; `squared_mean`,
    Σ_j (E g_j)², corrected for what the noise of the mean adds to it; and `snr`, the mean of |E g_j| / sd g_j over all
    j whose gradient is not always zero (Rainforth et al. 2018, Tighter variational bounds are not necessarily better,
    arXiv:1802.04537). g is the gradient of the loss itself, a sum over the batch. Works for any Pyro model and guide,
    called with `args`; where it can be recorded as a graph, Python runs once. Raises `InputError` for fewer than two
    draws.
    """
    at_least(2, draws=draws)
    parameters = [parameter for group in groups.values() for parameter in group]
    threads = Threads(parameters[0].device)
    mean, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    draw = _repeatable(partial(_gradients, loss, model, guide, args, parameters), parameters[0])
    for count in range(1, draws + 1):  # Welford (1962): mean and squared deviations without storing any draw
        with threads.measured():
            gradients = draw()
            deviations = foreach_sub(gradients, mean)
            foreach_add_(mean, foreach_div(deviations, count))
            foreach_addcmul_(squares, deviations, foreach_sub(gradients, mean))
    noise, start = {}, 0
    for name, group in groups.items():
        rows = slice(start, start := start + len(group))
        noise[name] = _noise(_flat(mean[rows]), _flat(squares[rows]) / (draws - 1), draws)
    return noise


def _gradients(
    loss: Loss,
    model: Callable[..., object],
    guide: Callable[..., object],
    args: tuple[object, ...],
    parameters: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    with hidden(), pyro.validation_enabled(False):
        value = loss.differentiable_loss(model, guide, *args)
    return torch.autograd.grad(value, parameters, materialize_grads=True, allow_unused=True)


def _repeatable(function: Callable[[], tuple[Tensor, ...]], like: Tensor) -> Callable[[], tuple[Tensor, ...]]:
    """Return what draws as `function` does, without its Python; the function itself if it is no fixed graph."""
    try:
        with seeded(0):
            graph = trace_graph(lambda _: function(), like)
    except Exception:  # whatever in the program cannot be recorded, such as a choice by a value
        return function

    @torch.no_grad()
    def draw() -> tuple[Tensor, ...]:
        gradients: tuple[Tensor, ...] = graph(like)
        return gradients

    return draw


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten().double() for tensor in tensors])


def _noise(mean: Tensor, variance: Tensor, draws: int) -> dict[str, float]:
    nonzero = (variance > 0) | (mean != 0)
    return {
        "variance": variance.sum().item(),
        "squared_mean": (mean.square() - variance / draws).sum().item(),
        "snr": (mean.abs() / variance.sqrt())[nonzero].mean().item(),
    }
