"""Folders of image files: their labels, colours and sizes, and which folders are refused."""

import numpy as np
import pytest
import torch
from support.files import noise, save_image

from pyrovae.data.sources import read_source
from pyrovae.errors import InputError


def test_images_of_a_folder_without_sub_folders_have_no_labels(tmp_path):
    images = noise(3, 6, 9)
    for i, image in enumerate(images):
        save_image(tmp_path / f"{i}.png", image)
    (tmp_path / "notes.txt").write_text("not an image", encoding="utf-8")
    raw = read_source(f"folder:{tmp_path}")
    assert np.array_equal(raw.images[:, 0], images)
    assert raw.images.dtype == torch.uint8
    assert raw.labels is None


def test_the_names_of_sub_folders_are_the_labels(tmp_path):
    for i, name in enumerate(["dog", "cat", "dog", "ant"]):
        save_image(tmp_path / name / f"{i}.PNG", np.full((5, 5), i, dtype=np.uint8))
    raw = read_source(f"folder:{tmp_path}")
    assert raw.classes == ("ant", "cat", "dog")
    pairs = [(raw.classes[label], int(image.max())) for label, image in zip(raw.labels, raw.images)]
    assert sorted(pairs) == [("ant", 3), ("cat", 1), ("dog", 0), ("dog", 2)]


def test_colour_images_keep_three_channels_and_grey_ones_get_one(tmp_path):
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
def folder_of_three_sizes(tmp_path):
    save_image(tmp_path / "a.png", noise(8, 8))
    save_image(tmp_path / "b.png", noise(8, 16))
    save_image(tmp_path / "c.png", noise(40, 20))
    return f"folder:{tmp_path}"


def test_images_of_several_sizes_need_an_image_size(folder_of_three_sizes):
    with pytest.raises(InputError, match="--image-size, got 3 sizes"):
        read_source(folder_of_three_sizes)
    assert read_source(folder_of_three_sizes, image_size=8).images.shape == (3, 1, 8, 8)


@pytest.mark.parametrize(("name", "kind"), [("a.png", np.uint16), ("a.tiff", np.uint16), ("a.tiff", np.float32)])
def test_images_of_more_than_8_bits_are_refused(name, kind, tmp_path):
    save_image(tmp_path / name, np.linspace(0, 60_000, 64).reshape(8, 8).astype(kind))  # Pillow would clip them at 255
    with pytest.raises(InputError, match=rf"expected an image .*{name}, got"):
        read_source(f"folder:{tmp_path}")


def test_a_sub_folder_may_have_the_name_of_an_image(tmp_path):
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
    ("damage", "message"),
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
def test_a_folder_without_readable_images_is_refused(damage, message, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    damage(folder)
    with pytest.raises(InputError, match=message.format(folder)):
        read_source(f"folder:{folder}")
