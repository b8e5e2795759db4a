"""The stacked program: its exact log-likelihood, its sum over labels, what it learns, what it refuses."""

import math

import pyro
import pytest
import torch
from support.builders import expect_resumed_with_few_labels, small_data, small_vae
from support.likelihoods import LIKELIHOODS
from support.linear import LINEAR
from support.losses import expect_exact

from pyrovae import Config, InputError, build, fit, load
from pyrovae.evaluation.elbo import arguments
from pyrovae.evaluation.importance import log_weights
from pyrovae.inference import seeded
from pyrovae.inference.objectives import EnumeratedELBO
from pyrovae.parts.networks import NETWORKS
from pyrovae.training.batched import fit_batched
from pyrovae.training.step import TrainingStep


def small(**settings):
    return small_vae(**({"program": "stacked", "latent_dim": (4, 2)} | settings))


@pytest.fixture
def linear(tmp_path):
    """A program whose networks are linear and whose variances do not depend on codes, with its log p(x | y)."""
    (tmp_path / "linear.py").write_text(LINEAR)
    network = f"{tmp_path / 'linear.py'}:Linear"
    settings = {"network": network, "likelihood": "gaussian", "scale": 0.9, "hidden": (6,), "latent_dim": (3, 2)}
    program, _ = small(shape=(1, 2, 2), **settings)
    (layer,), head = program.lower_prior[0], program.lower_prior[1].head
    with torch.no_grad():
        head.weight[3:] = 0.0  # the rows of the variances
        for posterior in (program.posterior, program.upper_posterior):
            posterior.head.bias[len(posterior.head.bias) // 2 :] += 0.5  # wider than the true one

    def exact(x):
        with torch.no_grad():
            weight, bias = head.weight @ layer.weight, head.weight @ layer.bias + head.bias
            loc, noise = weight[:3, 2:].T + bias[:3], torch.diag(bias[3:].exp())  # of z1, one row for each label
            covariance = weight[:3, :2] @ weight[:3, :2].T + noise
            first, last = program.decoder.body
            weight, bias = last.weight @ first.weight, last.weight @ first.bias + last.bias
            covariance = weight @ covariance @ weight.T + 0.9**2 * torch.eye(4)
            normal = torch.distributions.MultivariateNormal(loc @ weight.T + bias, covariance)
            return normal.log_prob(x.flatten(1)[:, None])

    return program, exact


def test_a_linear_gaussian_one_meets_its_exact_log_likelihood(linear):
    program, exact = linear
    with seeded(1):
        x = program.generate(20, mean=False)
    log_joint = exact(x) - math.log(3)
    with seeded(2):
        expect_exact(log_weights(program.model, program.guide, 20_000, x), log_joint.logsumexp(1))
        labels = torch.arange(20) % 3
        given = log_weights(program.model, program.guide, 20_000, x, torch.eye(3)[labels])
        expect_exact(given, log_joint[torch.arange(20), labels])


def test_the_elbo_is_the_sum_over_labels_by_brute_force(linear):
    """At one z1: Σ_y q(y | z1) (log p(y) − log q(y | z1) + log p(z1 | z2, y) + ...), each at many draws of z2."""
    program, _ = linear
    n, x = 4000, program.generate(1, mean=False).expand(4000, -1, -1, -1)
    with seeded(3), torch.no_grad():
        loss = EnumeratedELBO(max_plate_nesting=1).differentiable_loss(program.model, program.guide, x) / n
    with seeded(4), torch.no_grad():
        q1 = program.posterior(program.encoder(x))
        z1 = q1.sample()
        q = program.classifier(z1).softmax(-1)
        elbo = program.likelihood(program.decoder(z1)).log_prob(x) - q1.log_prob(z1)
        for label in range(3):
            y = torch.eye(3)[label].expand(n, 3)
            q2 = program.upper_posterior(program.upper_encoder(torch.cat([z1, y], 1)))
            z2 = q2.sample()
            log_p = program.lower_prior(torch.cat([z2, y], 1)).log_prob(z1) + program.prior().log_prob(z2)
            elbo += q[:, label] * (log_p - q2.log_prob(z2) - math.log(3) - q[:, label].log())
    assert loss.item() == pytest.approx(-elbo.mean().item(), abs=0.2)  # standard errors of some 0.05


def test_known_labels_are_certain_and_teach_the_classifier(linear):
    program, _ = linear
    x, y = program.generate(6, mean=False), torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2])]
    y[3:] = 0.0  # not known

    def loss(weight):
        program.classifier_weight = weight
        with seeded(4), torch.no_grad():
            return EnumeratedELBO(max_plate_nesting=1).differentiable_loss(program.model, program.guide, x, y).item()

    with seeded(4), torch.no_grad():
        z1 = program.posterior(program.encoder(x)).sample()
        log_q = (program.classifier(z1).log_softmax(-1) * y).sum().item()
    assert loss(7.0) - loss(0.0) == pytest.approx(-7 * log_q, rel=1e-4)


def test_the_label_moves_images_and_the_code_is_the_upper_one():
    program, _ = small()
    x = torch.rand(5, 1, 8, 8)
    assert program.encode(x).event_shape == (2,)
    assert program.classify(x).sum(1) == pytest.approx(torch.ones(5))
    z = torch.zeros(3, 2)
    of_each = program.decode(z, torch.arange(3))
    assert not torch.equal(of_each[0], of_each[1])
    assert {name: site.inferred_after for name, site in program.sites(x).items()} == {
        "z1": (),
        "y": ("z1",),
        "z2": ("z1", "y"),
        "x": (),
    }


