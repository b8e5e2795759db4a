"""Training a VAE: the records of its epochs, and what stops it."""

import dataclasses
import math
from types import SimpleNamespace

import pyro
import pytest
import torch
from support.builders import small_data, small_vae, without_seconds

from pyrovae import Config, build, elbo_scores, fit, load
from pyrovae.figures import draw
from pyrovae.training import fit as fit_module
from pyrovae.training import step as step_module


def run(**settings):
    vae, config = small_vae(**settings)
    return without_seconds(fit(vae, small_data(pixels=config.pixels), config)), vae


@pytest.mark.parametrize("settings", [{}, {"network": "conv"}, {"condition": "label"}, {"pixels": "dynamic"}])
def test_the_same_seed_gives_the_same_metrics_whatever_the_global_state(settings):
    first, _ = run(**settings)
    torch.manual_seed(123)
    state = torch.random.get_rng_state()
    second, _ = run(**settings)
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), state)
    assert run(seed=1, **settings)[0] != first


def test_the_loss_of_a_record_is_reconstruction_plus_kl():
    records, _ = run(epochs=3)
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for part in ("train", "test"):
        scores = records[-1][part]
        assert set(scores) == {"loss", "reconstruction", "kl"}
        assert scores["loss"] == pytest.approx(scores["reconstruction"] + scores["kl"])


def test_digits_learn():
    config = Config(epochs=5, device="cpu")
    data = load(config)
    records = list(fit(build(config, data.shape, len(data.classes)), data, config))
    assert records[-1]["test"]["loss"] < 30 < records[0]["test"]["loss"]


def test_beta_weighs_the_kl_in_the_objective_and_not_in_the_loss():
    records, _ = run(beta=0.5)
    train = records[-1]["train"]
    assert train["loss"] == pytest.approx(train["reconstruction"] + train["kl"])
    assert train["objective"] == pytest.approx(train["reconstruction"] + 0.5 * train["kl"], rel=1e-5)


def test_an_autoencoder_has_no_kl():
    records, _ = run(posterior="delta")
    assert all(record[part]["kl"] == 0 for record in records for part in ("train", "test"))
    assert records[-1]["test"]["loss"] == records[-1]["test"]["reconstruction"]


def test_early_stopping_keeps_the_best_epoch_of_the_validation_set():
    settings = {"validation": 300, "patience": 2, "epochs": 200, "lr": 0.02, "hidden": (256,), "device": "cpu"}
    config = Config(**settings)
    data = load(config)
    fitting = fit(build(config, data.shape), data, config)
    improved = []
    records = []
    for record in fitting:
        records.append(record)
        improved.append(fitting.improved)
    held_out = [record["validation"]["loss"] for record in records]
    best = held_out.index(min(held_out))
    assert len(records) < 200
    assert fitting.best_epoch == best + 1 == len(records) - 2
    assert [i for i, better in enumerate(improved) if better][-1] == best


@pytest.mark.parametrize(
    "settings",
    [{"objective": "mmd", "beta": 0.0, "mmd_weight": 50.0}, {"objective": "iwae", "particles": 5}, {"free_bits": 2.0}],
)
def test_the_best_epoch_is_the_best_by_the_objective_that_is_trained(settings):
    vae, config = small_vae(epochs=4, **settings)
    data = small_data()
    fitting = fit(vae, dataclasses.replace(data, validation=data.test), config)
    losses = [record["validation"]["objective"] for record in fitting]
    assert fitting.best_epoch == losses.index(min(losses)) + 1
    scores = fitting.training_step.held_out(fitting.data.validation)
    assert (scores["objective"] < scores["loss"]) == (config.objective != "elbo")  # a tighter bound, or without the KL


def test_a_loss_that_is_not_finite_stops_the_fit():
    vae, config = small_vae(epochs=5)
    fitting = fit(vae, small_data(pixels=config.pixels), config)
    vae.decoder.body[0].weight.data.fill_(math.nan)
    fitting.svi.validate = False  # else Pyro's validation of the first step would raise first
    with pytest.raises(
        FloatingPointError,
        match=r"epoch 1, step 1: expected a finite loss, got nan; not finite: log p\(x\); what usually",
    ):
        next(iter(fitting))


