"""Reads false and harmful files: each is refused in one line, without much memory or time, and without running code."""

import bz2
import gzip
import hashlib
import io
import os
import pickle
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets as tv
from PIL import EpsImagePlugin, Image
from support.files import bytes_of, noise, save_image, write_idx, write_like_mnist, write_pickle
from support.limits import fail_after, peak_memory

from pyrovae.data.sources import read_source
from pyrovae.errors import InputError

SECONDS, MEGABYTES = 30, 400


@pytest.fixture(autouse=True)
def _bounded():
    """Fail a test that takes long or needs much memory."""
    before = peak_memory()
    fail_after(SECONDS)
    yield
    fail_after(0)
    assert peak_memory() - before < MEGABYTES


class Harm:
    """Creates a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def refusal(dataset, data_dir=None, **settings):
    """Return the line that refuses a dataset; check that the filters of warnings are as before."""
    filters = list(warnings.filters)
    with pytest.raises(InputError) as caught:
        read_source(dataset, data_dir, **settings)
    assert warnings.filters == filters
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith("dataset: expected ")
    assert len(message) < 2000
    return message


# --- images ---


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, *more):
    """Make a PNG file of a few bytes whose header claims this size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def real_bomb(side):
    """Make a PNG file of a few kilobytes that really has all these pixels."""
    file = io.BytesIO()
    Image.new("1", (side, side)).save(file, "PNG", optimize=True)
    return file.getvalue()


def jpeg(width, height):
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "JPEG")
    content = file.getvalue()
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def bmp(width, height):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info + bytes(100)


def gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b",\0\0\0\0\x08\0\x08\0\0\x02\x02\x4c\x01\0;"


def tiff(width, height):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 200), (278, 4, height)]
    entries = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in [*tags, (279, 4, 100)]]
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries)).ljust(300, b"\0")


