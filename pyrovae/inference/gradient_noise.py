"""How noisy an objective's gradient is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyro
import torch
from torch import Tensor

from pyrovae.errors import at_least

Groups = Mapping[str, Sequence[Tensor]]


def gradient_noise(
    loss: Any, model: Callable[..., Any], guide: Callable[..., Any], groups: Groups, draws: int, *args: Any
) -> dict[str, dict[str, float]]:
    r"""The noise of the gradient g of a Pyro ELBO, from `draws` of it at the same weights and the same `args`.

    For each group of parameters: `variance` is the trace of the covariance, Σ_j Var g_j; `squared_mean` Σ_j (E g_j)²,
    with what noise adds to it taken off; `snr` the mean of |E g_j| / sd g_j over all j whose gradient is ever not zero:
    Rainforth et al. (2018), Tighter variational bounds are not necessarily better, arXiv:1802.04537. g is that of the
    loss as it is, summed over the batch. For any Pyro model and guide, as they are called with `args`.
    """
    at_least(2, draws=draws)
    parameters = [parameter for group in groups.values() for parameter in group]
    mean, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    for count in range(1, draws + 1):  # Welford (1962): no draw is kept
        with pyro.settings.context(module_local_params=True), pyro.validation_enabled(False):
            value = loss.differentiable_loss(model, guide, *args)
        gradients = torch.autograd.grad(value, parameters, materialize_grads=True, allow_unused=True)
        deviations = torch._foreach_sub(gradients, mean)
        torch._foreach_add_(mean, torch._foreach_div(deviations, count))
        torch._foreach_addcmul_(squares, deviations, torch._foreach_sub(gradients, mean))
    found, start = {}, 0
    for name, group in groups.items():
        rows = slice(start, start := start + len(group))
        found[name] = _summary(_flat(mean[rows]), _flat(squares[rows]) / (draws - 1), draws)
    return found


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().flatten().double() for tensor in tensors])


def _summary(mean: Tensor, variance: Tensor, draws: int) -> dict[str, float]:
    alive = (variance > 0) | (mean != 0)
    return {
        "variance": variance.sum().item(),
        "squared_mean": (mean.square() - variance / draws).sum().item(),
        "snr": (mean.abs() / variance.sqrt())[alive].mean().item(),
    }