def test_an_interrupted_epoch_leaves_the_model_in_evaluation_mode(monkeypatch):
    vae, config = small_vae(network="conv")
    fitting = fit(vae, small_data(pixels=config.pixels), config)
    monkeypatch.setattr(fitting.svi, "step", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        next(iter(fitting))
    assert not vae.training


def test_validation_chooses_by_the_weighted_loss(monkeypatch):
    """Reconstruction falls while the KL rises, so that at a small beta the last epoch is the best one."""
    vae, config = small_vae(beta=0.01, epochs=3, validation=1)
    scores = iter([(50.0, 1.0), (40.0, 20.0), (30.0, 60.0)])

    def scored(*_):
        reconstruction, kl = next(scores)
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    data = small_data()
    fitting = fit(vae, dataclasses.replace(data, validation=data.test), config)
    monkeypatch.setattr(fit_module, "elbo_scores", lambda *_: dict.fromkeys(("loss", "kl"), 0.0))
    monkeypatch.setattr(step_module, "elbo_scores", scored)
    list(fitting)
    assert fitting.best_epoch == 3


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_validation_or_test_loss_that_is_not_finite_is_named(monkeypatch, name):
    vae, config = small_vae()
    data = small_data()
    fitting = fit(vae, dataclasses.replace(data, validation=data.train), config)
    broken = getattr(fitting.data, name)

    def scored(vae, data, images, watch=None):
        return {"loss": math.nan if images is broken else 1.0, "reconstruction": 1.0, "kl": 0.0}

    monkeypatch.setattr(fit_module, "elbo_scores", scored)
    monkeypatch.setattr(step_module, "elbo_scores", scored)
    with pytest.raises(FloatingPointError, match=f"expected a finite {name} loss, got nan"):
        next(iter(fitting))


def test_more_particles_have_the_same_expected_loss():
    vae, config = small_vae(particles=5, epochs=1)
    (record,) = fit(vae, small_data(pixels=config.pixels), config)
    (single,), _ = run(epochs=1)
    assert record["train"]["loss"] == pytest.approx(single["train"]["loss"], rel=0.02)


def test_fitting_leaves_the_parameter_store_empty_and_pyros_validation_on():
    run()
    assert pyro.settings.get("validate_infer")
    assert len(pyro.get_param_store()) == 0


@pytest.mark.cuda
def test_cuda_learns_as_the_cpu_does():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    config = Config(epochs=5, device="cuda")
    data = load(config)
    vae = build(config, data.shape, len(data.classes))
    records = list(fit(vae, data, config))
    assert vae.device.type == "cuda"
    assert records[-1]["test"]["loss"] < 30


@pytest.mark.cuda
@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
def test_a_model_on_cuda_is_scored_and_plotted_with_data_on_the_cpu(condition):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    vae, config = small_vae(condition=condition, network="conv", device="cuda")
    data = small_data()
    fitting = fit(vae, data, config)
    records = list(fitting)
    assert elbo_scores(vae, data, data.test)["loss"] == pytest.approx(records[-1]["test"]["loss"], rel=0.05)
    pictures = {"original": torch.rand(3, 1, 8, 8), "1": torch.rand(3, 1, 8, 8)}
    for images in (data, fitting.data):
        run = SimpleNamespace(vae=vae, data=images, config=config, metrics=records, progress=pictures)
        assert len(dict(draw(run))) >= 6


@pytest.mark.slow
def test_mnist_reaches_the_reference(data_dir):
    config = Config(dataset="mnist", data_dir=data_dir, hidden=(400,), latent_dim=20, epochs=20)
    data = load(config)
    *_, last = fit(build(config, data.shape, len(data.classes)), data, config)
    assert last["test"]["loss"] < 103.8 * 1.01
