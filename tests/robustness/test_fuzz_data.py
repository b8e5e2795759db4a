"""Reads files of random bytes: each gives a consistent source or is refused in one line, soon and in little memory."""

import io
import shutil
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.files import noise, write_like_mnist
from support.limits import fail_after, peak_memory, refuse_network

from pyrovae.data.sources import read_source
from pyrovae.errors import InputError

SECONDS, MEGABYTES = 20, 1500  # the time for one file, the memory for all of them
few, many = (settings(derandomize=True, deadline=None, database=None, max_examples=n) for n in (200, 500))


@pytest.fixture(scope="module", autouse=True)
def _bounded():
    before = peak_memory()
    yield
    fail_after(0)
    assert peak_memory() - before < MEGABYTES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def check(dataset, data_dir=None, size=None, lenient=False):
    """Read a dataset and check the source; return None if it was refused. If `lenient`, ignore warnings."""
    fail_after(SECONDS)
    source, message = None, "dataset: expected "
    with warnings.catch_warnings():
        if lenient:
            warnings.simplefilter("ignore")
        try:
            source = read_source(dataset, data_dir, size)
        except InputError as error:
            message = str(error)
    assert message.isprintable()
    assert message.startswith("dataset: expected ")
    if source is None:
        return None
    shape = source.images.shape
    for images, labels in ((source.images, source.labels), (source.test_images, source.test_labels)):
        if images is None:
            continue
        assert images.dtype == torch.uint8
        assert images.shape == (len(images), *shape[1:])
        assert len(images) > 0
        assert shape[1] in (1, 3)
        images.sum()  # every byte can be read
        assert (labels is None) == (source.labels is None)
        if labels is not None:
            assert labels.dtype == torch.int64
            assert labels.shape == (len(images),)
            assert 0 <= labels.min() <= labels.max() < len(source.classes)
    return source


# --- bytes that were changed ---

NUMBERS = [0, 1, 2, 3, 127, 128, 255, 256, 1000, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1]


@st.composite
def damaged(draw, contents):
    """Draw one of these files with one to four changes, most of them near its beginning or its end."""
    content = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        n = len(content)
        place = draw(st.one_of(*(st.integers(low, max(low, n)) for low in (0, max(0, n - 100))), st.integers(0, 40)))
        match draw(st.sampled_from(["flip", "number", "cut", "insert", "remove", "repeat"])):
            case "flip" if place < n:
                content[place] ^= 1 << draw(st.integers(0, 7))
            case "number":
                order = draw(st.sampled_from(["<H", ">H", "<I", ">I"]))
                number = draw(st.sampled_from(NUMBERS)) % 2 ** (16 if order[1] == "H" else 32)
                content[place : place + struct.calcsize(order)] = struct.pack(order, number)
            case "cut":
                del content[place:]
            case "insert":
                content[place:place] = draw(st.binary(max_size=12))
            case "remove":
                del content[place : place + draw(st.integers(1, 50))]
            case "repeat":
                content[place:place] = content[place : place + draw(st.integers(1, 200))]
    return bytes(content)


IDX = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


@pytest.fixture(scope="module")
def mnist(folder):
    """Write a small MNIST, without a network from which it could be replaced."""
    with pytest.MonkeyPatch.context() as patch:
        refuse_network(patch)
        write_like_mnist(folder / "MNIST")
        yield folder


@few
@given(data=st.data(), name=st.sampled_from(IDX))
def test_damaged_idx_files_are_read_or_refused(mnist, data, name):
    path = mnist / "MNIST/raw" / name
    good = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged([good])))
        check("mnist", mnist)
    finally:
        path.write_bytes(good)
    assert check("mnist", mnist) is not None


@few
@given(
    magic=st.sampled_from([0x803, 0x801, 0x802, 0x903, 0xD03]) | st.integers(0, 2**32 - 1),
    shape=st.lists(st.sampled_from([*NUMBERS, 28]), min_size=0, max_size=4),
    n=st.integers(0, 3000),
    name=st.sampled_from(IDX),
)
@example(magic=0x803, shape=[1, 28, 28], n=784, name=IDX[2])
@example(magic=0x803, shape=[2**16, 2**16, 2**32 - 1], n=0, name=IDX[0])
def test_idx_files_with_any_header_are_read_or_refused(mnist, magic, shape, n, name):
    path = mnist / "MNIST/raw" / name
    good = path.read_bytes()
    try:
        path.write_bytes(struct.pack(f">{1 + len(shape)}I", magic, *shape) + bytes(n))
        check("mnist", mnist)
    finally:
        path.write_bytes(good)


