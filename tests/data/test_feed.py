"""Images that do not fit on the device are streamed to it batch by batch, and the training has the same numbers."""

import numpy as np
import pytest
import torch
from support.builders import small_data, small_vae, without_seconds

from pyrovae import Config, build, fit, fit_batched, load


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize(
    "settings",
    [
        {"pixels": "dynamic", "condition": "label", "validation": 10},
        {"compile": "yes"},
        {"prior": "vamp", "components": 5, "condition": "quadrant2"},
    ],
)
def test_a_training_has_the_same_numbers_whether_it_streams_images_or_not(settings, device, little_memory):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    records = []
    for limit in (10**9, 100):
        little_memory(limit)
        vae, config = small_vae(**settings, device=device)
        data = small_data(pixels=config.pixels)
        fitting = fit(vae, data, config)
        assert len(next(iter(fitting.training_step.arguments([torch.arange(3)])))) == (1 if limit == 10**9 else 2)
        records.append(without_seconds(fitting))
    assert records[0] == records[1]


def test_fit_batched_trains_run_after_run_where_images_are_streamed(little_memory):
    little_memory(100)
    fits = []
    for seed in range(4):
        vae, config = small_vae(seed=seed % 2, epochs=1)
        fits.append(fit(vae, small_data(pixels=config.pixels), config))
    with pytest.warns(UserWarning, match="batched: each run takes its own steps: the images do not fit on the device"):
        (records,) = fit_batched(fits[:2])
    assert without_seconds(records) == without_seconds([next(iter(alone)) for alone in fits[2:]])


@pytest.mark.filterwarnings("ignore:dataset. .* unpack to")
def test_unlabelled_images_are_streamed(tmp_path, little_memory):
    np.savez(tmp_path / "unlabelled.npz", images=np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8))
    little_memory(100)
    config = Config(dataset=f"npz:{tmp_path / 'unlabelled.npz'}", epochs=1, hidden=(8,), device="cpu")
    data = load(config)
    (record,) = fit(build(config, data.shape), data, config)
    assert record["test"]["loss"] > 0
