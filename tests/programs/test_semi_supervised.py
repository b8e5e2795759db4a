"""The semi-supervised program: sums over labels against exact and brute-force ones, what it learns, what it refuses."""

import math

import numpy as np
import pytest
import torch
from pyro.infer import TraceEnum_ELBO
from support.builders import expect_resumed_with_few_labels, small_data, small_vae
from support.commands import pyrovae
from support.likelihoods import LIKELIHOODS
from support.linear import LINEAR
from support.losses import expect_exact

from pyrovae import SVI, Config, InputError, build, fit, load
from pyrovae.data.images import Images
from pyrovae.data.splits import with_labels
from pyrovae.evaluation.classes import agreement
from pyrovae.evaluation.importance import log_weights
from pyrovae.inference import seeded
from pyrovae.inference.objectives import SUMMED, EnumeratedELBO
from pyrovae.parts.networks import NETWORKS

CONFIG = Config(program="semi_supervised", labelled=150, hidden=(64,), latent_dim=4, epochs=25, device="cpu", threads=1)


def small(**settings):
    return small_vae(**({"program": "semi_supervised"} | settings))


@pytest.fixture
def linear(tmp_path):
    """A program whose networks are linear, with its exact log p(x | y) of every label, (n, classes)."""
    (tmp_path / "linear.py").write_text(LINEAR)
    network = f"{tmp_path / 'linear.py'}:Linear"
    program, _ = small(shape=(1, 2, 2), network=network, likelihood="gaussian", scale=0.8, hidden=(6,))
    first, last = program.decoder.body

    def exact(x):
        with torch.no_grad():
            weight = last.weight @ first.weight
            loc = weight[:, 2:].T + last.weight @ first.bias + last.bias  # one row for each label
            covariance = weight[:, :2] @ weight[:, :2].T + 0.8**2 * torch.eye(4)
            normal = torch.distributions.MultivariateNormal(loc, covariance)
            return normal.log_prob(x.flatten(1)[:, None])

    return program, exact


def test_the_log_likelihood_is_the_exact_sum_over_labels(linear):
    program, exact = linear
    x = program.generate(20, mean=False)
    log_joint = exact(x) - math.log(3)
    with seeded(2):
        expect_exact(log_weights(program.model, program.guide, 5000, x), log_joint.logsumexp(1), 0.1)
        y = torch.eye(3)[torch.arange(20) % 3]
        expect_exact(
            log_weights(program.model, program.guide, 5000, x, y), log_joint[torch.arange(20), y.argmax(1)], 0.1
        )


def test_the_elbo_is_the_sum_over_labels_by_brute_force(linear):
    """Σ_y q(y | x) (ELBO of z given y − log q(y | x)), each at many draws of z."""
    program, _ = linear
    n, x = 4000, program.generate(1, mean=False)
    q = program.classify(x)[0]
    many = x.expand(n, -1, -1, -1)
    with seeded(3), torch.no_grad():
        loss = EnumeratedELBO(max_plate_nesting=1).differentiable_loss(program.model, program.guide, many) / n
        brute = sum(q[label] * (_elbo_given(program, many, label) - math.log(3) - q[label].log()) for label in range(3))
    assert loss.item() == pytest.approx(-brute.item(), abs=0.06)  # standard errors of some 0.02


def _elbo_given(program, x, label):
    """Return the mean of log p(x | z, y) + log p(z) − log q(z | x, y) for one label, without any program."""
    y = torch.eye(3)[label].expand(len(x), 3)
    q = program.posterior(program.encoder(x, y))
    z = q.sample()
    log_p = program.prior().log_prob(z) + program.likelihood(program.decoder(z, y)).log_prob(x)
    return (log_p - q.log_prob(z)).mean()


