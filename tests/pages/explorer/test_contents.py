"""The contents of whole pages: every prior with every kind of condition, and every posterior and network among them."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch
from support.builders import small_data, small_vae
from support.explorer import CLOSE, as_lists, needs_node, run_in_node, tolerances_of

from pyrovae.inference import seeded
from pyrovae.pages.explorer.contents import Contents, contents_of
from pyrovae.pages.explorer.export import PictureModel
from pyrovae.pages.explorer.store import Store
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

CONDITIONS = ("none", "label", "quadrant1", "quadrant2", "quadrant3")  # each prior takes one of the quadrants, in turn
LEARNED = {"mixture", "vamp", "exemplar", "flow", "conditional"}  # no posterior without a density can train these


def page_settings(i, prior, condition):
    """The settings of page i: posteriors and networks take turns."""
    posteriors = [name for name in POSTERIORS if not (name == "delta" and prior in LEARNED)]
    network = [*NETWORKS][i % len(NETWORKS)]
    return {"prior": prior, "condition": condition, "posterior": posteriors[i % len(posteriors)], "network": network}


PAGES = [
    page_settings(3 * i + j, prior, condition)
    for i, prior in enumerate(PRIORS)
    for j, condition in enumerate((*CONDITIONS[:2], CONDITIONS[2 + i % 3]))
    if (prior, condition) != ("conditional", "none")  # refused when a model is built
]


@pytest.fixture(scope="module")
def pages():
    """Small models, with the contents of their pages and the texts of their stores."""
    results = []
    for settings in PAGES:
        torch.manual_seed(0)
        vae, config = small_vae(latent_dim=3, components=5, **settings)
        data = small_data(12)
        if hasattr(vae.prior, "initialise"):
            images = data.train.images[:5]
            vae.prior.initialise(data.pixels.read(images), vae.context and context_of(vae, data.train[slice(0, 5)]))
        store, run = Store(), SimpleNamespace(vae=vae, data=data, config=config, classes=data.classes)
        contents = contents_of(run, store, trials=4)
        model = PictureModel(vae, data.pixels)
        results.append(SimpleNamespace(model=model, data=data, contents=contents, text=store.text()))
    return results


def context_of(vae, images):
    return vae.context(images.labels if vae.context.reads == "labels" else images.images.float() / 255)


def arguments_of(page, i):
    """The arguments of the encoder for picture i, and those of the decoder apart from the code."""
    u, y = page.data.test.images[i : i + 1].float() / 255, {}
    if page.contents.condition == "labels":
        y = {"y": page.model.vae.context(page.data.test.labels[i : i + 1])}
    return {"u": u} | y, {"u": u} if page.contents.condition == "images" else y


@needs_node
def test_pages_of_all_priors_posteriors_networks_and_conditions_answer_as_pytorch_does(pages):
    expected, cases = [], []
    for page in pages:
        for i in range(2):
            picture, context = arguments_of(page, i)
            with seeded(0), torch.no_grad():
                encoded = page.model.encode(**picture)
            code = {"z": encoded["mean"]} | context
            cases.append([page.text, page.contents.encoder, [as_lists(picture)]])
            cases.append([page.text, page.contents.decoder, [as_lists(code)]])
            with torch.no_grad():
                expected += [encoded, page.model.decode(**code)]
    for i, (want, (got,)) in enumerate(zip(expected, run_in_node(cases), strict=True)):
        for key, tensor in want.items():
            difference = (got[key] - tensor.flatten()).abs().max()
            assert difference < max(CLOSE, 2 * tolerances_of(want)[key]), (PAGES[i // 4], key)


def test_the_json_of_every_page_has_all_fields(pages):
    for page, settings in zip(pages, PAGES):
        contents = json.loads(page.contents.as_json())
        assert [*contents] == [field.name for field in dataclasses.fields(Contents)]
        latent = contents["latent"]
        assert latent["dimensions"] == contents["draws"]["values"]["columns"] == 3
        assert sorted(latent["order"]) == [0, 1, 2]
        assert latent["order"] == sorted(latent["order"], key=lambda d: -latent["amounts"][d])
        assert latent["standard_normal"] == (settings["prior"] == "normal" and settings["posterior"] != "delta")
        assert (contents["seen"] is not None) == (contents["condition"] == "images")
        assert (contents["draws"]["contexts"] is None) == (contents["condition"] == "none")
