"""The random numbers of torch, numpy and Python: seeding all of them, and saving and restoring their state."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the random numbers that torch, numpy and Python draw inside, and restore their state on leaving."""
    before = random_state()
    try:
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
        yield
    finally:
        set_random_state(before)


def random_state() -> dict[str, Any]:
    """Return the state of torch's random numbers, on every CUDA device in use too, and of numpy's and Python's.

    It consists of types that `torch.load(weights_only=True)` reads.
    """
    numpy = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": numpy | {"state": {"key": numpy["state"]["key"].tolist(), "pos": numpy["state"]["pos"]}},
        "python": random.getstate(),
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore a state that `random_state` returned."""
    torch.set_rng_state(state["torch"].cpu())
    for device, of_device in enumerate(state["cuda"]):
        torch.cuda.set_rng_state(of_device.cpu(), device)
    numpy = state["numpy"]
    np.random.set_state(numpy | {"state": numpy["state"] | {"key": np.array(numpy["state"]["key"], dtype=np.uint32)}})
    random.setstate(state["python"])
