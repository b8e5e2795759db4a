"""The KL weight and the learning rate as functions of the epochs trained so far."""

import math

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.inference.objectives import KLWeight


def kl_weight_at(config: Config, epochs: float) -> float:
    """Return the KL weight after so many epochs: it rises from 0 to `beta` over `warmup`, anew in each `cycle`."""
    since_start = epochs % config.cycle if config.cycle else epochs
    return config.beta * min(1.0, since_start / config.warmup) if config.warmup else config.beta


def lr_at(config: Config, epochs: float) -> float:
    """Return the learning rate after so many epochs: constant, or falling to 0 along half a cosine over all epochs."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * epochs / config.epochs))


def set_kl_weight_and_lr(config: Config, epochs: float, kl_weight: KLWeight, optim: torch.optim.Optimizer) -> None:
    """Set the KL weight and the learning rate, if they change at all, to their values after so many epochs."""
    if config.warmup and isinstance(kl_weight.weight, Tensor):
        kl_weight.weight.fill_(kl_weight_at(config, epochs))
    if config.schedule != "constant":
        set_lr(optim, lr_at(config, epochs))


def set_lr(optim: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate; in place if it is a tensor, which a CUDA graph reads where it lies."""
    for group in optim.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
