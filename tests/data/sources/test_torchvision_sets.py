"""The sets of torchvision: read whole from its files, or refused with the names of those that are missing."""

import os

import numpy as np
import pytest
import torch
import torchvision.datasets as tv
from scipy.io import savemat
from support.builders import SHARED
from support.files import bytes_of, noise, save_image, write_idx, write_like_mnist, write_pickle

from pyrovae.data.sources import DATASETS, read_source
from pyrovae.data.sources.torchvision_sets import GARMENTS
from pyrovae.errors import InputError


@pytest.mark.parametrize(
    ("name", "folder", "first_labels", "classes"),
    [("mnist", "MNIST", [5, 0, 4, 1], tuple("0123456789")), ("fashion", "FashionMNIST", [9, 0, 0, 3], GARMENTS)],
)
def test_the_real_files_are_read_whole(name, folder, first_labels, classes):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no {folder} in PYROVAE_DATA or in ../shared/data beside the checkout")
    raw = read_source(name, SHARED)
    assert raw.images.shape == (60_000, 1, 28, 28)
    assert raw.test_images.shape == (10_000, 1, 28, 28)
    assert raw.images.dtype == raw.test_images.dtype == torch.uint8
    assert raw.labels[:4].tolist() == first_labels
    assert raw.labels.dtype == torch.int64
    assert raw.classes == classes
    assert raw.test_labels.bincount().tolist() == pytest.approx([1000] * 10, abs=150)


@pytest.mark.parametrize(
    ("name", "folder", "classes"),
    [
        ("mnist", "MNIST", tuple("0123456789")),
        ("fashion", "FashionMNIST", GARMENTS),
        ("kmnist", "KMNIST", tuple(tv.KMNIST.classes)),
    ],
)
@pytest.mark.parametrize("labels", [range(10), [3, 4]])  # a file may contain only some of the classes
def test_sets_in_the_format_of_mnist_are_read_with_their_classes(name, folder, classes, labels, tmp_path):
    written = write_like_mnist(tmp_path / folder, labels)
    raw = read_source(name, tmp_path)
    assert np.array_equal(raw.images[:, 0], written["train"][0])
    assert np.array_equal(raw.test_images[:, 0], written["t10k"][0])
    assert [raw.classes[label] for label in raw.labels] == [classes[label] for label in written["train"][1]]
    assert [raw.classes[label] for label in raw.test_labels] == [classes[label] for label in written["t10k"][1]]


def test_emnist_is_read_as_its_balanced_split_upright_with_labels_from_0(tmp_path):
    written = {}
    for part, n in (("train", 94), ("test", 47)):
        written[part] = noise(n, 28, 28)
        name = f"EMNIST/raw/emnist-balanced-{part}"
        write_idx(
            tmp_path / f"{name}-images-idx3-ubyte", written[part].transpose(0, 2, 1)
        )  # EMNIST's files are transposed
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 47)
    raw = read_source("emnist", tmp_path)
    assert np.array_equal(raw.images[:, 0], written["train"])
    assert np.array_equal(raw.test_images[:, 0], written["test"])
    assert raw.labels.unique().tolist() == list(range(47))
    assert raw.classes == tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")


def test_cifar10_is_read_from_all_its_batches_in_order(tmp_path, monkeypatch):
    names = [f"kind {i}" for i in range(10)]
    written, folder = {}, tmp_path / "cifar-10-batches-py"
    for number, batch in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        written[batch] = noise(4, 3, 32, 32)
        write_pickle(folder / batch, {"data": written[batch].reshape(4, -1), "labels": [number, 1, 9, 0]})
    write_pickle(folder / "batches.meta", {"label_names": names})
    monkeypatch.setattr(tv.CIFAR10, "train_list", [[name, None] for name, _ in tv.CIFAR10.train_list])
    monkeypatch.setattr(tv.CIFAR10, "test_list", [[name, None] for name, _ in tv.CIFAR10.test_list])
    monkeypatch.setattr(tv.CIFAR10, "meta", tv.CIFAR10.meta | {"md5": None})
    raw = read_source("cifar10", tmp_path)
    assert np.array_equal(raw.images, np.concatenate(list(written.values())[:5]))
    assert np.array_equal(raw.test_images, written["test_batch"])
    assert raw.labels.tolist() == [label for number in range(5) for label in (number, 1, 9, 0)]
    assert raw.classes == tuple(names)


