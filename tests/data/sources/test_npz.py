"""npz files: the shapes and labels that are read, and which files are refused."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.files import noise

from pyrovae.data.sources import npz, read_source
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
        ([10, 9, -2], [9, 10], ("-2", "9", "10"), [2, 1, 0], [1, 2]),  # sorted as numbers, not as text
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
        ({"images": IMAGES.astype(str)}, "expected images in .* to be numbers, got type str"),
        (
            {"images": IMAGES, "test_images": IMAGES / 255},
            "expected images and test_images of one type .*float64 and uint8",
        ),
        ({"images": np.uint8(3)}, r"expected images of shape .*, got \(\)"),
        ({"images": IMAGES[0]}, r"expected images of shape .*, got \(6, 6\)"),
        ({"images": noise(4, 5, 6, 6)}, r"got \(4, 5, 6, 6\)"),
        ({"images": noise(4, 3, 6, 3)}, r"whose channels may be 3 in front or 3 behind"),
        ({"images": noise(1, 4, 3, 6, 6)}, r"got \(1, 4, 3, 6, 6\)"),
        ({"images": IMAGES[:0]}, r"got \(0, 6, 6\)"),
        ({"images": noise(4, 0, 6)}, r"got \(4, 0, 6\)"),
        ({"images": IMAGES, "test_images": noise(4, 7, 6)}, "expected .*test_images .*, got"),
        ({"images": IMAGES, "test_images": noise(4, 6, 6, 3)}, "expected .*test_images .*, got"),
        ({"images": IMAGES, "labels": [1, 2, 3]}, r"expected 4 integers or words .*, got shape \(3,\)"),
        ({"images": IMAGES, "labels": np.ones((4, 2), dtype=int)}, "expected one label of each image, or one-hot rows"),
        ({"images": IMAGES, "labels": [1.0, 2.5, 3.0, 4.0]}, "expected integers, NaN or words .*, got fractions"),
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
            "expected integers or words .*, got .*object",
        ),
    ],
)
def test_arrays_of_wrong_names_types_or_shapes_are_refused(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_source(save_npz(tmp_path / "a.npz", **arrays))


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
        write_cut_off,
    ],
    ids=["missing", "empty", "text", "folder", "cut"],
)
def test_a_file_that_is_not_npz_is_refused(damage, tmp_path):
    path = tmp_path / "a.npz"
    damage(path)
    with pytest.raises(InputError, match=rf"expected an npz or npy file at {path}, got: \S"):
        read_source(f"npz:{path}")


def pack_zeros(path, gigabytes, name="images"):
    """Write a file of a thousandth of this size, whose array of zeros unpacks to it; nothing is ever in memory."""
    n = int(gigabytes * 1e9) // 784
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, 28, 28)}
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with packed, packed.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(n // 1000):
            file.write(bytes(784_000))
        file.write(bytes(784 * (n % 1000)))


def test_what_a_small_file_unpacks_to_is_said_before(tmp_path, little_memory, monkeypatch):
    pack_zeros(tmp_path / "zeros.npz", 0.06)
    little_memory(10_000_000)
    monkeypatch.setattr(npz._Array, "read", lambda array: pytest.fail("it was unpacked"))
    said = r"zeros.npz has 0.[01] MB that unpack to 0.1 GB; what does not fit in memory"
    with pytest.warns(UserWarning, match=said), pytest.raises(pytest.fail.Exception):
        npz.read_npz(tmp_path / "zeros.npz")


def test_what_a_tiny_file_unpacks_to_is_said_even_if_it_fits(tmp_path, monkeypatch):
    pack_zeros(tmp_path / "zeros.npz", 0.02)
    monkeypatch.setattr(npz, "MUCH", 10**7)
    monkeypatch.setattr(npz.shutil, "disk_usage", lambda folder: SimpleNamespace(free=0))  # it needs no disk
    with pytest.warns(UserWarning, match=r"zeros.npz has 0.0 MB that unpack to 0.0 GB"):
        npz.read_npz(tmp_path / "zeros.npz")


def test_a_small_file_that_unpacks_to_more_than_there_is_room_for_is_refused_before(
    tmp_path, little_memory, monkeypatch
):
    pack_zeros(tmp_path / "zeros.npz", 0.06)
    little_memory(10_000_000)
    monkeypatch.setattr(npz.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**7))
    monkeypatch.setattr(npz._Array, "read", lambda array: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match=r"where 0.0 GB are free, in .*zeros.npz, got 0.[01] MB that unpack to 0.1 GB"):
        npz.read_npz(tmp_path / "zeros.npz")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [([7, -1, 9, -1], ("7", "9")), ([7.0, np.nan, 9.0, np.nan], ("7", "9")), (["a", "", "b", ""], ("a", "b"))],
)
def test_labels_that_are_not_known_are_no_class_and_a_warning_counts_them(labels, classes, tmp_path):
    with pytest.warns(UserWarning, match="2 of 4 images in .* have no label"):
        raw = read_source(save_npz(tmp_path / "a.npz", images=IMAGES, labels=labels))
    assert (raw.labels.tolist(), raw.classes) == ([0, -1, 1, -1], classes)


def test_labels_too_large_to_be_sorted_are_refused_before_they_are_read(tmp_path, monkeypatch):
    np.savez(tmp_path / "words.npz", images=np.zeros((9, 8, 8), np.uint8), labels=np.full(9, "x" * 1000))
    monkeypatch.setattr(npz, "LABELS", 10_000)
    with pytest.raises(InputError, match=r"expected labels of at most 0.0 GB in .*words.npz, got 0.0 GB"):
        npz.read_npz(tmp_path / "words.npz")
