"""Fixtures for datasets: npz files, and a machine with little memory."""

import numpy as np
import pytest

from pyrovae.data import storage


@pytest.fixture
def npz(tmp_path):
    """Writes arrays and gives the settings that read them."""

    def write(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return {"dataset": f"npz:{tmp_path / 'set.npz'}"}

    return write


@pytest.fixture
def little_memory(monkeypatch):
    """As much as four times this many bytes."""

    def limit(nbytes):
        monkeypatch.setattr(storage, "memory", lambda device: 4 * nbytes)

    return limit
