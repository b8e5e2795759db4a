"""Counts given the total of their row."""

import math

import numpy as np
import pyro
import pytest
import torch
from scipy import stats
from support.builders import expect_resumed
from support.tables import FactorModel

from pyrovae import Config, Data, InputError, Run, build, fit, log_likelihoods
from pyrovae.parts.likelihoods import GivenTotal
from pyrovae.parts.likelihoods.counts import NegativeBinomial, Poisson
from pyrovae.programs import PROGRAMS

FAMILIES = {"poisson": Poisson, "negative_binomial": NegativeBinomial}
ROWS = FactorModel().draw(200, seed=3)


def made(name, width, totals=(4.0, 10.0, 30.0)):
    likelihood = FAMILIES[name]()
    likelihood.dims = 1
    wrapped = GivenTotal(likelihood, width)
    wrapped.totals = torch.tensor(totals)
    return wrapped


def settings(**more):
    return Config(**{"pixels": "counts", "library_size": "observed", "likelihood": "negative_binomial", **more})


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_a_mass_function_given_a_total(name):
    likelihood = made(name, 2).double()
    h = torch.tensor([[0.3, -0.5], [1.0, 1.5]], dtype=torch.float64)[: likelihood.features]
    axis = torch.arange(120, dtype=torch.float64)
    x = torch.cartesian_prod(axis, axis)
    for total in (0.5, 3.0, 8.0):
        given = likelihood(h).given(torch.tensor(total, dtype=torch.float64))
        assert given.log_prob(x).exp().sum().item() == pytest.approx(1, abs=1e-9)
        assert given.mean.sum().item() == pytest.approx(total)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_is_scored_at_its_own_total(name):
    likelihood, width = made(name, 5), 5
    h = torch.randn(3, likelihood.features, width, generator=torch.Generator().manual_seed(0))
    x = torch.tensor([[3.0, 0, 1, 0, 9], [0, 0, 0, 0, 1], [100, 20, 0, 4, 7]])
    mean = x.sum(-1, keepdim=True) * h[:, 0].softmax(-1)
    if name == "poisson":
        exact = stats.poisson(mean.numpy()).logpmf(x.numpy())
    else:
        r = h[:, 1].exp().numpy()
        exact = stats.nbinom(r, r / (r + mean.numpy())).logpmf(x.numpy())
    score = likelihood(h).log_prob(x)
    np.testing.assert_allclose(score.numpy(), exact.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(likelihood.log_density(h, x).numpy(), exact, rtol=1e-4, atol=1e-5)
    particles = likelihood(h.expand(2, *h.shape)).log_prob(x)
    torch.testing.assert_close(particles, score.expand(2, 3))
    torch.testing.assert_close(likelihood(h[0]).expand((3,)).log_prob(x)[0], score[0])


def test_a_row_without_counts_has_no_score_and_no_gradient_that_is_not_finite():
    h = torch.zeros(1, 2, 4, requires_grad=True)
    score = made("negative_binomial", 4)(h).log_prob(torch.zeros(1, 4))
    score.sum().backward()
    assert score.item() == pytest.approx(0, abs=1e-30)
    assert h.grad.isfinite().all()


def test_draws_take_the_totals_that_are_kept_and_means_their_median():
    likelihood = made("poisson", 4)
    distribution = likelihood(torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).expand(3000, 1, 4))
    torch.manual_seed(0)
    totals = distribution.sample().sum(-1)
    variance = np.var([4, 10, 30]) + np.mean([4, 10, 30])  # of the totals, and Poisson's
    assert totals.mean().item() == pytest.approx(44 / 3, abs=4 * math.sqrt(variance / 3000))
    assert totals.var().item() == pytest.approx(variance, rel=0.1)
    assert distribution.sample((2,)).shape == (2, 3000, 4)
    torch.testing.assert_close(distribution.mean.sum(-1), torch.full((3000,), 10.0))


def test_a_fitted_program_keeps_totals_of_training_rows_and_reconstructs_rows_at_their_own(tmp_path):
    data = Data.of(ROWS.numpy(), pixels="counts")
    config = settings(epochs=1, hidden=(8,), device="cpu")
    fitting = fit(build(config, data.shape), data, config)
    run = Run.create(tmp_path / "run", config)
    for record in fitting:
        run.record(record, fitting)
    program, x = fitting.vae, data.batch(data.train, slice(None)).x
    kept = program.likelihood.totals
    assert {*kept.tolist()} == {*x.sum(-1).tolist()}  # a thousand, each training row five or six times
    torch.testing.assert_close(program.reconstruct(x).sum(-1), x.sum(-1))
    again = program.reconstruct(x.numpy())
    np.testing.assert_allclose(again.sum(-1), x.sum(-1).numpy(), rtol=1e-4)
    torch.testing.assert_close(program.decode(torch.randn(3, 2)).sum(-1), kept.median().expand(3))
    rows = program.generate(50, mean=False)
    assert (rows == rows.round()).all()
    assert rows.sum(-1).std() > 20
    run.finish(fitting)
    assert torch.equal(Run(tmp_path / "run").vae.likelihood.totals, kept)
    assert Run(tmp_path / "run").summary["note"] == "log p of a row given its total, the library size"