@pytest.mark.parametrize(("objective", "alpha"), [("iwae", 0.0), ("renyi", 0.4)])
def test_bounds_of_several_particles_sum_inside_each_weight(linear, objective, alpha):
    program, _ = linear
    x, y = program.generate(6, mean=False), torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2])]
    y[3:] = 0.0
    settings = {"num_particles": 5, "vectorize_particles": True, "max_plate_nesting": 1}
    bound = SUMMED[objective](**settings, **({"alpha": alpha} if alpha else {}))
    program.classifier_weight = 0.0
    with seeded(5), torch.no_grad():
        loss = bound.differentiable_loss(program.model, program.guide, x, y)
    with seeded(5):
        log_w = (1 - alpha) * log_weights(program.model, program.guide, 5, x, y)
    expected = -(log_w.logsumexp(0) - math.log(5)).sum() / (1 - alpha)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_known_labels_are_certain_and_teach_the_classifier(linear):
    program, _ = linear
    x, y = program.generate(6, mean=False), torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2])]
    y[3:] = 0.0  # not known

    def loss(weight, y):
        program.classifier_weight = weight
        with seeded(4), torch.no_grad():
            elbo = EnumeratedELBO(max_plate_nesting=1)
            return elbo.differentiable_loss(program.model, program.guide, x, y).item(), elbo.terms

    (plain, terms), (taught, same) = loss(0.0, y), loss(7.0, y)
    log_q = program.classify(x).log()[[0, 1, 2], [0, 1, 2]].sum().item()
    assert taught - plain == pytest.approx(-7 * log_q, rel=1e-5)
    assert terms == same
    assert loss(0.0, torch.zeros(6, 3))[0] == pytest.approx(loss(0.0, None)[0], rel=1e-6)
    known, none = loss(0.0, y[:3].repeat(2, 1))[1]["y"].item(), -6 * math.log(1 / 3)
    assert known == pytest.approx(none, rel=1e-6)  # log q = 0 and log p = log 1/3 of each


