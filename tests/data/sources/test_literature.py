"""The files of authors: binarised MNIST as texts, and Omniglot as columns of a mat file."""

import numpy as np
import pytest
import scipy.io
import torch

from pyrovae import Config, InputError, load
from pyrovae.data.sources import read_source

RANDOM = np.random.default_rng(0)
SIZES = {"train": 12, "valid": 5, "test": 4}


@pytest.fixture
def binarised(tmp_path):
    """Write the three texts; return their images, (n, 28, 28) of 0 and 1."""
    images = {name: RANDOM.integers(0, 2, (n, 28, 28)) for name, n in SIZES.items()}
    for name, array in images.items():
        np.savetxt(tmp_path / f"binarized_mnist_{name}.amat", array.reshape(-1, 784), fmt="%d")
    return images


def test_binarised_mnist_has_its_three_sets(binarised, tmp_path):
    data = load(Config(dataset="mnist-static", data_dir=tmp_path, pixels="static"))
    for part, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        images = getattr(data, part)
        assert np.array_equal(images.images[:, 0], 255 * binarised[name])
        assert images.labels is None
        assert np.array_equal(data.batch(images, slice(None)).x[:, 0], binarised[name])  # no pixel is drawn again


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no text of 784 times 0 or 1"),
        (b"0 1 " * 100, "no text of 784 times 0 or 1"),
        (b"0 2 " * 392, "no text of 784 times 0 or 1"),
        (b"\x80" * 784, "no text of 784 times 0 or 1"),
        (None, "nothing"),
    ],
)
def test_other_texts_are_refused(content, message, binarised, tmp_path):
    path = tmp_path / "binarized_mnist_valid.amat"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=f"file binarized_mnist_valid.amat in .*, got: {message}.*; put it there"):
        read_source("mnist-static", tmp_path)


def test_omniglot_of_burda_is_upright_and_split_as_there(tmp_path):
    train, test = (RANDOM.random((n, 28, 28)) for n in (7, 3))
    columns = {name: each.swapaxes(1, 2).reshape(-1, 784).T for name, each in {"data": train, "testdata": test}.items()}
    scipy.io.savemat(tmp_path / "chardata.mat", columns | {"target": np.zeros((50, 7))})
    raw = read_source("omniglot-burda", tmp_path)
    assert torch.equal(raw.images[:, 0], torch.from_numpy(np.rint(train * 255).astype(np.uint8)))
    assert np.array_equal(raw.test_images[:, 0], np.rint(test * 255))
    scipy.io.savemat(tmp_path / "chardata.mat", {"data": columns["data"] * 2, "testdata": columns["testdata"]})
    with pytest.raises(InputError, match=r"got: no arrays \(784, N\) from 0 to 1"):
        read_source("omniglot-burda", tmp_path)


def test_a_file_that_is_no_mat_file_is_refused(tmp_path):
    (tmp_path / "chardata.mat").write_bytes(b"no mat file")
    with pytest.raises(InputError, match=r"expected the authors' file chardata.mat in"):
        read_source("omniglot-burda", tmp_path)
