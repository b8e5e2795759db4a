import dataclasses

import pytest
import torch
from support.builders import small_data
from support.runs import trained

from pyrovae import Run
from pyrovae.data.pixels import Pixels


@pytest.mark.parametrize("settings", [{}, {"network": "conv"}, {"condition": "label"}, {"posterior": "delta"}])
def test_a_loaded_run_draws_the_same_samples(tmp_path, settings):
    _, fitting = trained(tmp_path, **settings)
    loaded = Run(tmp_path).vae
    y = torch.tensor([0, 1, 2, 0]) if settings.get("condition") else None
    draws = []
    for vae in (fitting.vae, loaded):
        torch.manual_seed(5)
        draws.append(vae.generate(4, y))
    assert torch.equal(*draws)


def test_a_loaded_run_has_the_pixels_classes_and_config_of_its_training(tmp_path):
    pixels = Pixels("standardized", 0.25, 0.5)
    data = dataclasses.replace(small_data(), pixels=pixels)
    run, _ = trained(tmp_path, epochs=1, data=data, pixels="standardized", likelihood="gaussian")
    assert Run(tmp_path).pixels == pixels
    assert Run(tmp_path).classes == ("a", "b", "c")
    assert Run(tmp_path).config == run.config
