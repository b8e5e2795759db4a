"""The program of clusters: an exact log-likelihood, the guide's clusters, its parts, and the digits it sorts."""

import copy
import math

import pytest
import torch
from pyro.distributions import MixtureSameFamily, MultivariateNormal
from pyro.infer import TraceEnum_ELBO
from support.builders import small_data, small_vae
from support.drawn import drawable_run
from support.likelihoods import LIKELIHOODS
from support.losses import expect_exact
from torch import nn

from pyrovae import Config, InputError, build, fit
from pyrovae.data import load
from pyrovae.evaluation.importance import log_weights
from pyrovae.evaluation.latents import report
from pyrovae.figures import draw
from pyrovae.inference import seeded
from pyrovae.inference.objectives import EnumeratedELBO
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.programs.mixture import Mixture
from pyrovae.training.batched import fit_batched

SMALL = {"program": "mixture", "clusters": 3, "pretraining": 1}


def mixture(**settings):
    """Build a small program whose clusters are apart."""
    program, _ = small_vae(**(SMALL | settings))
    with seeded(1), torch.no_grad():
        for parameter in (program.logits, program.loc, program.lower):
            parameter.copy_(torch.randn_like(parameter) * 0.5)
        program.fitted.fill_(1.0)
    return program


class Linear(nn.Linear):
    """The decoder x = W z + b of images (1, 2, 2), as the features of a likelihood."""

    def forward(self, z, y=None):
        return super().forward(z).unflatten(-1, (1, 1, 2, 2))


def test_a_mixture_of_linear_gaussians_meets_its_exact_log_likelihood():
    program = mixture(shape=(1, 2, 2), likelihood="gaussian", scale=1.0)
    program.decoder = decoder = Linear(2, 4)
    with seeded(1), torch.no_grad():
        program.posterior.head.weight.zero_()
        program.posterior.head.bias.copy_(torch.tensor([0.0, 0, 3, 3]))  # as wide as all clusters
        x = program.generate(10, mean=False)
        log_w = log_weights(program.model, program.guide, 20_000, x).double()
        clusters, w = program.gaussians(), decoder.weight
        parts = MultivariateNormal(
            clusters.loc @ w.T + decoder.bias, w @ clusters.covariance_matrix @ w.T + torch.eye(4)
        )
        exact = MixtureSameFamily(torch.distributions.Categorical(logits=program.logits), parts).log_prob(x.flatten(1))
    expect_exact(log_w, exact)


@pytest.mark.parametrize("particles", [1, 3])
def test_the_bound_is_that_of_pyro_and_so_is_its_gradient(particles):
    program, x = mixture(), torch.rand(4, 1, 8, 8)
    results = []
    for estimator in (EnumeratedELBO, TraceEnum_ELBO):
        elbo = estimator(num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1)
        with seeded(2):
            loss = elbo.differentiable_loss(program.model, program.guide, x)
        parameters = {name: p for name, p in program.named_parameters() if p.requires_grad}
        results.append((loss, dict(zip(parameters, torch.autograd.grad(loss, [*parameters.values()])))))
    (ours, our_gradients), (pyros, pyro_gradients) = results
    assert torch.allclose(ours, pyros, rtol=1e-5)
    for name, gradient in our_gradients.items():
        assert torch.allclose(gradient, pyro_gradients[name], rtol=1e-3, atol=1e-4), name


def test_the_clusters_of_the_guide_are_the_models_own_posterior():
    program, x = mixture(), torch.rand(4, 1, 8, 8)
    z, p = program.encode(x).mean, program.gaussians()
    joint = torch.stack([MultivariateNormal(p.loc[c], p.covariance_matrix[c]).log_prob(z) for c in range(3)], -1)
    exact = (joint + program.logits).softmax(-1)
    assert torch.allclose(program.classify(x), exact, atol=1e-5)
    q, prior = program.code_distributions(x)
    assert torch.allclose(prior.log_prob(z), (joint + program.logits.log_softmax(-1)).logsumexp(-1), atol=1e-4)
    assert torch.equal(q.mean, z)


