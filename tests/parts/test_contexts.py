"""Columns of a table as the context: what networks read, exact log p(x | y), and what a training learns of them."""

import math

import numpy as np
import pytest
import torch
from support.builders import expect_resumed, without_seconds
from support.conditions import WORDS, data_of, means_of, table
from support.linear import LINEAR

from pyrovae import Config, Data, InputError, build, elbo_scores, fit, impute, log_likelihoods
from pyrovae.parts.contexts import Columns
from pyrovae.parts.kinds import Kind
from pyrovae.parts.priors import PRIORS
from pyrovae.programs.build import build_for
from pyrovae.training.batched import fit_batched

pytestmark = pytest.mark.filterwarnings("ignore:dataset. ")

CONDITION = "column1,column3,column4,column5"
SMALL = {"pixels": "real", "likelihood": "gaussian", "condition": CONDITION, "device": "cpu", "compile": "no"}
SCALE = 0.6


def by_hand(data, rows):
    """What networks read of the conditions: age and log(1 + children) standardised, smokes as it is, sex one-hot."""
    train, y = data.train.given.double(), rows.double()
    age, children = train[:, 0], train[:, 3].log1p()
    return torch.stack(
        [
            (y[:, 0] - age.mean()) / age.std(correction=0),
            *(y[:, 1] == place for place in range(3)),
            y[:, 2],
            (y[:, 3].log1p() - children.mean()) / children.std(correction=0),
        ],
        1,
    )


