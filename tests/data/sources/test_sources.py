"""Where images come from: each source gives uint8 images with channels, and says in one line what is wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.datasets as tv
from scipy.io import savemat
from support.builders import SHARED
from support.files import bytes_of, noise, save_image, write_idx, write_like_mnist, write_pickle

from pyrovae.data.sources import DATASETS, default_data_dir, read_source
from pyrovae.data.sources.torchvision_sets import GARMENTS
from pyrovae.errors import InputError


def save_npz(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


# --- scikit-learn and torchvision ---


def test_digits():
    source = read_source("digits")
    assert source.images.shape == (1797, 1, 8, 8)
    assert source.images.dtype == torch.uint8
    levels = source.images.unique().tolist()
    assert len(levels) == 17  # grey levels of scikit-learn's file, over the whole range
    assert (levels[0], levels[-1]) == (0, 255)
    assert source.labels[:10].tolist() == list(range(10))
    assert source.classes == tuple("0123456789")
    assert source.test_images is None


@pytest.mark.parametrize(
    ("name", "folder", "first_labels", "classes"),
    [("mnist", "MNIST", [5, 0, 4, 1], tuple("0123456789")), ("fashion", "FashionMNIST", [9, 0, 0, 3], GARMENTS)],
)
def test_real_data(name, folder, first_labels, classes):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no {folder} in PYROVAE_DATA or in ../shared/data beside the checkout")
    source = read_source(name, SHARED)
    assert source.images.shape == (60_000, 1, 28, 28)
    assert source.test_images.shape == (10_000, 1, 28, 28)
    assert source.images.dtype == source.test_images.dtype == torch.uint8
    assert source.labels[:4].tolist() == first_labels
    assert source.labels.dtype == torch.int64
    assert source.classes == classes
    assert source.test_labels.bincount().tolist() == pytest.approx([1000] * 10, abs=150)


@pytest.mark.parametrize(
    ("name", "folder", "classes"),
    [
        ("mnist", "MNIST", tuple("0123456789")),
        ("fashion", "FashionMNIST", GARMENTS),
        ("kmnist", "KMNIST", tuple(tv.KMNIST.classes)),
    ],
)
@pytest.mark.parametrize("labels", [range(10), [3, 4]])  # some files hold a part of the classes
def test_sets_like_mnist(name, folder, classes, labels, tmp_path):
    made = write_like_mnist(tmp_path / folder, labels)
    source = read_source(name, tmp_path)
    assert np.array_equal(source.images[:, 0], made["train"][0])
    assert np.array_equal(source.test_images[:, 0], made["t10k"][0])
    assert [source.classes[label] for label in source.labels] == [classes[label] for label in made["train"][1]]
    assert [source.classes[label] for label in source.test_labels] == [classes[label] for label in made["t10k"][1]]


def test_emnist_is_balanced_upright_and_counted_from_0(tmp_path):
    made = {}
    for part, n in (("train", 94), ("test", 47)):
        made[part] = noise(n, 28, 28)
        name = f"EMNIST/raw/emnist-balanced-{part}"
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", made[part].transpose(0, 2, 1))  # as NIST's file has them
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", np.arange(n, dtype=np.uint8) % 47)
    source = read_source("emnist", tmp_path)
    assert np.array_equal(source.images[:, 0], made["train"])
    assert np.array_equal(source.test_images[:, 0], made["test"])
    assert source.labels.unique().tolist() == list(range(47))
    assert source.classes == tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")


def test_cifar10(tmp_path, monkeypatch):
    names = [f"kind {i}" for i in range(10)]
    made, folder = {}, tmp_path / "cifar-10-batches-py"
    for number, batch in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        made[batch] = noise(4, 3, 32, 32)
        write_pickle(folder / batch, {"data": made[batch].reshape(4, -1), "labels": [number, 1, 9, 0]})
    write_pickle(folder / "batches.meta", {"label_names": names})
    monkeypatch.setattr(tv.CIFAR10, "train_list", [[name, None] for name, _ in tv.CIFAR10.train_list])
    monkeypatch.setattr(tv.CIFAR10, "test_list", [[name, None] for name, _ in tv.CIFAR10.test_list])
    monkeypatch.setattr(tv.CIFAR10, "meta", tv.CIFAR10.meta | {"md5": None})
    source = read_source("cifar10", tmp_path)
    assert np.array_equal(source.images, np.concatenate(list(made.values())[:5]))
    assert np.array_equal(source.test_images, made["test_batch"])
    assert source.labels.tolist() == [label for number in range(5) for label in (number, 1, 9, 0)]
    assert source.classes == tuple(names)


def test_svhn(tmp_path, monkeypatch):
    made = {"train": noise(12, 3, 32, 32), "test": noise(10, 3, 32, 32)}
    for part, images in made.items():
        labels = np.arange(len(images), dtype=np.uint8)[:, None] % 10
        labels[labels == 0] = 10  # SVHN's file writes the digit 0 so
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images.transpose(2, 3, 1, 0), "y": labels})
    unchecked = {split: [*entry[:2], None] for split, entry in tv.SVHN.split_list.items()}
    monkeypatch.setattr(tv.SVHN, "split_list", unchecked)
    source = read_source("svhn", tmp_path)
    assert np.array_equal(source.images, made["train"])
    assert np.array_equal(source.test_images, made["test"])
    assert source.labels.tolist() == [*range(10), 0, 1]
    assert source.classes == tuple("0123456789")


def test_omniglot_is_shrunk_and_has_no_labels(tmp_path, monkeypatch):
    for part, n in (("images_background", 3), ("images_evaluation", 2)):
        for i in range(n):
            character = np.full((105, 105), 255 - 10 * i, dtype=np.uint8)
            save_image(tmp_path / f"omniglot-py/{part}/Alphabet/character{i:02}/{i:04}_01.png", character)
        (tmp_path / f"omniglot-py/{part}.zip").touch()
    monkeypatch.setattr(tv.Omniglot, "zips_md5", dict.fromkeys(tv.Omniglot.zips_md5))
    source = read_source("omniglot", tmp_path)
    assert source.images.shape == (3, 1, 28, 28)
    assert sorted(source.images[:, 0, 14, 14].tolist()) == [235, 245, 255]
    assert source.test_images.shape == (2, 1, 28, 28)
    assert source.labels is None
    assert source.classes == ()


def test_a_read_only_data_folder_is_enough(tmp_path, monkeypatch, no_network):
    made = write_like_mnist(tmp_path / "KMNIST")
    before = bytes_of(tmp_path)
    monkeypatch.setattr(os, "makedirs", lambda path, **_: pytest.fail(f"made {path}"))  # root may write anywhere
    for path in (tmp_path, *before):
        path.chmod(0o555)
    try:
        source = read_source("kmnist", tmp_path)
    finally:
        for path in (tmp_path, *before):
            path.chmod(0o755)
    assert np.array_equal(source.images[:, 0], made["train"][0])
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


def test_each_set_that_is_downloaded_is_tested_below():
    assert FILES.keys() == DATASETS.keys() - {"digits"}


@pytest.mark.parametrize("name", FILES)
def test_a_missing_set_says_which_files_are_wanted_and_how_to_supply_them(name, tmp_path, no_network):
    with pytest.raises(InputError) as caught:
        read_source(name, tmp_path)
    message = str(caught.value)
    for part in (FILES[name], str(tmp_path), "--data-dir", "PYROVAE_DATA", "no network in tests"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("name", FILES)
def test_a_failed_download_leaves_nothing_behind(name, tmp_path, no_network):
    with pytest.raises(InputError):
        read_source(name, tmp_path / "data")
    assert bytes_of(tmp_path) == {}


@pytest.mark.parametrize("size", [0, 10, 3000])
def test_a_broken_idx_file_is_not_called_missing(size, tmp_path, no_network):
    write_like_mnist(tmp_path / "KMNIST")
    path = tmp_path / "KMNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"expected .*KMNIST/raw/train-images-idx3-ubyte.*, got"):
        read_source("kmnist", tmp_path)


def test_the_data_folder_is_the_given_one_then_the_environment_then_a_cache(tmp_path, monkeypatch):
    write_like_mnist(tmp_path / "given" / "KMNIST")
    monkeypatch.setenv("PYROVAE_DATA", str(tmp_path / "given"))
    assert default_data_dir() == tmp_path / "given"
    assert len(read_source("kmnist").images) == 20
    monkeypatch.delenv("PYROVAE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_dir() == tmp_path / "cache" / "pyrovae"


@pytest.mark.parametrize(("name", "near"), [("mnits", "mnist"), ("fasion", "fashion"), ("folder:", "folder:PATH")])
def test_an_unknown_set_names_the_nearest(name, near):
    with pytest.raises(InputError, match=f"got '{name}'; did you mean '{near}'"):
        read_source(name)


# --- folder:PATH ---


def test_a_flat_folder_has_no_labels(tmp_path):
    made = noise(3, 6, 9)
    for i, image in enumerate(made):
        save_image(tmp_path / f"{i}.png", image)
    (tmp_path / "notes.txt").write_text("not an image")
    source = read_source(f"folder:{tmp_path}")
    assert np.array_equal(source.images[:, 0], made)
    assert source.images.dtype == torch.uint8
    assert source.labels is None


def test_one_sub_folder_per_label(tmp_path):
    for i, name in enumerate(["dog", "cat", "dog", "ant"]):
        save_image(tmp_path / name / f"{i}.PNG", np.full((5, 5), i, dtype=np.uint8))
    source = read_source(f"folder:{tmp_path}")
    assert source.classes == ("ant", "cat", "dog")
    found = [(source.classes[label], int(image.max())) for label, image in zip(source.labels, source.images)]
    assert sorted(found) == [("ant", 3), ("cat", 1), ("dog", 0), ("dog", 2)]


def test_colour_is_kept_and_grey_detected(tmp_path):
    colour = noise(2, 4, 4, 3)
    for i, image in enumerate(colour):
        save_image(tmp_path / "colour" / f"{i}.png", image)
        save_image(tmp_path / "grey" / f"{i}.png", image[..., :1].repeat(3, -1))  # RGB files whose channels agree
    save_image(tmp_path / "mixed" / "0.png", colour[0])
    save_image(tmp_path / "mixed" / "1.png", colour[1, ..., 0])
    assert np.array_equal(read_source(f"folder:{tmp_path / 'colour'}").images, colour.transpose(0, 3, 1, 2))
    assert np.array_equal(read_source(f"folder:{tmp_path / 'grey'}").images[:, 0], colour[..., 0])
    assert read_source(f"folder:{tmp_path / 'mixed'}").images.shape == (2, 3, 4, 4)


@pytest.fixture
def mixed_sizes(tmp_path):
    save_image(tmp_path / "a.png", noise(8, 8))
    save_image(tmp_path / "b.png", noise(8, 16))
    save_image(tmp_path / "c.png", noise(40, 20))
    return f"folder:{tmp_path}"


def test_images_of_several_sizes_need_an_image_size(mixed_sizes):
    with pytest.raises(InputError, match="--image-size, got 3 sizes"):
        read_source(mixed_sizes)
    assert read_source(mixed_sizes, image_size=8).images.shape == (3, 1, 8, 8)


@pytest.mark.parametrize(("name", "kind"), [("a.png", np.uint16), ("a.tiff", np.uint16), ("a.tiff", np.float32)])
def test_images_of_more_than_8_bits_are_refused(name, kind, tmp_path):
    save_image(tmp_path / name, np.linspace(0, 60_000, 64).reshape(8, 8).astype(kind))  # Pillow would clip them at 255
    with pytest.raises(InputError, match=rf"expected an image .*{name}, got"):
        read_source(f"folder:{tmp_path}")


def test_a_folder_may_be_called_like_an_image(tmp_path):
    save_image(tmp_path / "set.png" / "0.png", noise(4, 4))
    save_image(tmp_path / "other" / "1.png", noise(4, 4))
    assert read_source(f"folder:{tmp_path}").classes == ("other", "set.png")


def remove(folder):
    folder.rmdir()


def put_a_file_there(folder):
    folder.rmdir()
    folder.touch()


def mix_depths(folder):
    save_image(folder / "a.png", noise(4, 4))
    save_image(folder / "cats" / "b.png", noise(4, 4))


def nest_deeper(folder):
    save_image(folder / "deep" / "cats" / "b.png", noise(4, 4))


def break_an_image(folder):
    save_image(folder / "a.png", noise(4, 4))
    (folder / "b.png").write_bytes(b"no image")


def cut_an_image(folder):
    save_image(folder / "b.png", noise(64, 64))
    (folder / "b.png").write_bytes((folder / "b.png").read_bytes()[:1000])


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        (remove, "expected a folder of images at {}, got nothing"),
        (put_a_file_there, "expected a folder of images at {}, got a file"),
        (lambda folder: None, r"expected images \(.png.*\) in {}, got none"),
        (mix_depths, "all in one sub-folder per label, got a mixture"),
        (nest_deeper, "all in one sub-folder per label, got"),
        (break_an_image, "expected an image in {}/b.png, got"),
        (cut_an_image, "expected an image in {}/b.png, got"),
    ],
)
def test_a_wrong_folder_is_refused(breaks, message, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    breaks(folder)
    with pytest.raises(InputError, match=message.format(folder)):
        read_source(f"folder:{folder}")


# --- npz:PATH ---


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
    [lambda path: None, lambda path: path.touch(), lambda path: path.write_text("text"), Path.mkdir, npy, cut],
    ids=["missing", "empty", "text", "folder", "npy", "cut"],
)
def test_what_is_no_npz_file_is_refused(breaks, tmp_path):
    path = tmp_path / "a.npz"
    breaks(path)
    with pytest.raises(InputError, match=rf"expected an npz file at {path}, got: \S"):
        read_source(f"npz:{path}")


# --- sizes ---


def test_the_shorter_side_is_resized_and_the_centre_cropped(tmp_path):
    images = np.zeros((2, 8, 16), dtype=np.uint8)
    images[:, :, 4:12] = 200  # the centre
    dataset = save_npz(tmp_path / "a.npz", images=images, test_images=images[:1], labels=[0, 1], test_labels=[1])
    source = read_source(dataset, image_size=4)
    assert source.images.shape == (2, 1, 4, 4)
    assert source.test_images.shape == (1, 1, 4, 4)
    assert source.images.dtype == torch.uint8
    assert (source.images[..., 1:3] == 200).all()
    assert source.labels.tolist() == [0, 1]


@pytest.mark.parametrize("size", [8, 5, 16])
def test_digits_in_another_size(size):
    images = read_source("digits", image_size=size).images
    assert images.shape == (1797, 1, size, size)
    assert images.float().mean().item() == pytest.approx(77.9, rel=0.1)  # as bright as in their own size