def test_a_cluster_can_be_chosen():
    program = mixture(likelihood="gaussian", scale=0.1)
    with torch.no_grad():
        program.loc.copy_(torch.tensor([[-50.0, 0], [0, 50], [50, 0]]))
    y = torch.tensor([2, 0, 1, 2])
    x = program.generate(y=y)
    codes = program.draw_codes(4, torch.eye(3)[y])
    assert x.shape == (4, 1, 8, 8)
    assert (codes - program.loc[y]).abs().max() < 20
    assert program.generate(5).shape == program.decode(torch.randn(5, 2), torch.zeros(5, dtype=torch.long)).shape
    with pytest.raises(InputError, match="y: expected labels from 0 to 2"):
        program.generate(y=torch.tensor([3]))


def test_codes_in_clusters_are_found():
    program, _ = small_vae(**SMALL)
    truth = MultivariateNormal(torch.tensor([[-5.0, 0], [0, 3], [4, 0]]), torch.tensor([[1.0, 0.5], [0.5, 1]]))
    sizes = (600, 300, 100)
    with seeded(3):
        z = torch.cat([truth.sample((1000,))[:n, c] for c, n in enumerate(sizes)])
        program.fit_codes(z)
    found, order = program.gaussians(), program.loc[:, 0].argsort()
    assert torch.allclose(program.loc[order], truth.loc, atol=0.3)
    assert torch.allclose(found.covariance_matrix[order], truth.covariance_matrix, atol=0.3)
    assert torch.allclose(program.logits.softmax(-1)[order], torch.tensor(sizes) / 1000, atol=0.03)


GRID = [
    *({"likelihood": name, "pixels": member.domain[0]} for name, member in LIKELIHOODS.items()),
    *({"network": name} for name in NETWORKS),
    *({"posterior": name} for name in POSTERIORS if name != "delta"),
    {"particles": 2},
    {"precision": "bf16"},
    {"warmup": 2, "beta": 0.5},
]


@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_all_parts_train_with_clusters_and_resume_bit_for_bit(settings):
    settings = SMALL | {"epochs": 3} | settings
    data = small_data(pixels=settings.get("pixels", "grey"))

    def start():
        program, config = small_vae(compile="no", threads=1, **settings)
        return fit(program, data, config)

    whole, half, rest = start(), start(), start()
    before = {name: parameter.clone() for name, parameter in whole.vae.named_parameters()}
    records = [*whole]
    assert all(math.isfinite(records[-1]["test"][score]) for score in ("loss", "reconstruction", "kl"))
    assert set(records[-1]["test"]["sites"]) == {"c", "z"}
    assert not {name for name, p in whole.vae.named_parameters() if p.requires_grad and torch.equal(p, before[name])}
    next(iter(half))  # the clusters are fitted after this epoch: by the training that goes on, too
    rest.load_state_dict(copy.deepcopy(half.state_dict()))
    assert [again["test"] for again in rest] == [record["test"] for record in records[1:]]


def test_a_training_resumed_after_the_first_step_with_clusters_does_not_fit_them_again():
    def start():
        program, config = small_vae(**SMALL, epochs=3, compile="no", threads=1)
        return fit(program, small_data(), config)

    whole, half, rest = [*start()], start(), start()
    for _ in half.paused(0.0):
        if (half.epoch, half.step) == (1, 1):
            break
    rest.load_state_dict(copy.deepcopy(half.state_dict()))
    assert [again["test"] for again in rest] == [record["test"] for record in whole[1:]]


def test_several_mixtures_train_as_one_program():
    def start(seed):
        program, config = small_vae(**SMALL, epochs=3, compile="no", threads=1, seed=seed)
        return fit(program, small_data(), config)

    together = [*fit_batched([start(0), start(1)])]
    for seed, records in enumerate(zip(*together)):
        losses = [record["test"]["loss"] for record in start(seed)]
        assert [record["test"]["loss"] for record in records] == pytest.approx(losses, rel=1e-4)