def test_svhn_is_read_with_label_0_for_its_label_10(tmp_path, monkeypatch):
    written = {"train": noise(12, 3, 32, 32), "test": noise(10, 3, 32, 32)}
    for part, images in written.items():
        labels = np.arange(len(images), dtype=np.uint8)[:, None] % 10
        labels[labels == 0] = 10  # SVHN's files label the digit 0 as 10
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": labels})
    unchecked = {split: [*entry[:2], None] for split, entry in tv.SVHN.split_list.items()}
    monkeypatch.setattr(tv.SVHN, "split_list", unchecked)
    raw = read_source("svhn", tmp_path)
    assert np.array_equal(raw.images, written["train"])
    assert np.array_equal(raw.test_images, written["test"])
    assert raw.labels.tolist() == [*range(10), 0, 1]
    assert raw.classes == tuple("0123456789")


def test_omniglot_is_resized_and_has_no_labels(tmp_path, monkeypatch):
    for part, n in (("images_background", 3), ("images_evaluation", 2)):
        for i in range(n):
            character = np.full((105, 105), 255 - 10 * i, dtype=np.uint8)
            save_image(tmp_path / f"omniglot-py/{part}/Alphabet/character{i:02}/{i:04}_01.png", character)
        (tmp_path / f"omniglot-py/{part}.zip").touch()
    monkeypatch.setattr(tv.Omniglot, "zips_md5", dict.fromkeys(tv.Omniglot.zips_md5))
    raw = read_source("omniglot", tmp_path)
    assert raw.images.shape == (3, 1, 28, 28)
    assert sorted(raw.images[:, 0, 14, 14].tolist()) == [0, 10, 20]  # inverted
    assert raw.test_images.shape == (2, 1, 28, 28)
    assert raw.labels is None
    assert raw.classes == ()


def test_a_set_is_read_from_a_read_only_folder(tmp_path, monkeypatch, no_network):
    written = write_like_mnist(tmp_path / "KMNIST")
    before = bytes_of(tmp_path)
    monkeypatch.setattr(
        os, "makedirs", lambda path, **_: pytest.fail(f"created {path}")
    )  # root may write to read-only folders, too
    for path in (tmp_path, *before):
        path.chmod(0o555)
    try:
        raw = read_source("kmnist", tmp_path)
    finally:
        for path in (tmp_path, *before):
            path.chmod(0o755)
    assert np.array_equal(raw.images[:, 0], written["train"][0])
    assert bytes_of(tmp_path) == before


FILES = {
    "mnist": "MNIST/raw/train-images-idx3-ubyte",
    "fashion": "FashionMNIST/raw/train-images-idx3-ubyte",
    "kmnist": "KMNIST/raw/train-images-idx3-ubyte",
    "emnist": "EMNIST/raw/emnist-balanced-train-images-idx3-ubyte",
    "cifar10": "cifar-10-batches-py/data_batch_1",
    "svhn": "train_32x32.mat",
    "omniglot": "omniglot-py/images_background.zip",
}


def test_every_set_that_is_downloaded_has_a_file_here():
    assert FILES.keys() == DATASETS.keys() - {"digits", "mnist-static", "omniglot-burda"}


@pytest.mark.parametrize("name", FILES)
def test_the_error_for_a_missing_set_names_its_files_and_how_to_supply_them(name, tmp_path, no_network):
    with pytest.raises(InputError) as caught:
        read_source(name, tmp_path)
    message = str(caught.value)
    for part in (FILES[name], str(tmp_path), "--data-dir", "PYROVAE_DATA", "no network in tests"):
        assert part in message
    assert "\n" not in message
