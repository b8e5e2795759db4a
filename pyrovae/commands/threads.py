"""Choose how many CPU threads a training uses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode

from pyrovae.program import mean_of
from pyrovae.training.fit import Fit

SMALL_STEP = 3e7  # floating-point operations of one forward pass


def use_one_thread_if_small(fit: Fit) -> None:
    """Set torch to one thread if the steps of `fit` are small and OMP_NUM_THREADS is not set.

    More threads make a small step no faster, and far slower where other programs share the cores.
    """
    x, labels = fit.data.batch(fit.data.train, slice(0, fit.config.batch_size))
    vae, y = fit.vae, fit.vae.given(x, labels)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.decoder(mean_of(vae.encode(x, y)), y)
    if counter.get_total_flops() < SMALL_STEP and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


@contextmanager
def threads_restored() -> Iterator[None]:
    """On leaving, set torch's number of threads back to what it was."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