@pytest.mark.usefixtures("loops_of_numbers")
@pytest.mark.parametrize("settings", [{}, {"likelihood": "gaussian", "particles": 2}], ids=["elbo", "two particles"])
def test_compiled_steps_follow_the_same_path(settings):
    losses = []
    for choice in ("no", "yes"):
        program, config = small_vae(**(SMALL | settings), compile=choice, threads=1, epochs=2)
        training = fit(program, small_data(), config)
        losses.append([record["train"]["loss"] for record in training])
        assert training.compiled == (choice == "yes")
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)  # EM magnifies rounding


def test_before_the_clusters_are_fitted_the_program_is_a_vae():
    program, config = small_vae(**(SMALL | {"pretraining": 5}), compile="no", threads=1)
    vae, same = small_vae(compile="no", threads=1)
    for ours, theirs in zip(fit(program, small_data(), config), fit(vae, small_data(), same)):
        assert ours["test"]["loss"] == pytest.approx(theirs["test"]["loss"], rel=1e-5)
        assert ours["test"]["sites"]["c"] == pytest.approx(0, abs=1e-5)


def test_digits_are_sorted_without_labels():
    config = Config(
        program="mixture", latent_dim=10, likelihood="gaussian", scale=0.1, pretraining=40, epochs=42, batch_size=64
    ).replace(device="cpu", threads=1, compile="no")
    data = load(config)
    program = build(config, data.shape)
    (*_, record) = fit(program, data, config)
    latents = report(program, data)
    assert record["accuracy"] == latents["accuracy"] > 0.75
    assert latents["nmi"] > 0.75
    assert latents["ari"] > 0.65
    assert "kl_per_dimension" not in latents  # the prior has no dimensions of its own


def test_the_figure_has_a_row_for_each_cluster():
    run = drawable_run(**SMALL)
    ((_, figure),) = draw(run, ["clusters"])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [name.split()[0] for name in names] == ["a", "b", "c"]
    assert sum(float(name.split()[1].rstrip("%")) for name in names) == pytest.approx(100, abs=0.2)
    assert "clusters" in dict(draw(run))
    with pytest.raises(InputError, match="figure clusters: expected a program that finds clusters, got one without"):
        dict(draw(drawable_run(), ["clusters"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clusters": 1}, "clusters: expected greater than or equal to 2, got 1"),
        ({"posterior": "delta"}, "posterior: expected one that is a density for program mixture"),
        ({"prior": "vamp"}, "prior: expected normal, as program 'mixture' does not read it"),
        ({"condition": "label"}, "condition: expected none, as program 'mixture' does not read it"),
        ({"latent_dim": (3, 2)}, "latent_dim: expected one number for program 'mixture'"),
        ({"program": "vae", "clusters": 4}, r"clusters: expected 10, as program 'vae' .*\(mixture does"),
        ({"program": "vae", "pretraining": 4}, r"pretraining: expected 10, as program 'vae' .*\(mixture does"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        small_vae(**(SMALL | {"clusters": 10, "pretraining": 10} | settings))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("settings", [{"objective": "dreg", "particles": 2}, {"free_bits": 0.1}])
def test_estimators_that_do_not_sum_are_refused(settings):
    program, config = small_vae(**SMALL, **settings)
    with pytest.raises(InputError, match="as program 'mixture' sums over c"):
        fit(program, small_data(), config)


def test_more_clusters_than_images_are_refused():
    program, config = small_vae(**(SMALL | {"clusters": 41}))
    with pytest.raises(InputError, match="clusters: expected at most 40, one for each training image, got 41"):
        [*fit(program, small_data(), config)]


def test_the_class_says_what_it_is():
    assert (Mixture.code, Mixture.label, Mixture.supervised) == ("z", "c", False)
