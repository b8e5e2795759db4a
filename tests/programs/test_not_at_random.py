"""Values that are missing for what they are: scores and imputations are the exact ones, by quadrature."""

import itertools
import math

import pytest
import torch
from support.builders import expect_resumed
from torch.distributions import Bernoulli, MultivariateNormal

from pyrovae import Config, Data, InputError, build, fit, impute, log_likelihoods
from pyrovae.data import Images
from pyrovae.evaluation.annealing import annealed_log_likelihoods
from pyrovae.explain.explanation import explain
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.missingness import MISSINGNESS
from pyrovae.parts.networks import NETWORKS

D, SCALE = 3, 0.5
SETTINGS = {"program": "not_at_random", "pixels": "real", "likelihood": "gaussian", "device": "cpu", "hidden": (8,)}


def factor_model(missingness):
    """A linear-Gaussian program, x ~ N(b, W Wᵀ + σ² I), whose large values go missing; b and the covariance."""
    settings = {"network": "linear_decoder", "scale": SCALE, "missingness": missingness}
    program = build(Config(**SETTINGS | settings), (D,), missing=True)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in (program.decoder, program.missingness):
            for parameter in part.parameters():
                parameter.copy_(
                    torch.randn(parameter.shape, generator=generator) * (0.6 if part is program.decoder else 0.1)
                )
        loc = program.decoder(torch.cat([torch.zeros(1, 2), torch.eye(2)]))[:, 0].double()
    w = (loc[1:] - loc[0]).T
    return program, loc[0], w @ w.T + SCALE**2 * torch.eye(D, dtype=torch.float64)


def exact(row, missing, program, mean, covariance):
    """Return log p(x_seen, s) = log ∫ p(x) p(s | x) dx_missing and E[x_missing | x_seen, s], on a grid."""
    gaps = missing.nonzero()[:, 0].tolist()
    spread = covariance.diagonal().sqrt()
    axes = [torch.linspace(-8, 8, 321, dtype=torch.float64) * spread[d] + mean[d] for d in gaps]
    points = torch.tensor([*itertools.product(*(axis.tolist() for axis in axes))], dtype=torch.float64)
    x = row.double().nan_to_num().expand(len(points), D).clone()
    x[:, gaps] = points
    with torch.no_grad():
        s = Bernoulli(logits=program.missingness(x.float()).double()).log_prob(missing.double()).sum(-1)
    joint = MultivariateNormal(mean, covariance).log_prob(x) + s
    cell = sum(math.log(axis[1] - axis[0]) for axis in axes)
    total = joint.logsumexp(0) + cell
    return total, ((joint + cell - total).exp()[:, None] * x).sum(0)


def gappy(mean, covariance):
    x = MultivariateNormal(mean, covariance).sample((8,)).float()
    missing = torch.tensor([*itertools.product((False, True), repeat=D)])
    missing[-1] = missing[1]  # a grid of three dimensions takes long
    return torch.where(missing, math.nan, x), missing


@pytest.mark.parametrize("missingness", MISSINGNESS)
def test_scores_and_means_are_those_of_quadrature(missingness):
    torch.manual_seed(1)
    program, mean, covariance = factor_model(missingness)
    x, missing = gappy(mean, covariance)
    rows = Images(x)
    data = Data("rows", rows, rows, pixels=Data.of(x.nan_to_num(), pixels="real").pixels)
    (scores,) = log_likelihoods(program, data, rows, samples=40_000)
    (filled,) = impute(program, data, rows, samples=40_000, draws=200)
    assert not filled.mean.isnan().any()
    for i, row in enumerate(x):
        score, means = exact(row, missing[i], program, mean, covariance)
        error = scores["effective_samples"][i].rsqrt()
        assert abs(scores["log_likelihood"][i] - score) < 4 * error
        spread = covariance.diagonal().sqrt()
        assert ((filled.mean[i] - means).abs() < 4 * spread * filled.effective_samples[i].rsqrt()).all()
        assert ((filled.draws[:, i].mean(0) - means).abs() < 4 * spread / math.sqrt(200)).all()
        torch.testing.assert_close(filled.mean[i][~missing[i]], row[~missing[i]])


