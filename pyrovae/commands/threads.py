"""Choose how many CPU threads a training uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.inference.threads import counts
from pyrovae.training.fit import Fit

SMALL_STEP = 3e7  # floating-point operations of one forward pass


def use_threads(fit: Fit) -> None:
    """Set torch to the number of threads that the config of `fit` names, or to one if its steps are small.

    More threads make a small step no faster, and far slower where other programs share the cores. Otherwise torch's
    number stays, and the fit itself chooses between it and one thread.
    """
    if fit.config.threads is not None:
        torch.set_num_threads(fit.config.threads)
    elif len(counts()) > 1 and _is_small(fit):
        torch.set_num_threads(1)


def _is_small(fit: Fit) -> bool:
    x, labels = fit.data.batch(fit.data.train, slice(0, fit.config.batch_size))
    y = labels if fit.vae.context is not None and fit.vae.context.reads != "images" else None
    learned = [parameter for parameter in fit.vae.parameters() if parameter.requires_grad]
    try:
        for parameter in learned:  # the counter asks inputs of modules for their gradient, as those of a VampPrior
            parameter.requires_grad_(False)
        with FlopCounterMode(display=False) as counter:
            fit.vae.reconstruct(x, y)
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
    return bool(counter.get_total_flops() < SMALL_STEP)


@contextmanager
def threads_restored() -> Iterator[None]:
    """On leaving, set torch's number of threads back to what it was."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