def npz(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


SMALL = noise(4, 5, 6)
NPZ = [
    npz(images=SMALL),
    npz(images=SMALL, labels=[1, 5, 5, 9]),
    npz(compressed=True, images=SMALL, labels=["a", "bee", "a", "c"]),
    npz(
        images=np.asfortranarray(noise(3, 5, 6, 3)), test_images=noise(2, 5, 6, 3), labels=[0, 1, 2], test_labels=[0, 1]
    ),
    npz(compressed=True, images=noise(3, 3, 5, 6)),
]


@many
@given(content=damaged(NPZ), lenient=st.booleans())
def test_damaged_npz_files_are_read_or_refused(folder, content, lenient):
    (folder / "a.npz").write_bytes(content)
    check(f"npz:{folder / 'a.npz'}", lenient=lenient)


SIZES = st.sampled_from([*NUMBERS, -1, 2**63, 2**64 + 1, 10**30]) | st.integers(0, 8)
TYPES = [
    "|u1",
    "|b1",
    "|i1",
    "<u2",
    "<i8",
    ">i4",
    "<f4",
    "<U3",
    ">U1",
    "<U0",
    "|S4",
    "|O",
    "|V8",
    "<M8[s]",
    "nonsense",
    "",
]


@st.composite
def members(draw):
    """Draw an npy file with any header; often it has as many bytes as the header says."""
    shape = tuple(draw(st.lists(SIZES, max_size=5)))
    kind = draw(st.sampled_from(TYPES[:1] * 12 + TYPES))
    order = draw(st.sampled_from([False, False, True, None, 3]))
    text = draw(
        st.sampled_from(
            ["{{'descr': {0!r}, 'fortran_order': {2!r}, 'shape': {1!r}}}"] * 8 + ["{0}", "{1}", "[" * 99, "{{}}"]
        )
    ).format(kind, shape, order)
    version = draw(st.sampled_from([1] * 6 + [2, 3, 4]))
    length = draw(st.sampled_from([len(text)] * 8 + [0, 60_000]))
    size = np.prod([float(side) for side in shape])
    n = int(size) if draw(st.booleans()) and 0 <= size < 10_000 else draw(st.integers(0, 100))
    head = b"\x93NUMPY" + struct.pack("<BBH" if version == 1 else "<BBI", version, 0, length)
    return head + text.encode() + bytes(n)


@many
@given(
    arrays=st.dictionaries(
        st.sampled_from(["images", "labels", "test_images", "test_labels", "more"]), members(), max_size=4
    ),
    images=members(),
    kind=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    lenient=st.booleans(),
)
def test_npz_files_with_any_headers_are_read_or_refused(folder, arrays, images, kind, lenient):
    with zipfile.ZipFile(folder / "a.npz", "w", kind) as archive:
        for name, content in ({"images": images} | arrays).items():
            archive.writestr(f"{name}.npy", content)
    check(f"npz:{folder / 'a.npz'}", lenient=lenient)


def encoded(mode, form, **how):
    file = io.BytesIO()
    Image.fromarray(noise(9, 7, 3)).convert(mode).save(file, form, **how)
    return file.getvalue()


PICTURES = [
    *(encoded(mode, "PNG") for mode in ("L", "RGB", "RGBA", "P", "1", "LA", "I;16")),
    *(encoded(mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
    *(encoded(mode, "TIFF", **how) for mode in ("L", "RGB") for how in ({}, {"compression": "tiff_lzw"})),
    *(encoded("RGB", form) for form in ("BMP", "PPM", "GIF", "WEBP")),
    encoded("P", "GIF"),
    encoded("RGB", "WEBP", lossless=True),
    encoded("RGB", "JPEG", exif=bytes.fromhex("45786966000049492a0008000000010012010300010000000600000000000000")),
]


@many
@given(content=damaged(PICTURES), size=st.sampled_from([None, 4]), lenient=st.booleans())
def test_damaged_images_are_read_or_refused(folder, content, size, lenient):
    place = folder / "images"
    place.mkdir(exist_ok=True)
    (place / "a.png").write_bytes(content)
    check(f"folder:{place}", size=size, lenient=lenient)


@few
@given(
    names=st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8), max_size=4)
)
def test_folders_and_files_of_any_names_are_read_or_refused(folder, names):
    place = folder / "names"
    shutil.rmtree(place, ignore_errors=True)
    for name in [name for name in names if name not in (".", "..")]:
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / f"{name}.png").write_bytes(PICTURES[0])
        (place / name / f"{name}.jpg").write_bytes(PICTURES[7])
    check(f"folder:{place}", lenient=True)


@pytest.mark.parametrize("contents", [NPZ, PICTURES], ids=["npz", "images"])
def test_the_files_of_these_tests_are_read_if_they_are_not_damaged(contents, folder):
    place = folder / "whole"
    place.mkdir(exist_ok=True)
    refused = []
    for i, content in enumerate(contents):
        (place / "a.png").write_bytes(content)
        if check(f"npz:{place / 'a.png'}" if contents is NPZ else f"folder:{place}") is None:
            refused.append(i)
    assert refused == ([] if contents is NPZ else [6])  # more than 8 bits
