"""Which source a name stands for, where its files are looked for, and how its images are resized."""

import numpy as np
import pytest
import torch
from support.files import write_like_mnist

from pyrovae.config.values import FILES
from pyrovae.data.sources import ENDINGS, READERS, default_data_dir, read_source
from pyrovae.errors import InputError


def test_the_data_folder_is_that_of_the_environment_or_else_a_cache(tmp_path, monkeypatch):
    write_like_mnist(tmp_path / "data" / "KMNIST")
    monkeypatch.setenv("PYROVAE_DATA", str(tmp_path / "data"))
    assert default_data_dir() == tmp_path / "data"
    assert len(read_source("kmnist").images) == 20
    monkeypatch.delenv("PYROVAE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_dir() == tmp_path / "cache" / "pyrovae"


@pytest.mark.parametrize(("name", "near"), [("mnits", "mnist"), ("fasion", "fashion"), ("folder:", "folder:PATH")])
def test_the_error_for_an_unknown_set_suggests_the_nearest_name(name, near):
    with pytest.raises(InputError, match=f"got '{name}'; did you mean '{near}'"):
        read_source(name)


def test_images_are_cropped_to_the_central_square_and_resized(tmp_path):
    images = np.zeros((2, 8, 16), dtype=np.uint8)
    images[:, :, 4:12] = 200  # the central square
    images[0, 0, 0] = 9  # cut off
    np.savez(tmp_path / "a.npz", images=images, test_images=images[:1] + 1, labels=[0, 1], test_labels=[1])
    raw = read_source(f"npz:{tmp_path / 'a.npz'}", image_size=4)
    assert raw.images.shape == (2, 1, 4, 4)
    assert raw.test_images.shape == (1, 1, 4, 4)
    assert raw.images.dtype == torch.uint8
    assert (raw.images[..., 1:3] == 200).all()
    assert raw.labels.tolist() == [0, 1]


def test_the_kinds_of_files_are_those_that_are_read():
    assert ("folder", *READERS) == FILES
    assert {*ENDINGS} == {*READERS}
