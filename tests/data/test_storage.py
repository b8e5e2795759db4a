"""Images that do not fit in memory are kept in a file, with the same values."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pyrovae import Config, InputError, load
from pyrovae.data import storage
from pyrovae.data.sources import npz
from pyrovae.data.storage import allocate


def files_in_use():
    return [line for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines() if "pyrovae-" in line]


def test_images_that_do_not_fit_in_memory_are_kept_in_a_deleted_file(little_memory):
    assert not allocate((100,)).numel() > 100
    little_memory(99)
    images = allocate((10, 10))
    images.fill_(7)
    assert images.sum() == 700
    (file,) = files_in_use()
    assert file.endswith("(deleted)")
    del images
    assert not files_in_use()


def test_too_little_space_on_disk_is_an_error_of_one_line(little_memory, monkeypatch):
    little_memory(1)
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 3 * 10**8}))
    with pytest.raises(
        InputError, match=r"dataset: expected 1.0 GB free in .*, got 0.3 GB; TMPDIR names another folder"
    ):
        allocate((10**9,))


@pytest.fixture
def folder_of_sources(tmp_path):
    """Write the same random images as arrays, compressed or not, by rows or by columns, and as image files."""
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


@pytest.mark.filterwarnings("ignore:dataset. .* unpack to")
@pytest.mark.parametrize("size", [None, 4])
@pytest.mark.parametrize("pixels", ["dynamic", "threshold", "standardized"])
@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_same_images_in_a_file_as_in_memory(
    folder_of_sources, name, pixels, size, little_memory, monkeypatch
):
    kind, _, path = name.partition(":")
    config = Config(dataset=f"{kind}:{folder_of_sources / path}", pixels=pixels, validation=10, image_size=size)
    whole = load(config)
    little_memory(100)
    monkeypatch.setattr(storage, "PART", 7)
    monkeypatch.setattr(npz, "CHUNK", 100)
    mapped = load(config)
    assert files_in_use()
    assert mapped.pixels == whole.pixels
    for name in ("train", "validation", "test"):
        one, other = getattr(whole, name), getattr(mapped, name)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
