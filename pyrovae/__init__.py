"""Variational autoencoders written as Pyro programs."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Name -> its file. Loaded on first use, so that `pyrovae --help` need not import torch.
_PUBLIC = {
    "Config": "config",
    "InputError": "errors",
    "Data": "data",
    "load": "data",
    "VAE": "vae",
    "build": "builder",
    "SVI": "inference",
    "fit": "training",
    "fit_together": "together",
    "evaluate": "scores",
    "log_likelihoods": "evaluation",
    "annealed_log_likelihoods": "annealing",
    "Run": "runs",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pyrovae' has no attribute {name!r}")
    return getattr(import_module(f"pyrovae.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
