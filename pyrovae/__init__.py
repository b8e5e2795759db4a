"""Variational autoencoders written as Pyro programs."""

TYPE_CHECKING = False  # typing's own would be imported: the command line comes by here before it can handle Ctrl-C
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

# Name -> module. Names are imported on first use, so that `pyrovae --help` does not import torch.
_PUBLIC = {
    "Config": "config.settings",
    "InputError": "errors",
    "Data": "data.data",
    "load": "data.loading",
    "Program": "program",
    "VAE": "vae",
    "build": "programs.build",
    "SVI": "inference",
    "fit": "training.fit",
    "fit_batched": "training.batched",
    "elbo_scores": "evaluation.elbo",
    "log_likelihoods": "evaluation.importance",
    "annealed_log_likelihoods": "evaluation.annealing",
    "impute": "evaluation.imputation",
    "VariationalAutoencoder": "training.estimator",
    "Run": "runs.run",
    "train": "commands.train",
    "sweep": "commands.sweep",
    "gradients": "commands.gradients",
}
__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> "Any":
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pyrovae' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"pyrovae.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