def test_a_program_with_the_decoder_of_the_truth_has_its_likelihood():
    """Both are integrated over a grid of codes, in the program as its likelihood scores rows."""
    truth, x = FactorModel(), ROWS[:40]
    program = build(settings(network="linear_decoder"), (20,)).double()
    layer = program.decoder.body[0]
    with torch.no_grad():
        layer.weight.copy_(torch.cat([truth.weight, torch.zeros(20, 2)]))
        layer.bias.copy_(torch.cat([truth.offset, truth.log_r]))
    given = program.image_distribution(truth.grid)
    scores = torch.stack([torch.logsumexp(truth.log_weights + given.log_prob(row), 0) for row in x])
    torch.testing.assert_close(scores, truth.log_likelihood(x), atol=1e-6, rtol=0)


def test_counts_are_scored_within_a_percent_of_the_truth_given_their_totals():
    truth = FactorModel()
    train, test = truth.draw(4000, seed=1), truth.draw(300, seed=2)
    data = Data.of(train.numpy(), test=test.numpy(), pixels="counts")
    config = settings(hidden=(64,), epochs=12, batch_size=100, lr=3e-3, schedule="cosine", device="cpu")
    program = build(config, data.shape)
    for _ in fit(program, data, config):
        pass
    batches = log_likelihoods(program, data, data.test, samples=100)
    estimate = torch.cat([batch["log_likelihood"] for batch in batches]).double().mean().item()
    exact = truth.log_likelihood(test).mean().item()
    print(f"{estimate:.3f} of {exact:.3f} nats: {estimate / exact - 1:+.3%}")
    assert estimate == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("program", [name for name in PROGRAMS if name != "not_at_random"])
def test_every_program_takes_it_and_resumes(program):
    data = Data.of(ROWS.numpy(), torch.arange(200) % 3, pixels="counts")
    more = {"pretraining": 1} if program == "mixture" else {}
    config = settings(program=program, hidden=(16,), epochs=2, batch_size=64, device="cpu", **more)

    def start():
        return fit(build(config, data.shape, 3), data, config)

    fitting = start()
    assert any(isinstance(part, GivenTotal) for part in fitting.vae.modules())
    expect_resumed(start)


def test_pyros_own_inference_trains_it():
    data = Data.of(ROWS.numpy(), pixels="counts")
    program = build(settings(hidden=(8,)), data.shape)
    pyro.clear_param_store()
    svi = pyro.infer.SVI(program.model, program.guide, pyro.optim.Adam({"lr": 1e-2}), pyro.infer.Trace_ELBO())
    x = data.batch(data.train, slice(None)).x
    losses = [svi.step(x) for _ in range(30)]
    pyro.clear_param_store()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("more", "missing", "message"),
    [
        ({"pixels": "real", "likelihood": "gaussian"}, False, "library_size: expected pixels = 'counts' beside it"),
        ({"pixels": "bytes"}, False, "library_size: expected pixels = 'counts' beside it, got pixels = 'bytes'"),
        (
            {},
            True,
            "library_size: expected 'none' for data with missing values, as the total of a row is then not known",
        ),
    ],
)
def test_what_has_no_total_is_refused(more, missing, message):
    with pytest.raises(InputError, match=message):
        build(settings(**more), (5,), missing=missing)


def test_a_likelihood_without_rates_is_refused(tmp_path):
    (tmp_path / "own.py").write_text(
        "import pyro.distributions as dist\nfrom torch import nn\nclass Flat(nn.Module):\n"
        "    features, domain = 1, ('counts',)\n"
        "    def forward(self, h):\n        return dist.Geometric(logits=h[..., 0, :]).to_event(1)\n",
        encoding="utf-8",
    )
    with pytest.raises(
        InputError, match="library_size: expected likelihood poisson or negative_binomial beside it, got"
    ):
        build(settings(likelihood=f"{tmp_path / 'own.py'}:Flat"), (5,))