def test_labels_are_hidden_evenly_and_by_the_seed():
    images = Images(torch.zeros(100, 1, 8, 8, dtype=torch.uint8), torch.arange(100) % 10)
    one, same, other = (with_labels(images, 23, 10, seed).labels for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.bincount(one[one >= 0], minlength=10).tolist() == [3, 3, 3, *[2] * 7]
    assert torch.equal(one[one >= 0], images.labels[one >= 0])
    with pytest.raises(InputError, match=r"labelled: expected at most the 100 training images .*, got 101"):
        with_labels(images, 101, 10, 0)
    with pytest.raises(InputError, match="labelled: expected at most the 0 training images"):
        with_labels(Images(images.images), 1, 10, 0)
    few = Images(images.images, (torch.arange(100) > 97).long())
    with pytest.raises(InputError, match="labelled: expected 10 training images of class 2, got 2"):
        with_labels(few, 20, 2, 0)


def test_a_hundred_and_fifty_labels_teach_the_digits():
    data = load(CONFIG)
    assert (data.train.labels >= 0).sum() == 150
    training = fit(build(CONFIG, data.shape, 10), data, CONFIG)
    records = [*training]
    assert records[-1]["accuracy"] > 0.87
    assert records[-1]["accuracy"] == agreement(training.vae, data, data.test)["accuracy"]
    assert records[-1]["train"]["objective"] > records[-1]["train"]["loss"]  # the classifier's loss is no part of it


GRID = [
    *({"likelihood": name, "pixels": member.domain[0]} for name, member in LIKELIHOODS.items()),
    *({"network": name} for name in NETWORKS),
    *({"posterior": name} for name in ("lowrank", "full", "flow")),
    *({"prior": name} for name in ("laplace", "student_t", "mixture", "flow")),
    {"particles": 3},
    {"warmup": 2},
    {"objective": "renyi", "particles": 3},
]


@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_all_parts_train_and_resume_bit_for_bit(settings):
    expect_resumed_with_few_labels(small, settings)


@pytest.mark.usefixtures("loops_of_numbers")
def test_the_compiled_step_is_the_eager_one():
    data, results = small_data(), []
    for compile in ("no", "yes"):
        program, config = small(compile=compile, threads=1)
        training = fit(program, data, config)
        results.append([*training])
        assert training.compiled == (compile == "yes")
    for eager, compiled in zip(*results):
        assert compiled["test"]["loss"] == pytest.approx(eager["test"]["loss"], rel=1e-4)


@pytest.mark.usefixtures("loops_of_numbers")
@pytest.mark.parametrize("estimator", [EnumeratedELBO, TraceEnum_ELBO])
def test_pyros_own_estimator_of_sums_is_evaluated_and_compiled_too(estimator):
    x, y = (
        torch.rand(6, 1, 8, 8).round(),
        torch.eye(3)[[0, 1, 2, 0, 1, 2]] * torch.tensor([1.0, 0, 1, 0, 0, 0])[:, None],
    )
    losses = []
    for compile in (False, True):
        program, _ = small()
        optimizer = torch.optim.Adam(program.parameters(), 1e-3, fused=True)
        svi = SVI(program.model, program.guide, optimizer, estimator(max_plate_nesting=1))
        with seeded(0):
            if compile:
                svi.compile(x, y)
        with seeded(1):
            losses.append([svi.evaluate_loss(x, y).item(), *(svi.step(x, y).item() for _ in range(3))])
        assert (svi.compiled is not None) == compile
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_images_are_drawn_and_encoded_for_a_label_or_without_one():
    program, _ = small()
    x = torch.rand(4, 1, 8, 8)
    assert program.classify(x).sum(1) == pytest.approx(torch.ones(4))
    with seeded(0):
        sevens = program.generate(y=torch.tensor([1, 1]))
    with seeded(0), torch.no_grad():
        assert torch.equal(sevens, program.likelihood(program.decoder(torch.randn(2, 2), torch.eye(3)[[1, 1]])).mean)
    assert program.generate(3).shape == program.decode(torch.randn(3, 2)).shape == (3, 1, 8, 8)
    y = torch.tensor([0, 1, 2, 0])
    inferred = program.classify(x).argmax(1)
    assert torch.equal(program.encode(x, inferred).mean, program.encode(x).mean)
    assert not torch.equal(program.encode(x, y).mean, program.encode(x, (y + 1) % 3).mean)
    with pytest.raises(InputError, match="labels from 0 to 2, got 0 to 3"):
        program.generate(y=torch.tensor([0, 3]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "vamp"}, "prior: expected one that encodes no images, as program semi_supervised"),
        ({"condition": "label"}, r"condition: expected none, as program 'semi_supervised' does not read it"),
        ({"latent_dim": (3, 2)}, "latent_dim: expected one number for program semi_supervised, got 3,2"),
        (
            {"objective": "dreg", "particles": 2},
            "objective: expected elbo or iwae or renyi, as program 'semi_supervised' s",
        ),
        ({"free_bits": 1.0}, "free_bits: expected 0, as program 'semi_supervised' sums over y, got 1.0"),
        (
            {"program": "vae", "labelled": 5},
            "labelled: expected 0, as program 'vae' does not read it .semi_supervised or s",
        ),
        ({"inference": "ladder"}, "inference: expected bottom_up, as program 'semi_supervised' does not read it"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        fit(small(**settings)[0], small_data(), small(**settings)[1])
    assert "\n" not in str(refusal.value)


def test_a_program_of_labels_needs_two_classes():
    with pytest.raises(InputError, match="expected images with two classes or more, got 0"):
        small(classes=0)


def test_the_command_line_trains_draws_a_label_and_evaluates(tmp_path, capsys):
    run, sevens = str(tmp_path / "run"), str(tmp_path / "sevens.npz")
    train = ["train", "--program", "semi_supervised", "--labelled", "50", "--epochs", "2", "--hidden", "16"]
    assert pyrovae([*train, "--out", run]) == 0
    assert "of the test labels are inferred rightly" in capsys.readouterr().out
    assert (tmp_path / "run" / "figures" / "confusion.png").exists()
    assert pyrovae(["sample", run, "-n", "3", "--label", "7", "--out", sevens]) == 0
    assert np.load(sevens)["labels"].tolist() == ["7", "7", "7"]
    assert pyrovae(["evaluate", run, "--samples", "50", "--images", "20"]) == 0
    assert "of the labels of the test set are inferred rightly" in capsys.readouterr().out
