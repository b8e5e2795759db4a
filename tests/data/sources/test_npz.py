"""npz files: the shapes and labels that are read, and which files are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support.files import noise

from pyrovae.data import storage
from pyrovae.data.sources import npz as npz_source
from pyrovae.data.sources import read_source
from pyrovae.errors import InputError


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((5, 8, 7), (0, 1, 2), (5, 1, 8, 7)),
        ((5, 8, 7, 1), (0, 3, 1, 2), (5, 1, 8, 7)),
        ((5, 8, 7, 3), (0, 3, 1, 2), (5, 3, 8, 7)),
        ((5, 1, 8, 7), (0, 1, 2, 3), (5, 1, 8, 7)),
        ((5, 3, 8, 7), (0, 1, 2, 3), (5, 3, 8, 7)),
    ],
)
def test_images_of_each_shape_are_read_with_channels_first(shape, axes, expected, tmp_path):
    images = noise(*shape)
    raw = read_source(save_npz(tmp_path / "a.npz", images=images))
    assert np.array_equal(raw.images, images.transpose(axes).reshape(expected))
    assert raw.images.dtype == torch.uint8
    assert raw.labels is raw.test_images is None


@pytest.mark.parametrize(
    ("labels", "test_labels", "classes", "numbers", "test_numbers"),
    [
        ([7, 3, 3], [3, 9], ("3", "7", "9"), [1, 0, 0], [0, 2]),
        (["dog", "cat", "dog"], ["ant", "cat"], ("ant", "cat", "dog"), [2, 1, 2], [0, 1]),
        ([10, 9, -1], [9, 10], ("-1", "9", "10"), [2, 1, 0], [1, 2]),  # sorted as numbers, not as text
    ],
)
def test_labels_are_numbered_in_the_order_of_their_classes(
    labels, test_labels, classes, numbers, test_numbers, tmp_path
):
    images = {"images": noise(3, 4, 4), "test_images": noise(2, 4, 4)}
    raw = read_source(save_npz(tmp_path / "a.npz", **images, labels=labels, test_labels=test_labels))
    assert raw.classes == classes
    assert raw.labels.tolist() == numbers
    assert raw.test_labels.tolist() == test_numbers
    assert raw.labels.dtype == raw.test_labels.dtype == torch.int64
    assert np.array_equal(raw.test_images[:, 0], images["test_images"])


IMAGES = noise(4, 6, 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": IMAGES}, "expected an array 'images' in .*, got pictures"),
        ({}, "expected an array 'images' in .*, got no array"),
        ({"images": IMAGES.astype(np.float32)}, r"expected images of type uint8 .*, got float32"),
        ({"images": IMAGES.astype(np.int64)}, "got int64"),
        ({"images": IMAGES > 9}, "got bool"),
        ({"images": IMAGES, "test_images": IMAGES / 255}, "expected test_images of type uint8 .*, got float64"),
        ({"images": np.uint8(3)}, r"expected images of shape .*, got \(\)"),
        ({"images": IMAGES[0]}, r"expected images of shape .*, got \(6, 6\)"),
        ({"images": noise(4, 2, 6, 6)}, r"got \(4, 2, 6, 6\)"),
        ({"images": noise(4, 6, 6, 4)}, r"got \(4, 6, 6, 4\)"),
        ({"images": noise(1, 4, 3, 6, 6)}, r"got \(1, 4, 3, 6, 6\)"),
        ({"images": IMAGES[:0]}, r"got \(0, 6, 6\)"),
        ({"images": noise(4, 0, 6)}, r"got \(4, 0, 6\)"),
        ({"images": IMAGES, "test_images": noise(4, 7, 6)}, "expected .*test_images .*, got"),
        ({"images": IMAGES, "test_images": noise(4, 6, 6, 3)}, "expected .*test_images .*, got"),
        ({"images": IMAGES, "labels": [1, 2, 3]}, r"expected 4 integers or words .*, got shape \(3,\)"),
        ({"images": IMAGES, "labels": np.eye(4, dtype=int)}, r"got shape \(4, 4\)"),
        ({"images": IMAGES, "labels": [1.0, 2.0, 3.0, 4.0]}, "of type float64"),
        (
            {"images": IMAGES, "test_images": IMAGES, "labels": [1, 2, 3, 4]},
            "expected labels for images and test_images",
        ),
        ({"images": IMAGES, "test_images": IMAGES, "test_labels": [1, 2, 3, 4]}, "expected labels for images and test"),
        (
            {"images": IMAGES, "test_images": IMAGES, "labels": [1] * 4, "test_labels": list("abcd")},
            "expected .*labels",
        ),
        (
            {"images": IMAGES, "labels": np.array([1, "a", 2, 3], dtype=object)},
            "expected 4 integers or words .*, got .*object",
        ),
    ],
)
def test_arrays_of_wrong_names_types_or_shapes_are_refused(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_source(save_npz(tmp_path / "a.npz", **arrays))


@pytest.fixture
def unpacked_nothing(monkeypatch):
    """Fail if the values of an array are read."""

    def read(array):
        raise AssertionError(f"unpacked {array.entry.filename}")

    monkeypatch.setattr(npz_source._Array, "read", read)


ZEROS = np.zeros((3000, 28, 28), np.uint8)  # 2.4 MB, of which deflate makes 2.5 kB


@pytest.mark.usefixtures("unpacked_nothing")
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": ZEROS}, r"packs at most 400 times in .*a.npz, got 0.0 GB in 0.0 MB; numpy.savez"),
        ({"images": ZEROS[:1500], "test_images": ZEROS[:1500]}, "packs at most 400 times"),
        ({"images": ZEROS[:1500], "labels": np.zeros(1500, "U300")}, "packs at most 400 times"),
        ({"images": ZEROS.astype(float)}, "of type uint8 .*, got float64"),
        ({"images": ZEROS.astype(object)}, "of type uint8 .*, got object"),
    ],
)
def test_a_small_file_of_large_arrays_is_refused_before_it_is_unpacked(arrays, message, tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    monkeypatch.setattr(npz_source, "ANYWAY", 10**6)
    with pytest.raises(InputError, match=message):
        read_source(f"npz:{tmp_path / 'a.npz'}")


@pytest.mark.usefixtures("unpacked_nothing")
def test_arrays_that_fit_neither_in_memory_nor_on_disk_are_refused_before_any_is_unpacked(
    little_memory, tmp_path, monkeypatch
):
    little_memory(1000)
    free = 6 * 10**5
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": free}))
    images = noise(400, 32, 32)  # 4.1e5 bytes
    for arrays in ({"images": images}, {"images": images, "test_images": images}):  # the first are split, in a copy
        with pytest.raises(InputError, match=r"dataset: expected 0.0 GB free in .*, got 0.0 GB; TMPDIR"):
            read_source(save_npz(tmp_path / "a.npz", **arrays))
    monkeypatch.setattr(npz_source, "ANYWAY", 1000)
    with pytest.raises(InputError, match=r"dataset: expected labels that fit in memory in .*, got 0.0 GB of them"):
        read_source(save_npz(tmp_path / "a.npz", images=noise(40, 4, 4), labels=np.array(["a" * 9] * 40)))


def test_zeros_that_fit_in_memory_are_read_however_small_their_file_is(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=ZEROS)
    assert read_source(f"npz:{tmp_path / 'a.npz'}").images.shape == (3000, 1, 28, 28)


def write_npy(path):
    with path.open("wb") as file:
        np.save(file, IMAGES)


def write_cut_off(path):
    np.savez(path, images=noise(10, 28, 28))
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: None,
        lambda path: path.touch(),
        lambda path: path.write_text("text", encoding="utf-8"),
        Path.mkdir,
        write_npy,
        write_cut_off,
    ],
    ids=["missing", "empty", "text", "folder", "npy", "cut"],
)
def test_a_file_that_is_not_npz_is_refused(damage, tmp_path):
    path = tmp_path / "a.npz"
    damage(path)
    with pytest.raises(InputError, match=rf"expected an npz file at {path}, got: \S"):
        read_source(f"npz:{path}")
