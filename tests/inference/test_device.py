"""The choice of a device."""

import pytest
import torch

from pyrovae import InputError
from pyrovae.inference import choose_device


def test_a_device_is_chosen_by_its_name_or_refused():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="CUDA"):
        choose_device("cuda:99")
