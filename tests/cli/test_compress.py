"""The commands that compress images and restore them."""

import re

import numpy as np
import pytest
from support.commands import TINY, pyrovae

from pyrovae import Run

pytest.importorskip("constriction")


@pytest.fixture
def coded(world):
    assert pyrovae(f"train --epochs 10 --no-figures {TINY} --pixels threshold --out coded") == 0
    return world


def test_images_go_to_a_file_and_come_back(coded, capsys):
    capsys.readouterr()
    assert pyrovae("compress coded digits.bits --images 100 --figure sizes.png") == 0
    lines = capsys.readouterr().out.splitlines()
    size = (coded / "digits.bits").stat().st_size
    assert lines[0].startswith(f"100 images in {size:,} bytes: ")
    net = float(re.search(r"without header and start ([+-][\d.]+) %", lines[1])[1])
    assert abs(net) < 2
    assert "PNG" in lines[3]
    assert lines[4:] == ["digits.bits", "sizes.png"]
    assert (coded / "sizes.png").read_bytes().startswith(b"\x89PNG")
    assert pyrovae("decompress coded digits.bits") == 0
    assert capsys.readouterr().out == "100 images, which agree with their checksum\ndigits.npz\n"
    with np.load(coded / "digits.npz") as arrays:
        np.testing.assert_array_equal(arrays["images"], Run("coded").data.test.images[:100].numpy())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("compress run x.bits", "compress: expected a likelihood that is a mass function of each pixel, got Bernoulli"),
        ("compress label x.bits", "compress: expected a model without a condition"),
        ("compress gaps x.bits", "compress: expected a model of whole data"),
        ("compress run taken.png", "file: taken.png already exists; expected --force or another name"),
        ("compress run x.bits --figure x.svg", "figure: expected a file that ends in .png"),
        ("compress run x.bits --bits 21", "bits: expected a whole number from 1 to 20, got '21'"),
        ("compress run x.bits --images 0", "images: expected a whole number"),
        ("compress run nowhere/x.bits", "file: expected a folder at"),
        ("compress run", "file: expected a value, got none"),
        ("decompress run text.npz --out x.npz", "decompress: expected a file of pyrovae compress, got another"),
        ("decompress run nowhere.bits", "file: expected a file of pyrovae compress at nowhere.bits, got: No such file"),
        ("decompress run plain.npz", "out: plain.npz already exists"),
        ("decompress run x.bits --out x.png", "out: expected a file that ends in .npz"),
    ],
)
def test_bad_input_is_one_line(line, message, world, capsys):
    assert pyrovae(line) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert message in printed
    assert not (world / "x.bits").exists()