def test_networks_read_scaled_numbers_and_one_hot_categories():
    data = data_of(table())
    program = build_for(Config(**SMALL), data)
    x, y = data.batch(data.test, slice(0, 50))
    assert [kind.kind for kind in data.conditions.values()] == ["real", "category", "binary", "count"]
    assert (data.columns, program.shape, program.context.shape) == (("column2", "column6", "column7"), (3,), (6,))
    torch.testing.assert_close(program.given(x, y).double(), by_hand(data, y), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("prior", ["normal", "conditional"])
def test_the_likelihood_is_the_exact_one_of_a_linear_gaussian_model(prior, tmp_path):
    """Where x = W z + V y + b + noise and z ~ N(μ(y), diag σ(y)²): log p(x | y) is known."""
    (tmp_path / "linear.py").write_text(LINEAR, encoding="utf-8")
    data = data_of(table())
    network = f"{tmp_path}/linear.py:Linear"
    program = build_for(Config(**SMALL, network=network, hidden=(8,), scale=SCALE, prior=prior), data)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in [*program.decoder.parameters(), *program.prior.parameters()]:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        for parameter in program.posterior.parameters():
            parameter.zero_()  # the guide is N(0, 1), which leaves out no code that matters
        rows = data.test[slice(0, 40)]
        y = by_hand(data, rows.given).float()
        loc = [
            program.decoder(z.expand(len(y), 2), y)[:, 0].double() for z in (torch.zeros(1, 2), *torch.eye(2)[:, None])
        ]
        w = torch.stack([(each - loc[0])[0] for each in loc[1:]], -1)
        mean, sd = (
            (m.double() for m in program.prior.moments(y))
            if prior == "conditional"
            else (torch.zeros(40, 2).double(), torch.ones(40, 2).double())
        )
        x = (
            loc[0]
            + (mean + sd * torch.randn(40, 2, generator=generator)) @ w.T
            + SCALE * torch.randn(40, 3, generator=generator)
        )
    covariance = (w * sd[:, None] ** 2) @ w.T + SCALE**2 * torch.eye(3).double()
    exact = torch.distributions.MultivariateNormal(loc[0] + mean @ w.T, covariance).log_prob(x)
    rows = type(rows)(x.float(), None, rows.given)
    (batch,) = log_likelihoods(program, data, rows, samples=20_000)
    error = batch["effective_samples"].reciprocal().sum().sqrt() / len(x)
    assert abs(batch["log_likelihood"].mean() - exact.mean()) < 2 * error
    assert error < 0.02
    assert (batch["log_likelihood"] - exact).abs().max() < 0.3


def trained(data, **settings):
    config = Config(
        **SMALL | {"epochs": 60, "hidden": (32,), "batch_size": 50, "lr": 5e-3, "scale": "pixel"} | settings
    )
    program = build_for(config, data)
    records = [*fit(program, data, config)]
    return program, records[-1]["test"]["loss"]


def test_training_learns_the_conditional_means_which_shuffled_conditions_do_not_have():
    columns = table(1000)
    program, loss = trained(data_of(columns))
    y = {"column1": [25, 40, 60, 75], "column3": ["female", "male", "other", "male"], "column4": [0, 1, 0, 1]}
    rows = [program.generate(y=y | {"column5": n}).detach() for n in (0, 2) for _ in range(400)]
    got = torch.stack(rows).unflatten(0, (2, 400)).mean(1)
    for drawn, children in zip(got.numpy(), (0, 2)):
        truth = means_of(
            np.array(y["column1"]), [WORDS.index(word) for word in y["column3"]], np.array(y["column4"]), children
        )
        np.testing.assert_allclose(drawn, truth, atol=0.5)  # of spans from 5 to 8
    order = np.random.default_rng(0).permutation(1000)
    shuffled = columns | {name: columns[name][order] for name in ("age", "sex", "smokes", "children")}
    exact = 3 * (0.5 + 0.5 * math.log(2 * math.pi))  # the entropy of the noise
    assert exact - 0.3 < loss < exact + 0.6
    assert trained(data_of(shuffled))[1] > loss + 1
    data = data_of(columns)
    wrong = data.test[slice(None)]
    wrong.given[:] = wrong.given[torch.randperm(len(wrong), generator=torch.Generator().manual_seed(0))]
    assert elbo_scores(program, data, wrong)["loss"] > loss + 5


OF_COMPONENTS = ("mixture", "vamp", "exemplar")
PROGRAMS = [
    {},
    *({"prior": name} for name in PRIORS if name not in ("normal", *OF_COMPONENTS)),
    *({"prior": name, "components": 5} for name in OF_COMPONENTS),
    {"posterior": "flow"},
    {"objective": "dreg", "particles": 3},
    {"network": "gated"},
    {"network": "linear_decoder"},
    {"program": "hierarchical"},
    {"program": "hierarchical", "inference": "top_down"},
    {"program": "discrete", "variables": 3, "symbols": 3},
    {"compile": "yes"},
]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("settings", PROGRAMS, ids=str)
def test_programs_that_are_given_columns_train_and_resume(settings, gaps):
    columns = table(60)
    if gaps:
        columns["height"][::3] = np.nan
    data = data_of(columns, test=20)

    def start():
        torch.manual_seed(0)
        config = Config(**SMALL | {"epochs": 3, "hidden": (8,), "batch_size": 16, "threads": 1} | settings)
        return fit(build_for(config, data), data, config)

    expect_resumed(start)
    if gaps:
        program = start().vae
        (batch,) = impute(program, data, data.test, samples=10, draws=2)
        assert not batch.mean.isnan().any()
        assert not batch.draws.isnan().any()


def test_values_missing_not_at_random_take_conditions():
    columns = table(60)
    columns["height"][columns["height"] > 4] = np.nan
    data = data_of(columns, test=20)
    config = Config(**SMALL, program="not_at_random", epochs=2, hidden=(8,))
    *_, last = fit(build_for(config, data), data, config)
    assert math.isfinite(last["test"]["loss"])


def test_the_compiled_step_and_a_stream_of_rows_are_the_eager_step(monkeypatch):
    data = data_of(table(60), test=20)
    records = {}
    for name in ("eager", "compiled", "streamed"):
        if name == "streamed":
            monkeypatch.setattr("pyrovae.data.images.Images.fits", lambda *_: False)
        config = Config(**SMALL | {"epochs": 2, "hidden": (8,), "compile": "yes" if name == "compiled" else "no"})
        records[name] = without_seconds(fit(build_for(config, data), data, config))
    assert records["streamed"] == records["eager"]
    assert records["compiled"][-1]["train"] == pytest.approx(records["eager"][-1]["train"], rel=1e-4)


def test_batched_fits_train_as_each_does_alone():
    data = data_of(table(60), test=20)

    def fits():
        configs = [Config(**SMALL | {"epochs": 2, "hidden": (8,), "seed": seed, "compile": "auto"}) for seed in (0, 1)]
        return [fit(build_for(config, data), data, config) for config in configs]

    alone = [[*each][-1]["test"] for each in fits()]
    *_, together = fit_batched(fits())
    for expected, record in zip(alone, together):
        assert record["test"] == pytest.approx(expected, rel=1e-4)


KINDS = {
    "age": Kind("count", "poisson", mean=3.0, std=0.5),
    "height": Kind("real", "gaussian", mean=170.0, std=10.0),
    "sex": Kind("category", "categorical", ("female", "male")),
    "smokes": Kind("binary", "bernoulli"),
}


@pytest.fixture(scope="module")
def program():
    config = Config(pixels="real", likelihood="gaussian", condition=",".join(KINDS), hidden=(8,))
    return build(config, (3,), conditions=KINDS)


def test_values_are_given_by_name_or_as_rows(program):
    rows = torch.tensor([[40, 180.5, 1, 0], [50, 180.5, 0, 0]])
    named = {"age": ["40", 50], "sex": ["male", "female"], "height": 180.5, "smokes": False}
    assert torch.equal(program.context.rows(named), rows)
    for y in (named, rows, rows.numpy()):
        torch.manual_seed(0)
        drawn = torch.as_tensor(program.generate(y=y))
        torch.manual_seed(0)
        torch.testing.assert_close(drawn, program.generate(2, rows), rtol=1e-6, atol=1e-6)
    z = torch.zeros(1, 2)
    assert program.decode(
        z, {name: each[0] if isinstance(each, list) else each for name, each in named.items()}
    ).shape == (1, 3)
    assert program.encode(torch.zeros(2, 3), named).mean.shape == (2, 2)
    many = {"age": [*range(1500)], "height": np.zeros(1500), "sex": "male", "smokes": torch.zeros(1500)}
    assert torch.equal(
        program.reconstruct(torch.zeros(1500, 3), many)[1400:],
        program.reconstruct(
            torch.zeros(100, 3), many | {name: many[name][1400:] for name in ("age", "height", "smokes")}
        ),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": None}, r"y: age: expected whole numbers from 0 to 16,777,216, got None"),
        ({"age": -1}, r"y: age: expected whole numbers from 0 to 16,777,216, got -1"),
        ({"age": [1, 2, 3]}, "y: expected one value of age, or 2, got 3"),
        ({"height": "tall"}, "y: height: expected finite numbers, got 'tall'"),
        ({"height": 10**400}, "y: height: expected finite numbers, got 1000"),
        ({"height": 1e39}, "y: height: expected finite numbers, got 1e"),
        ({"sex": "femal"}, "y: sex: expected one of female, male, got 'femal'; did you mean 'female'"),
        ({"smokes": 2}, "y: smokes: expected 0 and 1, got 2"),
        ({"agee": 3}, "y: expected one of age, height, sex, smokes, got 'agee'; did you mean 'age'"),
    ],
)
def test_values_that_a_column_cannot_have_are_refused(change, message, program):
    with pytest.raises(InputError, match=message):
        program.generate(2, {"age": 4, "height": 1.0, "sex": "male", "smokes": 1} | change)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({"age": 4}, "y: expected a value of height, sex, smokes, too, got those of age"),
        (None, "y: expected columns, as the model is conditional, got none"),
        (torch.zeros(2, 3), r"y: expected values \(2, 4\) of age, height, sex, smokes, got shape \(2, 3\)"),
        (torch.zeros(2, dtype=torch.long), r"y: expected values \(2, 4\) of .*, got shape \(2,\)"),
        (torch.tensor([[4, 1.0, 2, 1]]), "y: expected places of categories from 0 to 1 as sex, got 2"),
        (torch.tensor([[4.5, 1.0, 1, 1]]), "y: expected whole numbers .* as age, got 4.5"),
        (torch.tensor([[4, math.nan, 1, 1]]), "y: expected finite numbers as height, got nan"),
        (torch.zeros(3, 4), "y: expected a tensor of 2 columns, got shape"),
    ],
)
def test_rows_that_are_none_of_the_columns_are_refused(y, message, program):
    n = None if isinstance(y, torch.Tensor) and len(y) < 2 else 2
    with pytest.raises(InputError, match=message):
        program.generate(n, y)


def test_programs_and_data_of_other_conditions_are_refused():
    data = data_of(table(60), test=20)
    other = Data.of(np.random.default_rng(0).normal(size=(40, 3)), pixels="real")
    config = Config(**SMALL)
    program = build_for(config, data)
    with pytest.raises(InputError, match=r"condition: expected data with the conditions column1, .*, got none"):
        build_for(config, other)
    with pytest.raises(InputError, match=r"data: expected the columns .* as conditions, column1, .*, got none"):
        fit(program, other, config)
    with pytest.raises(InputError, match=r"data: expected .* as conditions, none, got column1, column3"):
        elbo_scores(build(Config(pixels="real", likelihood="gaussian"), (3,)), data, data.test)
    with pytest.raises(InputError, match="condition: expected none, as program 'mixture' does not read it"):
        build_for(config.replace(program="mixture"), data)
    with pytest.raises(InputError, match="y: expected columns, as the model is conditional, got images without any"):
        program.given(torch.zeros(2, 3))
    assert Columns(data.conditions).shape == (6,)