def test_a_hundred_and_fifty_labels_teach_the_digits():
    config = Config(
        program="stacked",
        labelled=150,
        labelled_batch=32,
        classifier_weight=50.0,
        hidden=(64,),
        latent_dim=(8, 4),
        epochs=40,
        device="cpu",
        threads=1,
    )
    data = load(config)
    records = [*fit(build(config, data.shape, 10), data, config)]
    assert records[-1]["accuracy"] > 0.85


def test_each_step_holds_more_images_whose_label_is_known():
    config = Config(program="stacked", labelled=150, labelled_batch=32, device="cpu", batch_size=100, epochs=1)
    data = load(config)
    training = fit(build(config, data.shape, 10), data, config)
    with seeded(0):
        batches = training.begin_epoch()
    assert [len(rows) for rows in batches] == [132] * 14 + [38 + 32]
    added = torch.cat([rows[-32:] for rows in batches])
    assert data.train.labels[added].min() >= 0
    assert len(added.unique()) > 100  # nearly all of the 150 are drawn
    assert torch.equal(torch.cat([rows[:-32] for rows in batches]).sort().values, torch.arange(1438))


def test_added_images_teach_the_classifier_and_count_in_no_score():
    """The gradient is that of the batch without them, and of the classifier's loss on them."""
    data = small_data()
    data.train.labels[20:] = -1
    program, config = small(labelled_batch=4, classifier_weight=3.0, compile="no")
    step = TrainingStep(program, data, config, torch.device("cpu"))
    rows, added = torch.arange(20, 36), torch.arange(4)
    with seeded(1):
        loss, *gradients = step.svi.gradients(torch.cat([rows, added]))
    assert step.total.n == 16
    x, y = arguments(program, data.batch(data.train, torch.cat([rows, added])), training=True)
    with seeded(1):
        z1 = program.posterior(program.encoder(x)).rsample()
        cross_entropy = -(program.classifier(z1).log_softmax(-1) * y)[16:].sum()
    with seeded(1):
        masked = pyro.poutine.mask(program.model, torch.arange(20) < 16)
        guide = pyro.poutine.mask(program.guide, torch.arange(20) < 16)
        elbo = EnumeratedELBO(max_plate_nesting=1).differentiable_loss(masked, guide, x, y)
    total = elbo + 3 * cross_entropy
    assert loss.item() == pytest.approx(total.item(), rel=1e-5)
    expected = torch.autograd.grad(total, [*program.parameters()], allow_unused=True)
    for one, other in zip(gradients, expected):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


GRID = [
    *({"likelihood": name, "pixels": member.domain[0]} for name, member in LIKELIHOODS.items()),
    *({"network": name} for name in NETWORKS),
    *({"posterior": name} for name in ("lowrank", "full", "flow")),
    *({"prior": name} for name in ("laplace", "student_t", "mixture", "flow")),
    {"particles": 3},
    {"labelled_batch": 5},
    {"objective": "iwae", "particles": 3},
    {"upper_hidden": (7, 6)},
]


@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_all_parts_train_and_resume_bit_for_bit(settings):
    expect_resumed_with_few_labels(small, settings)


@pytest.mark.usefixtures("loops_of_numbers")
def test_the_compiled_step_is_the_eager_one():
    data, results = small_data(), []
    data.train.labels[:20] = -1
    for compile in ("no", "yes"):
        program, config = small(compile=compile, threads=1, labelled_batch=6)
        training = fit(program, data, config)
        results.append([*training])
        assert training.compiled == (compile == "yes")
    for eager, compiled in zip(*results):
        assert compiled["test"]["loss"] == pytest.approx(eager["test"]["loss"], rel=1e-4)


def test_batched_trainings_are_those_of_each_alone():
    data = small_data()
    data.train.labels[:20] = -1

    def fits():
        made = [small(compile="no", threads=1, labelled_batch=6, seed=seed) for seed in (0, 1)]
        return [fit(program, data, config) for program, config in made]

    alone = [[*training] for training in fits()]
    together = [*fit_batched(fits())]
    for one, other in zip(zip(*alone), together):
        assert [record["test"]["loss"] for record in one] == pytest.approx(
            [record["test"]["loss"] for record in other], rel=1e-5
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 3}, "latent_dim: expected two numbers for program stacked, got 3"),
        ({"latent_dim": (3, 2, 1)}, "latent_dim: expected two numbers for program stacked, got 3,2,1"),
        ({"prior": "vamp"}, "prior: expected one that encodes no images, as program stacked"),
        ({"posterior": "delta"}, "posterior: expected one that is a density for program stacked, got a point"),
        ({"classes": 0}, "program stacked: expected images with two classes or more, got 0"),
        ({"skip": "yes"}, "skip: expected no, as program 'stacked' does not read it"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as refusal:
        small(**settings)
    assert "\n" not in str(refusal.value)


def test_no_label_is_drawn_where_none_is_known():
    data = small_data()
    data.train.labels[:] = -1
    program, config = small(labelled_batch=5)
    with pytest.raises(InputError, match="labelled_batch: expected 0, as no training image has a label, got 5"):
        fit(program, data, config)
