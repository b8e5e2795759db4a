"""How the KL weight and the learning rate go over the epochs."""

import math

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.inference.objectives import KLWeight


def kl_weight_at(config: Config, epochs: float) -> float:
    """After so many epochs: beta, or on the way to it from 0 over `warmup` epochs, anew each `cycle`."""
    risen = epochs % config.cycle if config.cycle else epochs
    return config.beta * min(1.0, risen / config.warmup) if config.warmup else config.beta


def lr_at(config: Config, epochs: float) -> float:
    """After so many epochs: `lr`, or on its way to 0 over all epochs, as half a cosine."""
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * epochs / config.epochs))


def set_pace(config: Config, epochs: float, kl_weight: KLWeight, optim: torch.optim.Optimizer) -> None:
    """What both are after so many epochs."""
    if config.warmup and isinstance(kl_weight.weight, Tensor):
        kl_weight.weight.fill_(kl_weight_at(config, epochs))
    if config.schedule != "constant":
        set_lr(optim, lr_at(config, epochs))


def set_lr(optim: torch.optim.Optimizer, lr: float) -> None:
    """In place, where the learning rate is a tensor that a CUDA graph reads."""
    for group in optim.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr
