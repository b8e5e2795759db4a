import contextlib

import pytest
import torch

from pyrovae import InputError
from pyrovae.runs.estimates import KINDS, Estimates

SETTINGS = {"samples": 9, "images": 5, "seed": 0, "device": "cpu"}


@pytest.fixture
def folder(tmp_path):
    """A folder with weights and the estimates of three images."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    estimates = Estimates(tmp_path, SETTINGS)
    torch.manual_seed(3)
    for n in (2, 1):
        estimates.add({name: torch.full((n,), float(n)) for name in KINDS})
    estimates.write()
    return tmp_path


def test_saved_estimates_are_resumed_with_the_random_state_that_followed_them(folder):
    torch.manual_seed(3)
    following = torch.rand(4)
    torch.manual_seed(7)
    estimates = Estimates(folder, SETTINGS)
    estimates.resume()
    (batch,) = estimates.batches
    assert estimates.done == 3
    assert batch["elbo"].tolist() == [2.0, 2.0, 1.0]
    assert torch.equal(torch.rand(4), following)


@pytest.mark.parametrize(("name", "value"), [("samples", 8), ("images", 4), ("seed", 1), ("device", "cuda")])
def test_estimates_of_other_settings_are_refused(folder, name, value):
    estimates = Estimates(folder, SETTINGS | {name: value})
    with pytest.raises(InputError, match=f"resume: expected {name} {SETTINGS[name]}, .* got {value}"):
        estimates.resume()
    assert estimates.done == 0


def test_estimates_of_other_weights_are_refused(folder):
    (folder / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(InputError, match="resume: expected weights"):
        Estimates(folder, SETTINGS).resume()


def test_what_was_added_is_saved_when_the_block_ends_early(folder):
    estimates = Estimates(folder, SETTINGS)
    with contextlib.suppress(KeyboardInterrupt), estimates.kept():
        estimates.add({name: torch.zeros(4) for name in KINDS})
        raise KeyboardInterrupt
    resumed = Estimates(folder, SETTINGS)
    resumed.resume()
    assert resumed.done == 4
    resumed.remove()
    assert not (folder / "evaluation.pt").exists()
