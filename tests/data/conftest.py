"""Fixtures for datasets: npz files, and a machine with little memory."""

import numpy as np
import pytest

from pyrovae.data import storage


@pytest.fixture
def npz(tmp_path):
    """Write arrays to an npz file, and return the settings that read it."""

    def write(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return {"dataset": f"npz:{tmp_path / 'set.npz'}"}

    return write


@pytest.fixture
def little_memory(monkeypatch):
    """Pretend that the memory has four times this many bytes, of which a quarter is for images."""

    def limit(nbytes):
        monkeypatch.setattr(storage, "memory", lambda device: 4 * nbytes)

    return limit
