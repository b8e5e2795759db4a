"""Folders of image files: their labels, colours and sizes, and which folders are refused."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from support.files import noise, save_image

from pyrovae.data.format import Format
from pyrovae.data.sources import read_source
from pyrovae.errors import InputError


def test_images_of_a_folder_without_sub_folders_have_no_labels(tmp_path):
    images = noise(3, 6, 9)
    for i, image in enumerate(images):
        save_image(tmp_path / f"{i}.png", image)
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


@pytest.mark.parametrize("name", ["{}.png", "{}.tiff"])
def test_grey_images_of_16_bits_are_divided_by_257(name, tmp_path):
    deep = np.array([np.linspace(0, 60_000, 64), np.linspace(65_535, 9, 64)]).reshape(2, 8, 8).astype(np.uint16)
    for i, image in enumerate(deep):
        save_image(tmp_path / name.format(i), image)
    with pytest.warns(UserWarning, match=r"2 images in .* have 16 bits: read as x / 257, rounded"):
        raw = read_source(f"folder:{tmp_path}")
    assert np.array_equal(raw.images[:, 0], np.rint(deep / 257))
    for i, image in enumerate(deep):
        save_image(tmp_path / name.format(i), image // 16)  # 12 bits: nearly black
    with pytest.raises(InputError, match=r"expected images of 16 bits in .* to reach 65,535, .*, got at most 4,095"):
        read_source(f"folder:{tmp_path}")


def test_floats_are_refused_as_their_white_is_not_known(tmp_path):
    save_image(tmp_path / "a.tiff", np.linspace(0, 60_000, 64).reshape(8, 8).astype(np.float32))
    with pytest.raises(InputError, match=r"expected an image in .*a.tiff, got: numbers of 32 bits \(mode F\)"):
        read_source(f"folder:{tmp_path}")


def test_files_that_are_left_out_are_counted_by_their_ending(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    for name in ("a.png", "b.gif", "c.jpg"):
        save_image(tmp_path / name, noise(6, 6))
    (tmp_path / "c.jpg").rename(tmp_path / "c.jfif")
    for name in ("notes.txt", "more.TXT", "photo.heic", ".hidden"):
        (tmp_path / name).write_text("not an image", encoding="utf-8")
    said = r"3 files in .* are left out: 1 .heic, 2 .txt; pip install pillow-heif reads HEIF$"
    with pytest.warns(UserWarning, match=said):
        assert len(read_source(f"folder:{tmp_path}").images) == 3


def blobs(n):
    """Make images of a bright rectangle in another place each."""
    images = np.zeros((n, 9, 9), np.uint8)
    for i, image in enumerate(images):
        image[i % 6 : i % 6 + 3, i // 6 : i // 6 + 3] = 230
    return images


@pytest.mark.parametrize(("background", "white"), [("white", 255), ("black", 0), ("#808080", 128)])
def test_transparent_pixels_are_drawn_on_the_background(background, white, tmp_path):
    for i, alpha in enumerate(blobs(12)):
        pixels = np.zeros((9, 9, 4), np.uint8)
        pixels[..., 0], pixels[..., 3] = 200, alpha
        save_image(tmp_path / "colour" / f"{i:02}.png", pixels)
        save_image(tmp_path / "grey" / f"{i:02}.png", pixels[..., [0, 3]])
    for name, colours in {"colour": [200, 0, 0], "grey": [200]}.items():
        with pytest.warns(
            UserWarning, match=rf"12 of 12 images in .* are transparent in places: drawn on {background}"
        ):
            raw = read_source(f"folder:{tmp_path / name}", format=Format(background=background))
        alpha = blobs(12)[:, None] / 255
        expected = alpha * np.array(colours)[None, :, None, None] + (1 - alpha) * white
        assert np.array_equal(raw.images, np.rint(expected))


def test_a_palette_may_have_a_transparent_colour(tmp_path):
    from PIL import Image

    for i, image in enumerate(blobs(3)):
        Image.fromarray(image).convert("P").save(tmp_path / f"{i}.png", transparency=0)
    with pytest.warns(UserWarning, match="3 of 3 images"):
        raw = read_source(f"folder:{tmp_path}")
    assert set(raw.images.unique().tolist()) == {230, 255}


def test_what_is_opaque_everywhere_is_not_said_to_be_transparent(tmp_path):
    images = noise(2, 4, 4, 4)
    images[..., 3] = 255
    for i, image in enumerate(images):
        save_image(tmp_path / f"{i}.png", image)
    assert np.array_equal(read_source(f"folder:{tmp_path}").images, images[..., :3].transpose(0, 3, 1, 2))


def test_only_a_colour_is_a_background(tmp_path):
    save_image(tmp_path / "a.png", noise(4, 4))
    with pytest.raises(InputError, match="background: expected a colour, as white, black or '#8899aa', got 'nice'"):
        read_source(f"folder:{tmp_path}", format=Format(background="nice"))


@pytest.mark.parametrize("names", [("train", "test"), ("Training", "testing", "val")])
@pytest.mark.parametrize("classes", [False, True])
def test_folders_of_sets_are_read_as_sets(names, classes, tmp_path):
    sizes = (8, 3, 2)[: len(names)]
    for name, n in zip(names, sizes):
        for i, image in enumerate(noise(n, 5, 5)):
            save_image(tmp_path / name / ("ab"[i % 2] if classes else "") / f"{i}.png", image)
    said = f"the sub-folders of .* are read as its sets: 8 images in {names[0]}, 3 images in {names[1]}"
    with pytest.warns(UserWarning, match=said):
        raw = read_source(f"folder:{tmp_path}")
    sets = [part for part in (raw.images, raw.test_images, raw.validation_images) if part is not None]
    assert tuple(map(len, sets)) == sizes
    if classes:
        assert raw.classes == ("a", "b")
        assert raw.labels.tolist() == [0] * 4 + [1] * 4
        assert raw.test_labels.tolist() == [0, 0, 1]
    else:
        assert raw.labels is raw.test_labels is None


def test_a_class_may_be_named_as_a_set_beside_others(tmp_path):
    for name in ("ant", "bee", "test"):
        save_image(tmp_path / name / "a.png", noise(5, 5))
    with pytest.warns(UserWarning, match="test in .* are read as classes, not as sets"):
        assert read_source(f"folder:{tmp_path}").classes == ("ant", "bee", "test")


def test_the_folder_of_a_lone_set_is_named(tmp_path):
    for name in ("a", "b"):
        save_image(tmp_path / "train" / name / "0.png", noise(5, 5))
    with pytest.raises(InputError, match=f"got a mixture; did you mean 'folder:{tmp_path / 'train'}'"):
        read_source(f"folder:{tmp_path}")


def test_all_broken_files_are_named_or_skipped(tmp_path):
    for i in range(10):
        save_image(tmp_path / f"{i}.png", noise(5, 5))
    for i in range(7):
        (tmp_path / f"broken{i}.png").write_bytes(b"no image")
    said = r"got 7 of 17 that cannot be read: broken0.png \(.*broken4.png \(.*, and 2 more; --on-broken skip"
    with pytest.raises(InputError, match=said):
        read_source(f"folder:{tmp_path}")
    with pytest.warns(UserWarning, match="7 of 17 files in .* cannot be read, and are left out"):
        assert len(read_source(f"folder:{tmp_path}", on_broken="skip").images) == 10


def test_labels_stay_with_their_images_where_broken_ones_are_skipped(tmp_path):
    for i, name in enumerate("aabbccab"):
        save_image(tmp_path / name / f"{i}.png", np.full((4, 4), 100 + 10 * i, np.uint8))
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="1 of 8 files"):
        raw = read_source(f"folder:{tmp_path}", on_broken="skip")
    assert [(int(image.max() - 100) // 10, int(label)) for image, label in zip(raw.images, raw.labels)] == [
        (0, 0), (6, 0), (2, 1), (3, 1), (7, 1), (4, 2), (5, 2),
    ]  # fmt: skip


def test_the_first_frame_of_a_moving_image_is_read(tmp_path):
    from PIL import Image

    frames = [Image.fromarray(image) for image in blobs(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[1].save(tmp_path / "b.gif")
    with pytest.warns(UserWarning, match="1 files in .* have several frames: the first is read"):
        raw = read_source(f"folder:{tmp_path}")
    assert np.array_equal(raw.images[:, 0], blobs(2))


def test_pictures_of_telephones_are_read_where_a_package_reads_them(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    save_image(tmp_path / "0.png", np.full((16, 16, 3), 200, dtype=np.uint8))
    heif.from_pillow(Image.fromarray(np.full((16, 16, 3), 100, dtype=np.uint8))).save(tmp_path / "1.HEIC", quality=-1)
    raw = read_source(f"folder:{tmp_path}")
    assert raw.images.shape == (2, 1, 16, 16)
    assert raw.images.amax((1, 2, 3)).tolist() == pytest.approx([200, 100], abs=2)
    (tmp_path / "2.heic").write_bytes(b"ftypheic")
    with pytest.raises(InputError, match=r"expected an image in .*2.heic"):
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
