"""npz files: the shapes and labels that are read, and which files are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.files import noise

from pyrovae.data.sources import read_source
from pyrovae.errors import InputError


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("shape", "axes", "read"),
    [
        ((5, 8, 7), (0, 1, 2), (5, 1, 8, 7)),
        ((5, 8, 7, 1), (0, 3, 1, 2), (5, 1, 8, 7)),
        ((5, 8, 7, 3), (0, 3, 1, 2), (5, 3, 8, 7)),
        ((5, 1, 8, 7), (0, 1, 2, 3), (5, 1, 8, 7)),
        ((5, 3, 8, 7), (0, 1, 2, 3), (5, 3, 8, 7)),
    ],
)
def test_npz_shapes(shape, axes, read, tmp_path):
    images = noise(*shape)
    source = read_source(save_npz(tmp_path / "a.npz", images=images))
    assert np.array_equal(source.images, images.transpose(axes).reshape(read))
    assert source.images.dtype == torch.uint8
    assert source.labels is source.test_images is None


@pytest.mark.parametrize(
    ("labels", "test_labels", "classes", "counted", "test_counted"),
    [
        ([7, 3, 3], [3, 9], ("3", "7", "9"), [1, 0, 0], [0, 2]),
        (["dog", "cat", "dog"], ["ant", "cat"], ("ant", "cat", "dog"), [2, 1, 2], [0, 1]),
        ([10, 9, -1], [9, 10], ("-1", "9", "10"), [2, 1, 0], [1, 2]),  # numbers in their order, not their spelling's
    ],
)
def test_npz_labels(labels, test_labels, classes, counted, test_counted, tmp_path):
    parts = {"images": noise(3, 4, 4), "test_images": noise(2, 4, 4)}
    source = read_source(save_npz(tmp_path / "a.npz", **parts, labels=labels, test_labels=test_labels))
    assert source.classes == classes
    assert source.labels.tolist() == counted
    assert source.test_labels.tolist() == test_counted
    assert source.labels.dtype == source.test_labels.dtype == torch.int64
    assert np.array_equal(source.test_images[:, 0], parts["test_images"])


GOOD = noise(4, 6, 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GOOD}, "expected an array 'images' in .*, got pictures"),
        ({}, "expected an array 'images' in .*, got no array"),
        ({"images": GOOD.astype(np.float32)}, r"expected images of type uint8 .*, got float32"),
        ({"images": GOOD.astype(np.int64)}, "got int64"),
        ({"images": GOOD > 9}, "got bool"),
        ({"images": GOOD, "test_images": GOOD / 255}, "expected test_images of type uint8 .*, got float64"),
        ({"images": np.uint8(3)}, r"expected images of shape .*, got \(\)"),
        ({"images": GOOD[0]}, r"expected images of shape .*, got \(6, 6\)"),
        ({"images": noise(4, 2, 6, 6)}, r"got \(4, 2, 6, 6\)"),
        ({"images": noise(4, 6, 6, 4)}, r"got \(4, 6, 6, 4\)"),
        ({"images": noise(1, 4, 3, 6, 6)}, r"got \(1, 4, 3, 6, 6\)"),
        ({"images": GOOD[:0]}, r"got \(0, 6, 6\)"),
        ({"images": noise(4, 0, 6)}, r"got \(4, 0, 6\)"),
        ({"images": GOOD, "test_images": noise(4, 7, 6)}, "expected .*test_images .*, got"),
        ({"images": GOOD, "test_images": noise(4, 6, 6, 3)}, "expected .*test_images .*, got"),
        ({"images": GOOD, "labels": [1, 2, 3]}, r"expected 4 integers or words .*, got shape \(3,\)"),
        ({"images": GOOD, "labels": np.eye(4, dtype=int)}, r"got shape \(4, 4\)"),
        ({"images": GOOD, "labels": [1.0, 2.0, 3.0, 4.0]}, "of type float64"),
        ({"images": GOOD, "test_images": GOOD, "labels": [1, 2, 3, 4]}, "expected labels for images and test_images"),
        ({"images": GOOD, "test_images": GOOD, "test_labels": [1, 2, 3, 4]}, "expected labels for images and test"),
        ({"images": GOOD, "test_images": GOOD, "labels": [1] * 4, "test_labels": list("abcd")}, "expected .*labels"),
        (
            {"images": GOOD, "labels": np.array([1, "a", 2, 3], dtype=object)},
            "expected 4 integers or words .*, got .*object",
        ),
    ],
)
def test_wrong_npz_arrays_are_refused(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_source(save_npz(tmp_path / "a.npz", **arrays))


def npy(path):
    with path.open("wb") as file:
        np.save(file, GOOD)


def cut(path):
    np.savez(path, images=noise(10, 28, 28))
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    "breaks",
    [
        lambda path: None,
        lambda path: path.touch(),
        lambda path: path.write_text("text", encoding="utf-8"),
        Path.mkdir,
        npy,
        cut,
    ],
    ids=["missing", "empty", "text", "folder", "npy", "cut"],
)
def test_what_is_no_npz_file_is_refused(breaks, tmp_path):
    path = tmp_path / "a.npz"
    breaks(path)
    with pytest.raises(InputError, match=rf"expected an npz file at {path}, got: \S"):
        read_source(f"npz:{path}")
