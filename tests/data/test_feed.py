"""Images that do not fit in memory lie in a file, and are trained on batch by batch: with the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.builders import small_data, small_vae, without_seconds

from pyrovae import Config, InputError, build, fit, fit_batched, load
from pyrovae.data import storage
from pyrovae.data.storage import allocate


@pytest.fixture
def little_memory(monkeypatch):
    """As much as four times this many bytes."""

    def limit(nbytes):
        monkeypatch.setattr(storage, "memory", lambda device: 4 * nbytes)

    return limit


def files_in_use():
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if "pyrovae-" in line]


def test_what_does_not_fit_lies_in_a_file_without_a_name(little_memory):
    assert not allocate((100,)).numel() > 100
    little_memory(99)
    held = allocate((10, 10))
    held.fill_(7)
    assert held.sum() == 700
    (file,) = files_in_use()
    assert file.endswith("(deleted)")
    del held
    assert not files_in_use()


def test_too_little_disk_is_one_line(little_memory, monkeypatch):
    little_memory(1)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 3 * 10**8}))
    with pytest.raises(
        InputError, match=r"dataset: expected 1.0 GB free in .*, got 0.3 GB; TMPDIR names another folder"
    ):
        allocate((10**9,))


@pytest.fixture
def sources(tmp_path):
    """The same random images as arrays, compressed or not, by rows or by columns, and as files."""
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(50) % 3
    np.savez(tmp_path / "plain.npz", images=images, labels=labels)
    np.savez_compressed(tmp_path / "compressed.npz", images=images, labels=labels)
    np.savez(tmp_path / "columns.npz", images=np.asfortranarray(images), labels=labels)
    np.savez(tmp_path / "channels.npz", images=images.transpose(0, 3, 1, 2).copy(), labels=labels)
    for folder in ("colour", "grey"):
        for i, image in enumerate(images if folder == "colour" else images[..., 0]):
            (tmp_path / folder / str(labels[i])).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / str(labels[i]) / f"{i}.png")
    return tmp_path


SOURCES = ["npz:plain.npz", "npz:compressed.npz", "npz:columns.npz", "npz:channels.npz", "folder:colour", "folder:grey"]


@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("pixels", ["dynamic", "threshold", "standardized"])
@pytest.mark.parametrize(
    "name",
    ["npz:plain.npz", "npz:compressed.npz", "npz:columns.npz", "npz:channels.npz", "folder:colour", "folder:grey"],
)
def test_any_source_is_the_same_from_a_file(sources, name, pixels, size, little_memory, monkeypatch):
    kind, _, path = name.partition(":")
    config = Config(dataset=f"{kind}:{sources / path}", pixels=pixels, validation=10, image_size=size)
    whole = load(config)
    little_memory(100)
    monkeypatch.setattr("pyrovae.data.storage.PART", 7)
    monkeypatch.setattr("pyrovae.data.sources.npz.CHUNK", 100)
    mapped = load(config)
    assert files_in_use()
    assert mapped.pixels == whole.pixels
    for name in ("train", "validation", "test"):
        one, other = getattr(whole, name), getattr(mapped, name)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize(
    "settings",
    [
        {"pixels": "dynamic", "condition": "label", "validation": 10},
        {"compile": "yes"},
        {"prior": "vamp", "components": 5, "condition": "quadrant2"},
    ],
)
def test_a_training_that_streams_has_the_numbers_of_one_that_does_not(settings, device, little_memory):
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


def test_images_that_stream_are_trained_on_by_one_run_after_another(little_memory):
    little_memory(100)
    made = []
    for seed in range(4):
        vae, config = small_vae(seed=seed % 2, epochs=1)
        made.append(fit(vae, small_data(pixels=config.pixels), config))
    with pytest.warns(UserWarning, match="batched: each run takes its own steps: the images do not fit on the device"):
        (records,) = fit_batched(made[:2])
    assert without_seconds(records) == without_seconds([next(iter(alone)) for alone in made[2:]])


def test_unlabelled_images_stream_too(sources, little_memory):
    np.savez(sources / "unlabelled.npz", images=np.random.default_rng(0).integers(0, 256, (50, 8, 8), dtype=np.uint8))
    little_memory(100)
    config = Config(dataset=f"npz:{sources / 'unlabelled.npz'}", epochs=1, hidden=(8,), device="cpu")
    data = load(config)
    (record,) = fit(build(config, data.shape), data, config)
    assert record["test"]["loss"] > 0