@pytest.mark.filterwarnings("ignore:dataset. .* are missing")
def test_missing_values_are_inferred_to_be_large_where_large_ones_go_missing():
    """A model that counts them as missing at random imputes them too small."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 1, generator=generator) + 0.3 * torch.randn(2000, 3, generator=generator)
    seen = x.clone()
    seen[x[:, 0] > 0.5, 0] = math.nan
    gaps = seen.isnan()
    data = Data.of(seen, test=seen, pixels="real")
    train = {"network": "linear_decoder", "latent_dim": 1, "objective": "iwae", "particles": 5}
    train |= {"epochs": 20, "lr": 0.01}
    errors = {}
    for name, settings in {"vae": {}, "not_at_random": {"missingness": "increasing"}}.items():
        config = Config(**SETTINGS | train | settings | {"program": name})
        program = build(config, data.shape, missing=True)
        for _ in fit(program, data, config):
            pass
        mean = torch.cat([batch.mean for batch in impute(program, data, data.test, samples=200)])
        errors[name] = (mean - x)[gaps].mean().item()
    assert errors["vae"] < -0.1
    assert abs(errors["not_at_random"]) < 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"likelihood": "bernoulli", "pixels": "binary"}, "likelihood: expected one whose draws have a gradient"),
        ({"scale": "optimal"}, "scale: expected one that does not follow from the values"),
        ({"missingness": "self_masked"}, "missingness: expected one of self_masking, .* did you mean 'self_masking'"),
        ({"program": "vae", "missingness": "linear"}, "missingness: expected self_masking, as program 'vae' does not"),
    ],
)
def test_what_does_not_fit_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build(Config(**SETTINGS | settings), (D,), missing=True)


def test_data_without_missing_values_are_refused():
    with pytest.raises(InputError, match="program not_at_random: expected data with missing values"):
        build(Config(**SETTINGS), (D,))


GRID = [
    *({"likelihood": name} for name in ("gaussian", "laplace", "student_t")),
    {"scale": "pixel"},
    *({"likelihood": name, "pixels": "grey"} for name in ("continuous_bernoulli", "beta")),
    *({"network": name} for name in NETWORKS),
    *({"prior": name} for name in ("mixture", "vamp", "exemplar")),
    *({"posterior": name} for name in ("lowrank", "full")),
    *({"missingness": name} for name in MISSINGNESS),
    {"condition": "label"},
    *({"objective": name, "particles": 3} for name in OBJECTIVES if name not in ("mmd", "elbo")),
]


def small(**settings):
    """A program of images with missing pixels, its data and its config."""
    generator = torch.Generator().manual_seed(0)
    x, missing = torch.rand(40, 8, 8, generator=generator), torch.rand(40, 8, 8, generator=generator) < 0.3
    config = Config(**{**SETTINGS, "pixels": "standardized", "compile": "no", "threads": 1, "components": 5} | settings)
    data = Data.of(x, torch.arange(40) % 3, pixels=config.pixels, missing=missing)
    config = config.without(build(config, data.shape, 3, missing=True).unread)
    return build(config, data.shape, 3, missing=True), data, config


@pytest.mark.filterwarnings("ignore:epoch .* the posterior collapses")
@pytest.mark.parametrize("settings", GRID, ids=lambda settings: " ".join(map(str, settings.values())))
def test_all_parts_train_resume_bit_for_bit_and_impute(settings):
    expect_resumed(lambda: fit(*small(epochs=2, batch_size=16, **settings)))
    program, data, _ = small(**settings)
    (filled,) = impute(program, data, data.test, samples=10, draws=2)
    assert filled.mean.isfinite().all()
    assert filled.draws.isfinite().all()


@pytest.mark.usefixtures("loops_of_numbers")
def test_the_compiled_step_is_the_eager_one():
    results = []
    for compile in ("no", "yes"):
        training = fit(*small(compile=compile, epochs=2))
        results.append([record["test"]["loss"] for record in training])
        assert training.compiled == (compile == "yes")
    assert results[1] == pytest.approx(results[0], rel=1e-4)


def test_annealing_and_the_explanation_agree_with_sampling():
    torch.manual_seed(1)
    program, mean, covariance = factor_model("increasing")
    x, _ = gappy(mean, covariance)
    rows = Images(x)
    data = Data("rows", rows, rows, pixels=Data.of(x.nan_to_num(), pixels="real").pixels)
    (scores,) = log_likelihoods(program, data, rows, samples=20_000)
    (annealed,) = annealed_log_likelihoods(program, data, rows, chains=200, steps=30)
    expected = scores["log_likelihood"].to(annealed["log_likelihood"])
    torch.testing.assert_close(annealed["log_likelihood"], expected, rtol=0, atol=0.1)
    assert explain(program, data.batch(rows, slice(0, 8))).agrees
