"""How data, models, fits and figures show themselves: on one line, and in a notebook."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from support.builders import small_data, small_vae

from pyrovae import Data, fit
from pyrovae.data.images import Images
from pyrovae.display import number, strip
from pyrovae.figures import FIGURES

EVIL = "<script>alert(1)</script>"


# --- Data and Images ---


def picture(text):
    (source,) = re.findall("src='data:image/png;base64,(.*?)'", text)
    return Image.open(io.BytesIO(base64.b64decode(source)))


def test_data_show_their_counts_shape_protocol_and_first_images():
    data = small_data(50, shape=(1, 8, 6))
    assert repr(data) == "Data('random': 50 training, 50 testing images of 1×8×6; pixels grey)"
    text = data._repr_html_()
    for word in ("50", "1×8×6", "grey", "a, b, c"):
        assert f">{word}</td>" in text
    shown = torch.tensor(np.asarray(picture(text).convert("L")))  # (8, 70)
    assert torch.equal(shown[:, :6], data.train.images[0, 0])
    assert torch.equal(shown[:, 7:13], data.train.images[1, 0])
    assert shown[:, 6].unique().tolist() == [255]


def test_names_of_data_are_escaped():
    data = small_data()
    evil = Data(EVIL, data.train, data.test, data.train, classes=(EVIL,) * 30)
    assert "<script" not in evil._repr_html_()
    assert "40 validation" in repr(evil)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [1, 8, 300])
def test_images_show_a_strip_of_small_pictures(channels, side):
    images = Images(torch.randint(0, 256, (3, channels, side, side), dtype=torch.uint8))
    assert f"3 of {channels}×{side}×{side}, unlabelled" in images._repr_html_()
    shown = picture(strip(images.images))
    assert shown.height <= 75
    assert shown.width == 3 * (shown.height + 1)


# --- VAE and Fit ---


@pytest.mark.parametrize(("condition", "guide"), [("none", "z ~ q(z | x)"), ("label", "z ~ q(z | x, y)")])
def test_a_vae_shows_its_model_and_guide(condition, guide):
    vae, _ = small_vae(condition=condition, prior="mixture", components=1)
    text = vae._repr_html_()
    assert guide in text
    assert "MLPDecoder" in text
    assert ("<th style='text-align: left'>y</th>" in text) == (condition == "label")
    counts = [int(count.replace(",", "")) for count in re.findall(r"([\d,]+) parameter", text)]
    assert sum(counts) == sum(parameter.numel() for parameter in vae.parameters())
    assert repr(vae).startswith("VAE(\n  (encoder)")  # torch's, with all layers


def test_a_fit_shows_its_epoch_and_loss():
    vae, config = small_vae(validation=10)
    data = small_data()
    fitting = fit(vae, Data("random", data.train, data.test, data.train, pixels=data.pixels), config)
    assert repr(fitting) == "Fit(epoch 0 of 2, device cpu, best epoch 0)"
    record = next(iter(fitting))
    assert f"epoch 1 of 2, device cpu, test loss {record['test']['loss']:.2f} nats per image" in repr(fitting)
    assert "1 of 2" in fitting._repr_html_()


# --- numbers ---

NO_NUMBERS = [None, "3", True, 10**400, float("nan"), float("inf"), [1]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.567, "1,234.57"), (-0.5, "−0.50"), (3, "3.00"), *((value, "–") for value in NO_NUMBERS)],
)
def test_a_number_has_two_decimals_and_anything_else_is_a_dash(value, text):
    assert number(value) == text


# --- figures ---


def test_a_figure_shows_itself():
    figure = FIGURES["losses"]([{"epoch": 1, "train": {"loss": 3, "reconstruction": 2, "kl": 1}}])
    content, size = figure._repr_png_()
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.width == pytest.approx(1.5 * size["width"], abs=1)
        assert shown.height == pytest.approx(1.5 * size["height"], abs=1)


NOTEBOOK = [
    "from pyrovae import *\nfrom pyrovae.figures import FIGURES",
    "config = Config(epochs=2, hidden=(8,), device='cpu')\nconfig",
    "data = load(config)\ndata",
    "data.test",
    "vae = build(config, data.shape)\nvae",
    "training = fit(vae, data, config)\nrecords = list(training)\ntraining",
    "FIGURES['losses'](records)",
    "FIGURES['samples'](vae, data)",
]


def test_a_notebook_shows_all_of_them():
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in NOTEBOOK])
    nbclient.NotebookClient(notebook, timeout=200).execute()
    shown = [output.data for cell in notebook.cells for output in cell.outputs if "data" in output]
    assert [("text/html" in data, "image/png" in data) for data in shown] == 5 * [(True, False)] + 2 * [(False, True)]
