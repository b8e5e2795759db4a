"""The exported encoder and decoder answer in JavaScript as they do in PyTorch, whatever the model is made of."""

from types import SimpleNamespace

import pytest
import torch
from support.explorer import CLOSE, as_lists, needs_node, picture_model, row, run_in_node, tolerances_of
from support.likelihoods import LIKELIHOODS
from torch import nn

from pyrovae import InputError
from pyrovae.inference import seeded
from pyrovae.pages.explorer.export import Calibration, export
from pyrovae.pages.explorer.store import Store
from pyrovae.parts.networks import ACTIVATIONS, NETWORKS
from pyrovae.parts.posteriors import POSTERIORS

# Every likelihood, with the activations and the posteriors in turn; every network with every kind of condition.
CASES = {
    **{
        name: {
            "likelihood": name,
            "activation": [*ACTIVATIONS][i % len(ACTIVATIONS)],
            "posterior": [*POSTERIORS][i % len(POSTERIORS)],
        }
        for i, name in enumerate(LIKELIHOODS)
    },
    **{
        f"{network}-{condition}": {"network": network, "condition": condition, "shape": (2, 9, 11)}
        for network in NETWORKS
        for condition in ("none", "label", "quadrant1")
    },
}


@pytest.fixture(scope="module")
def exported():
    """The programs and the store of each case, and PyTorch's outputs."""
    results = {}
    for name, settings in CASES.items():
        torch.manual_seed(0)
        model, codes, pictures = picture_model(**settings)
        store = Store()
        decoder, encoder = export(model, store, 0, Calibration(codes, pictures))
        with torch.no_grad():
            decoded = [model.decode(**row(codes, i)) for i in range(3)]
            encoded = []
            for i in range(3):
                with seeded(0):
                    encoded.append(model.encode(**row(pictures, i)))
        results[name] = SimpleNamespace(
            decoder=decoder,
            encoder=encoder,
            text=store.text(),
            codes=codes,
            pictures=pictures,
            decoded=decoded,
            encoded=encoded,
        )
    return results


@pytest.fixture(scope="module")
def outputs(exported):
    """The outputs of nn.js for each case: the decoder's and the encoder's."""
    cases = []
    for case in exported.values():
        for program, args in ((case.decoder, case.codes), (case.encoder, case.pictures)):
            cases.append([case.text, program, [as_lists(row(args, i)) for i in range(3)]])
    results = run_in_node(cases)
    return {name: (results[2 * i], results[2 * i + 1]) for i, name in enumerate(exported)}


@needs_node
@pytest.mark.parametrize("name", CASES)
def test_the_networks_return_the_same_in_javascript_as_in_pytorch(name, exported, outputs):
    for expected, results in zip((exported[name].decoded, exported[name].encoded), outputs[name]):
        for want, got in zip(expected, results):
            assert want.keys() == got.keys()
            for key, tensor in want.items():
                assert (got[key] - tensor.flatten()).abs().max() < max(CLOSE, 2 * tolerances_of(want)[key]), key


@pytest.mark.parametrize("name", CASES)
def test_rounding_changes_outputs_by_less_than_the_tolerances(name, exported):
    for program in (exported[name].decoder, exported[name].encoder):
        changes = program["changes"]
        assert all(change <= tolerances_of(changes)[output] for output, change in changes.items())


def test_decode_returns_the_mean_image_of_the_model():
    for condition in ("none", "label", "quadrant1"):
        model, codes, pictures = picture_model(condition=condition, likelihood="poisson", posterior="full")
        images = model.decode(**codes)["image"]
        y = codes.get("y") if condition == "label" else model.as_read(codes["u"]) if "u" in codes else None
        assert torch.allclose(images, model.pixels.to_unit(model.vae.decode(codes["z"], y)))
        q = model.vae.encode(model.as_read(pictures["u"]), y)
        tensors = model.encode(**pictures)
        assert torch.allclose(tensors["mean"], q.mean)
        assert torch.allclose(tensors["factor"] @ tensors["factor"].mT, q.covariance_matrix, atol=1e-6)


def test_a_posterior_without_a_known_mean_is_exported_as_draws():
    model, _, pictures = picture_model(posterior="flow")
    picture = row(pictures, 0)
    with seeded(0):
        tensors = model.encode(**picture)
    draws = model.vae.encode(picture["u"]).sample((4000,))
    assert tensors["draws"].shape == (100, 1, 3)
    assert ((tensors["mean"] - draws.mean(0)).abs() < 5 * draws.std(0) / 10).all()


def test_a_model_that_decodes_to_nan_is_refused():
    model, codes, pictures = picture_model()
    nn.init.constant_(model.vae.decoder.body[-1].bias, float("nan"))
    with pytest.raises(InputError, match="a decoder that returns finite numbers, got others in its image"):
        export(model, Store(), 0, Calibration({"z": codes["z"]}, pictures))
