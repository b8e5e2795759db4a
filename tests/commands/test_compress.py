"""Compressing the test set of a run by one call, and what a decoder refuses."""

import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from support.runs import trained

from pyrovae import Config, InputError, Run, load
from pyrovae.commands import compress
from pyrovae.commands.compress import compressed, decompressed
from pyrovae.runs import compressed as files

pytest.importorskip("constriction")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Make a run on digits, of whose test set the pixels are drawn once."""
    data = load(Config(pixels="dynamic"))
    return trained(tmp_path_factory.mktemp("compress") / "run", epochs=3, data=data, pixels="dynamic", compile="no")[0]


@pytest.fixture(scope="module")
def content(run):
    return compressed(run, images=20).content


def test_the_test_set_comes_back_bit_for_bit(run):
    result = compressed(run)
    images = decompressed(run, result.content)
    assert (images.dtype, images.shape) == (np.uint8, (359, 1, 8, 8))
    np.testing.assert_array_equal(images, run.data.test.images.numpy())
    assert result.net == pytest.approx(-result.elbo, rel=0.01)
    assert result.nats == pytest.approx(8 * np.log(2) * len(result.content) / 359)
    assert result.bits_per_dimension == pytest.approx(result.nats / np.log(2) / 64)
    assert set(result.others) == {"PNG", "zlib", "lzma"}


def test_the_file_is_the_same_each_time(run, content):
    assert compressed(Run(run.path), images=20).content == content


def test_other_sizes_are_those_of_the_packages(run):
    import io
    import zlib

    from PIL import Image

    result = compressed(run, images=20)
    images = run.data.test.images[:20].numpy()
    assert result.others["zlib"] == len(zlib.compress(np.packbits(images > 0).tobytes(), 9))
    file = io.BytesIO()
    Image.fromarray(images.reshape(160, 8)).convert("1").save(file, "PNG", optimize=True)
    assert result.others["PNG"] == file.tell()


def test_other_data_are_compressed_in_the_order_of_their_files(run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "other.npz", images=255 * (images > 127).astype(np.uint8))
    result = compressed(run, f"npz:{tmp_path / 'other.npz'}")
    np.testing.assert_array_equal(decompressed(run, result.content)[:, 0], 255 * (images > 127))


@pytest.mark.parametrize("part", [0.0, 0.3, 0.5, 0.9])
def test_a_damaged_file_is_refused(run, content, part):
    for bit in (1, 128):
        damaged = bytearray(content)
        damaged[int(part * len(content))] ^= bit
        with pytest.raises(InputError, match=r"^decompress: expected"):
            decompressed(run, bytes(damaged))


@pytest.mark.parametrize("length", [0, 10, 40, 300, -1, -4])
def test_a_file_that_is_cut_off_is_refused(run, content, length):
    with pytest.raises(InputError, match=r"^decompress: expected"):
        decompressed(run, content[:length])


def test_a_longer_file_is_refused(run, content):
    with pytest.raises(InputError, match="damaged or cut off"):
        decompressed(run, content + b"more")


@pytest.mark.parametrize("name", ["images", "values", "bits", "start"])
@pytest.mark.parametrize("value", [-1, 0, 3, 2**40, 1.5, "many", None])
def test_other_numbers_in_the_header_are_refused(run, content, name, value):
    header, message = files.read(content, run.path)
    with pytest.raises(InputError, match=r"^(decompress|bits): expected"):
        decompressed(run, replace(header, **{name: value}).file(message))


def test_a_run_of_other_weights_is_refused(content, run, tmp_path):
    other, _ = trained(tmp_path / "other", pixels="dynamic")
    with pytest.raises(InputError, match=r"got one by a run of other weights, with SHA-256 [0-9a-f]{12}"):
        decompressed(other, content)
    moved = shutil.copytree(run.path, tmp_path / "moved")
    assert len(decompressed(Run(moved), content)) == 20


@pytest.mark.parametrize("name", ["torch", "constriction"])
def test_other_versions_are_refused(run, content, name, monkeypatch):
    monkeypatch.setattr(files, "version", lambda package: "0.1" if package == name else version(package))
    with pytest.raises(InputError, match=f"^decompress: expected a file of {name} 0.1, which is installed here, got"):
        decompressed(run, content)


def version(package):
    from importlib.metadata import version

    return version(package)


def test_without_the_package_one_line_says_what_to_install(run, content, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    for call in (lambda: compressed(run), lambda: decompressed(run, content)):
        with pytest.raises(InputError, match=r"pip install 'pyrovae\[compress\]'$"):
            call()


def test_the_run_is_refused_before_its_data_are_read(tmp_path, monkeypatch):
    other, _ = trained(tmp_path / "other", pixels="grey")
    monkeypatch.setattr(compress, "all_rows", None)
    with pytest.raises(InputError, match="compress: expected a likelihood that is a mass function"):
        compressed(other, "npz:nowhere.npz")