TEXT_BOMB = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8)))
BOMBS = {
    "png error": png(30_000, 30_000),
    "png warning": png(10_000, 10_000),
    "png below Pillow's limit": png(9000, 9000),
    "png 2**31": png(2**31 - 1, 2**31 - 1),
    "png thin": png(2**31 - 1, 1),
    "png real": real_bomb(12_000),
    "png text": png(8, 8, TEXT_BOMB),
    "jpeg": jpeg(60_000, 60_000),
    "jpeg warning": jpeg(10_000, 10_000),
    "bmp": bmp(100_000, 100_000),
    "bmp upside down": bmp(100_000, -100_000),
    "gif": gif(60_000, 60_000),
    "tiff": tiff(10**6, 10**6),
    "tiff warning": tiff(10_000, 10_000),
    "ppm": b"P6 1000000 1000000 255\n" + bytes(100),
    "ppm endless": b"P6 " + b"9" * 5000 + b" 1 255\n",
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("image_size", [None, 16])
def test_an_image_bomb_is_refused(name, image_size, tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    save_image(tmp_path / "a.png", noise(16, 16))
    (tmp_path / "b.png").write_bytes(BOMBS[name])
    assert f"expected an image in {tmp_path / 'b.png'}, got: " in refusal(f"folder:{tmp_path}", image_size=image_size)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_bomb_is_refused_even_if_warnings_are_not_errors(tmp_path):
    (tmp_path / "b.png").write_bytes(BOMBS["png real"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "expected an image in" in refusal(f"folder:{tmp_path}")


def test_a_thin_image_does_not_become_a_huge_one(tmp_path):
    save_image(tmp_path / "a.png", noise(2, 100_000))
    assert read_source(f"folder:{tmp_path}", image_size=512).images.shape == (1, 1, 512, 512)


def test_no_image_starts_a_program(tmp_path, monkeypatch):
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_args, **_kwargs: pytest.fail("Ghostscript called"))
    box = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(box)
    assert "expected an image in" in refusal(f"folder:{tmp_path}")


def test_images_of_all_supported_endings_are_read(tmp_path):
    for ending in (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"):
        save_image(tmp_path / f"a{ending}", noise(8, 8))
    images = read_source(f"folder:{tmp_path}").images  # some formats turn grey pixels into slightly coloured ones
    assert (len(images), images.shape[2:]) == (9, (8, 8))


@pytest.mark.parametrize("name", ["a\nb.png", "a\x1b[31mb.png", os.fsdecode(b"\xff.png")], ids=ascii)
def test_the_name_of_a_file_does_not_break_the_line(name, tmp_path):
    (tmp_path / name).write_bytes(b"no image")
    assert ascii(name)[1:-1] in refusal(f"folder:{tmp_path}")


def test_pipes_devices_and_circular_links_in_a_folder_are_skipped(tmp_path):
    images = tmp_path / "images"
    for label in ("ant", "bee"):
        save_image(images / label / "0.png", noise(6, 6))
    os.mkfifo(images / "ant" / "pipe.png")
    (images / "ant" / "zero.png").symlink_to("/dev/zero")
    (images / "ant" / "self.png").symlink_to(images / "ant" / "self.png")
    (images / "ant" / "up").symlink_to(images)
    (images / "self").symlink_to(images)
    (images / "up").symlink_to(tmp_path)
    source = read_source(f"folder:{images}")
    assert source.classes == ("ant", "bee")
    assert len(source.images) == 2


def test_a_label_may_be_a_link_to_a_folder(tmp_path):
    for label in ("ant", "bee"):
        save_image(tmp_path / label / "0.png", noise(6, 6))
    save_image(tmp_path / "images" / "cow" / "0.png", noise(6, 6))
    for label in ("ant", "bee"):
        (tmp_path / "images" / label).symlink_to(tmp_path / label)
    assert read_source(f"folder:{tmp_path / 'images'}").classes == ("ant", "bee", "cow")


# --- paths ---


def no_path(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    return {
        "a pipe": tmp_path / "pipe",
        "a device": "/dev/zero",
        "a link to a device": tmp_path / "zero",
        "a folder": tmp_path,
        "a circle": tmp_path / "loop",
        "nothing": tmp_path / "nothing",
        "too long": "a" * 300,
        "a null byte": "a\0b",
        "nobody's": "~nobody-of-this-name/a",
        "below a file": f"{__file__}/a",
    }


PATHS = ("a pipe", "a device", "a link to a device", "a circle", "nothing", "too long", "a null byte", "nobody's")


@pytest.mark.parametrize("name", [*PATHS, "a folder", "below a file"])
def test_an_npz_path_that_is_no_file_is_refused(name, tmp_path):
    refusal(f"npz:{no_path(tmp_path)[name]}")


@pytest.mark.parametrize("name", [*PATHS, "below a file"])
def test_a_folder_path_that_is_no_folder_is_refused(name, tmp_path):
    refusal(f"folder:{no_path(tmp_path)[name]}")


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a\nb"], ids=["too long", "null byte", "line break"])
def test_a_name_that_is_no_path_is_refused(name):
    refusal(name)


# --- npz ---


def npy(shape, data=b"", descr="|u1", version=1, header=None, length=None):
    """Make an npy file with this header and these bytes, which may contradict each other."""
    text = header or f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}}}\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + data


def archive(compression=zipfile.ZIP_DEFLATED, directory=None, **members):
    """Make a zip archive of these members; `directory` is a false size of each for the archive's directory."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
        for entry in made.infolist() if directory else ():
            entry.file_size = directory
    return file.getvalue()


def encrypted(content):
    place = content.index(b"PK\x01\x02") + 8
    return content[:6] + b"\x01" + content[7:place] + b"\x01" + content[place + 1 :]


PIXELS = bytes(range(100, 244))
GOOD = npy((4, 6, 6), PIXELS)
GIGA = npy((10**6, 100, 100), bytes(1000))
HEADERS = {
    "10**12 images": npy((10**12, 28, 28), bytes(100)),
    "a large image": npy((1, 10**5, 10**5), bytes(100)),
    "a large and honest image": npy((1, 10_000, 10_000), bytes(10**8)),
    "negative": npy((-4, -6, 6), bytes(144)),
    "more than 64 bits": npy((2**70, 1, 1)),
    "0 by overflow": npy((2**32, 2**32, 1)),
    "true": npy((True, 2, 2), bytes(4)),
    "no number": npy(("a", 2, 2)),
    "a number": npy(4),
    "too few bytes": npy((4, 6, 6), bytes(143)),
    "too many bytes": npy((4, 6, 6), bytes(145)),
    "a structure": npy((4,), bytes(144), descr=[("a", "|u1", (6, 6))]),
    "void": npy((4, 6), bytes(144), descr="|V6"),
    "times": npy((4, 6, 6), bytes(144 * 8), descr="<M8[s]"),
    "no type": npy((4, 6, 6), bytes(144), descr="|q77"),
    "parentheses": npy(0, header="(" * 9000),
    "a call": npy(0, header="__import__('os').mkdir('harm')"),
    "more keys": npy(0, header="{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1), 'x': 1}\n"),
    "long": npy((4, 6, 6), bytes(144), version=2, header=" " * 20_000),
    "very long": npy((4, 6, 6), bytes(2**26), version=2, length=2**32 - 1),
    "a later version": npy((4, 6, 6), bytes(144), version=9),
    "nothing": b"",
    "half a header": GOOD[:20],
}
ARCHIVES = {
    "zip64, short": archive(images=GIGA, directory=len(GIGA) - 1000 + 10**10),
    "a directory of 2**62": archive(images=GOOD, directory=2**62),
    "a directory of 0": archive(images=GOOD, directory=1),
    "bzip2": archive(zipfile.ZIP_BZIP2, images=GOOD),
    "lzma": archive(zipfile.ZIP_LZMA, images=GOOD),
    "encrypted": encrypted(archive(images=GOOD)),
    "outside": archive(**{"../images": GOOD}),
    "in a folder": archive(**{"a/images": GOOD}),
    "strange names": archive(**{"a\n\x1b[31m": GOOD}),
    "labels of 10**9": archive(images=GOOD, labels=npy((10**9,), bytes(100), "<i8")),
    "long words": archive(images=GOOD, labels=npy((4,), bytes(4 * 10**7), "<U2500000")),
    "empty words": archive(images=GOOD, labels=npy((4,), b"", "<U0")),
    "no letters": archive(images=GOOD, labels=npy((4,), b"\xff" * 16, "<U1")),
    "a bz2 file": bz2.compress(GOOD),
    "a gz file": gzip.compress(archive(images=GOOD)),
    "a larger test set": archive(images=GOOD, test_images=npy((10**12, 6, 6))),
    "cut": archive(zipfile.ZIP_STORED, images=GOOD)[:-30],
    "other bytes": archive(zipfile.ZIP_STORED, images=GOOD).replace(PIXELS, PIXELS[:-1] + b"\1"),
} | {f"images: {name}": archive(images=content) for name, content in HEADERS.items()}


@pytest.mark.filterwarnings("ignore:dataset. .* that unpack to")
@pytest.mark.parametrize("name", ARCHIVES)
def test_a_false_or_unreadable_npz_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.npz").write_bytes(ARCHIVES[name])
    refusal("npz:a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_an_npz_file_like_these_is_read_if_nothing_is_wrong_with_it(tmp_path):
    (tmp_path / "a.npz").write_bytes(archive(images=GOOD, labels=npy((4,), bytes(4), "|i1")))
    assert read_source(f"npz:{tmp_path / 'a.npz'}").images.shape == (4, 1, 6, 6)


def object_array(harm):
    file = io.BytesIO()
    np.save(file, np.array([harm] * 4, dtype=object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "craft",
    [
        lambda harm: archive(images=object_array(harm)),
        lambda harm: archive(images=GOOD, labels=object_array(harm)),
        lambda harm: archive(images=GOOD, test_images=object_array(harm)),
        lambda harm: archive(images=pickle.dumps(harm)),
        lambda harm: archive(images=GOOD, labels=pickle.dumps(harm)),
        lambda harm: pickle.dumps(harm),
        object_array,
    ],
    ids=["images", "labels", "test images", "a member", "a labels' member", "the file", "an npy file"],
)
def test_a_pickle_in_an_npz_file_runs_no_code(craft, tmp_path):
    (tmp_path / "a.npz").write_bytes(craft(Harm(tmp_path / "harm")))
    refusal(f"npz:{tmp_path / 'a.npz'}")
    assert not (tmp_path / "harm").exists()


@pytest.mark.filterwarnings("ignore:dataset. bomb, notes in .* are not read")
def test_other_arrays_in_an_npz_file_are_not_read(tmp_path):
    other = {"notes": object_array(Harm(tmp_path / "harm")), "bomb": npy((10**12,))}
    (tmp_path / "a.npz").write_bytes(archive(images=GOOD, **other))
    assert len(read_source(f"npz:{tmp_path / 'a.npz'}").images) == 4
    assert not (tmp_path / "harm").exists()


def test_the_pickle_of_these_tests_would_really_run_code(tmp_path):
    pickle.loads(pickle.dumps(Harm(tmp_path / "harm")))
    assert (tmp_path / "harm").exists()


# --- IDX ---

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def headed(*head):
    return lambda content: struct.pack(f">{len(head)}I", *head) + content[4 * len(head) :]


def replaced_by(make):
    def change(path):
        path.unlink()
        make(path)

    return change


def changed_to(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


WRONG_IDX = {
    "10**9 images": (IMAGES, changed_to(headed(0x803, 10**9, 28, 28))),
    "one large image": (IMAGES, changed_to(headed(0x803, 1, 10**5, 10**5))),
    "2**96 bytes": (IMAGES, changed_to(headed(0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1))),
    "one fewer": (IMAGES, changed_to(headed(0x803, 19, 28, 28))),
    "none": (IMAGES, changed_to(lambda content: struct.pack(">4I", 0x803, 0, 28, 28))),
    "floats": (IMAGES, changed_to(headed(0xD03, 5, 28, 28))),
    "signed": (IMAGES, changed_to(headed(0x903, 20, 28, 28))),
    "two dimensions": (IMAGES, changed_to(headed(0x802, 20, 784))),
    "255 dimensions": (IMAGES, changed_to(headed(0x8FF))),
    "trailing bytes": (IMAGES, changed_to(lambda content: content + b"\0")),
    "a byte less": (IMAGES, changed_to(lambda content: content[:-1])),
    "compressed": (IMAGES, changed_to(gzip.compress)),
    "empty": (IMAGES, changed_to(lambda content: b"")),
    "half a header": (IMAGES, changed_to(lambda content: content[:7])),
    "a terabyte": (IMAGES, replaced_by(lambda path: sparse(path, struct.pack(">4I", 0x803, 2**20, 2**10, 2**10)))),
    "a pipe": (IMAGES, replaced_by(os.mkfifo)),
    "a device": (IMAGES, replaced_by(lambda path: path.symlink_to("/dev/zero"))),
    "a folder": (IMAGES, replaced_by(Path.mkdir)),
    "a circle": (IMAGES, replaced_by(lambda path: path.symlink_to(path))),
    "labels: 10**9": (LABELS, changed_to(headed(0x801, 10**9))),
    "labels: trailing": (LABELS, changed_to(lambda content: content + b"\0")),
    "labels: too few": (LABELS, changed_to(lambda content: headed(0x801, 19)(content[:-1]))),
    "labels: too many": (LABELS, changed_to(lambda content: headed(0x801, 21)(content + b"\0"))),
    "labels: 200": (LABELS, changed_to(lambda content: content[:-1] + b"\xc8")),
    "labels: images": (LABELS, lambda path: path.write_bytes((path.parent / IMAGES).read_bytes())),
    "test images of another size": ("t10k-images-idx3-ubyte", lambda path: write_idx(path, noise(10, 27, 28))),
}


def sparse(path, head):
    path.write_bytes(head)
    os.truncate(path, len(head) + 2**40)


@pytest.mark.parametrize("name", WRONG_IDX)
def test_a_false_or_unreadable_idx_file_is_refused_and_kept(name, tmp_path, no_network):
    write_like_mnist(tmp_path / "MNIST")
    file, change = WRONG_IDX[name]
    change(tmp_path / "MNIST/raw" / file)
    before = sorted(tmp_path.rglob("*"))
    refusal("mnist", tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def gz_only(folder, monkeypatch):
    """Write MNIST's files as they are downloaded, without unpacking them."""
    write_like_mnist(folder / "MNIST")
    resources = []
    for path in sorted((folder / "MNIST/raw").iterdir()):
        packed = gzip.compress(path.read_bytes(), mtime=0)
        path.with_name(f"{path.name}.gz").write_bytes(packed)
        resources.append((f"{path.name}.gz", hashlib.md5(packed).hexdigest()))
        path.unlink()
    monkeypatch.setattr(tv.MNIST, "resources", resources)


def test_gz_files_alone_are_unpacked(tmp_path, monkeypatch, no_network):
    gz_only(tmp_path, monkeypatch)
    assert len(read_source("mnist", tmp_path).images) == 20
    assert len(list((tmp_path / "MNIST/raw").iterdir())) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST"]


def test_a_damaged_gz_file_is_refused_and_kept(tmp_path, monkeypatch, no_network):
    gz_only(tmp_path, monkeypatch)
    path = tmp_path / f"MNIST/raw/{IMAGES}.gz"
    path.write_bytes(path.read_bytes()[:-1])
    before = bytes_of(tmp_path)
    assert "no network in tests" in refusal("mnist", tmp_path)
    assert bytes_of(tmp_path) == before


# --- pickles and archives that torchvision reads ---


def cifar_batches(folder, harm=None):
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    for name in names:
        write_pickle(folder / name, {"data": noise(4, 3072), "labels": [0, 1, 2, 3]})
    write_pickle(folder / "batches.meta", {"label_names": list("abcdefghij")})
    if harm:
        write_pickle(folder / harm, Harm(folder.parent / "harm"))


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_crafted_cifar_pickle_runs_no_code(name, tmp_path, monkeypatch, no_network):
    """The checksum is compared before the file is read; here only the crafted file has a wrong one."""
    cifar_batches(tmp_path / "cifar-10-batches-py", name)
    for attribute in ("train_list", "test_list"):
        entries = [[file, md5 if file == name else None] for file, md5 in getattr(tv.CIFAR10, attribute)]
        monkeypatch.setattr(tv.CIFAR10, attribute, entries)
    if name != "batches.meta":
        monkeypatch.setattr(tv.CIFAR10, "meta", tv.CIFAR10.meta | {"md5": None})
    refusal("cifar10", tmp_path)
    assert not (tmp_path / "harm").exists()


def test_a_crafted_archive_of_cifar_is_not_unpacked(tmp_path, no_network):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(gzip.compress(pickle.dumps(Harm(tmp_path / "harm"))))
    before = bytes_of(tmp_path)
    refusal("cifar10", tmp_path)
    assert bytes_of(tmp_path) == before


def test_a_crafted_mat_file_is_not_read(tmp_path, monkeypatch, no_network):
    monkeypatch.setattr(scipy.io, "loadmat", lambda *_args, **_kwargs: pytest.fail("read"))
    (tmp_path / "train_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"\xff" * 100)
    refusal("svhn", tmp_path)


LARGE = torch.zeros(1, dtype=torch.uint8).expand(10**12, 28, 28)  # a terabyte by its shape, but stored in one byte


@pytest.mark.parametrize(
    "content",
    [
        lambda harm: harm,
        lambda harm: (LARGE, torch.zeros(1, dtype=torch.long).expand(10**12)),
        lambda harm: ("images", "labels"),
        lambda harm: (torch.zeros(4, 28, 28), torch.zeros(4)),
        lambda harm: (torch.zeros(4, 28, 28, dtype=torch.uint8), torch.zeros(5, dtype=torch.long)),
        lambda harm: 3,
    ],
    ids=["pickle", "large", "words", "floats", "too many labels", "number"],
)
def test_files_in_torchvisions_older_format_run_no_code_and_are_checked(content, tmp_path, no_network):
    folder = tmp_path / "MNIST/processed"
    folder.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        torch.save(content(Harm(tmp_path / "harm")), folder / name)
    refusal("mnist", tmp_path)
    assert not (tmp_path / "harm").exists()


def test_a_bomb_among_omniglots_images_is_refused(tmp_path, monkeypatch, no_network):
    for part in ("images_background", "images_evaluation"):
        save_image(tmp_path / f"omniglot-py/{part}/A/b/0.png", noise(105, 105))
        (tmp_path / f"omniglot-py/{part}.zip").touch()
    (tmp_path / "omniglot-py/images_background/A/b/1.png").write_bytes(BOMBS["png real"])
    monkeypatch.setattr(tv.Omniglot, "zips_md5", dict.fromkeys(tv.Omniglot.zips_md5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refusal("omniglot", tmp_path)
