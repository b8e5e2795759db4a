"""Tables of mixed columns: what each column is read as, its likelihood, its encoder, and what is refused."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from support.commands import pyrovae
from support.tables import tables_of_truth
from torch.distributions import Bernoulli, Categorical, LogNormal, NegativeBinomial, Normal, Poisson, StudentT

from pyrovae import Config, Data, InputError, Run, build, fit, impute, load, log_likelihoods
from pyrovae.data import Images
from pyrovae.parts.kinds import Kind
from pyrovae.parts.likelihoods.columns import Columns
from pyrovae.parts.networks.observed import width

pytestmark = pytest.mark.filterwarnings("ignore:dataset. ")

MIXED = {
    "height": np.array([1.5, -0.25, np.nan, 2.0]),
    "income": np.array([10.5, 0.25, 3.0, 7.5]),
    "children": np.array([0, 2, 1, 5]),
    "smokes": np.array([0, 1, 1, 0]),
    "region": np.array(["north", "south", "", "east"]),
}


def rows(**columns):
    """Return a table as rows of objects."""
    return np.array([*zip(*(values.tolist() for values in (columns or MIXED).values()))], dtype=object)


def mixed(values, **settings):
    return Data.of(values, test=values, pixels="columns", **settings)


def test_each_column_is_read_as_what_its_values_look_like():
    with pytest.warns(UserWarning, match="column1 real .gaussian., column2 positive .lognormal.") as told:
        data = mixed(rows())
    assert any("10.00% of the values" in str(warning.message) for warning in told)
    assert [kind.kind for kind in data.kinds] == ["real", "positive", "count", "binary", "category"]
    assert data.kinds[4].categories == ("east", "north", "south")
    assert data.train.images[:, 4].tolist()[:2] == [1.0, 2.0]
    assert (
        data.train.images[:, 4].isnan().tolist()
        == data.train.images[:, 0].isnan().tolist()
        == [False, False, True, False]
    )
    assert data.kinds[0].mean == pytest.approx(np.nanmean(MIXED["height"]))
    assert data.kinds[1].mean == pytest.approx(np.log(MIXED["income"]).mean())
    assert data.kinds[2].mean == pytest.approx(np.log1p(MIXED["children"]).mean())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.0, 1.0, 1.0], "binary"),
        ([True, False, True], "binary"),
        ([0, 1, 2], "count"),
        ([1.0, 3.0, np.nan], "count"),
        ([0.5, 3.0, 1.0], "positive"),
        ([0.5, 0.0, 1.0], "real"),
        ([-1, 3, 1], "real"),
        (["a", "b", "a"], "category"),
        (["a", None, "1"], "category"),
    ],
)
def test_kinds_are_guessed(values, kind):
    table = np.array([[value, index] for index, value in enumerate(values)], dtype=object)
    assert mixed(table).kinds[0].kind == kind


def test_other_kinds_and_likelihoods_are_chosen_by_column():
    data = mixed(rows(), columns={"column3": "category", "column1": "student_t", "column4": "count"})
    assert data.kinds[2] == Kind("category", "categorical", ("0", "1", "2", "5"))
    assert (data.kinds[0].kind, data.kinds[0].likelihood) == ("real", "student_t")
    assert data.kinds[3].likelihood == "negative_binomial"


def table_in(folder, **columns):
    path = folder / "table.csv"
    columns = columns or MIXED
    lines = [",".join("" if value != value else str(value) for value in row) for row in rows(**columns)]
    path.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
    return path


def test_a_file_gives_names_and_a_toml_file_other_kinds(tmp_path):
    chosen = tmp_path / "kinds.toml"
    chosen.write_text('children = "poisson"\nsmokes = "category"\n')
    config = Config(dataset=f"csv:{table_in(tmp_path)}", pixels="columns", columns=chosen)
    assert config.columns == ("children=poisson", "smokes=category")
    assert config.likelihood == "columns"
    assert Config.from_toml(config.to_toml()) == config
    data = load(config)
    assert data.columns == tuple(MIXED)
    assert [kind.likelihood for kind in data.kinds] == [
        "gaussian",
        "lognormal",
        "poisson",
        "categorical",
        "categorical",
    ]
    assert data.kinds[3].categories == ("0", "1")


def test_a_file_whose_first_row_has_numbers_has_no_names(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("red,1.5\nblue,2.5\nred,3.5\nblue,4.5\n")
    data = load(Config(dataset=f"csv:{path}", pixels="columns"))
    assert len(data.train) + len(data.test) == 4
    assert data.columns == ()
    assert [kind.kind for kind in data.kinds] == ["category", "positive"]


def likelihood_of(scale):
    kinds = [
        Kind("real", "gaussian", mean=3.0, std=2.0),
        Kind("category", "categorical", ("a", "b", "c")),
        Kind("count", "poisson", mean=0.5),
        Kind("real", "student_t", mean=-1.0, std=0.5),
        Kind("positive", "lognormal", mean=1.0, std=0.3),
        Kind("count", "negative_binomial", mean=0.2),
        Kind("binary", "bernoulli"),
        Kind("real", "gaussian", mean=0.0, std=1.0),
    ]
    return Columns(kinds, scale), torch.tensor(
        [[2.5, 2.0, 3.0, -0.5, 1.7, 4.0, 1.0, 0.3], [1.0, 0, 0, 9.0, 0.2, 0, 0, -2]]
    )


@pytest.mark.parametrize("scale", ["shared", 0.4])
def test_the_score_is_the_sum_of_the_columns_own(scale):
    likelihood, x = likelihood_of(scale)
    torch.manual_seed(0)
    h = torch.randn(2, 1, likelihood.width)
    g1, g2, *more = h[:, 0].unbind(-1)  # by likelihood, in the order in which each is first met
    c1, c2, c3, pois, t, log_normal, mean, r, b = more
    s = 0.7 if scale == "shared" else scale
    expected = (
        Normal(3 + 2 * g1, 2 * s).log_prob(x[:, 0])
        + Categorical(logits=torch.stack([c1, c2, c3], -1)).log_prob(x[:, 1])
        + Poisson((0.5 + pois).exp()).log_prob(x[:, 2])
        + StudentT(5.0, -1 + 0.5 * t, 0.5 * s).log_prob(x[:, 3])
        + LogNormal(1 + 0.3 * log_normal, 0.3 * s).log_prob(x[:, 4])
        + NegativeBinomial(r.exp(), logits=0.2 + mean - r).log_prob(x[:, 5])
        + Bernoulli(logits=b).log_prob(x[:, 6])
        + Normal(g2, s).log_prob(x[:, 7])
    )
    distribution = likelihood(h)
    assert (distribution.batch_shape, distribution.event_shape) == ((2,), (8,))
    torch.testing.assert_close(distribution.log_prob(x), expected)
    assert distribution.base_dist.support.check(distribution.sample()).all()
    assert distribution.expand((5, 2)).sample().shape == (5, 2, 8)


def test_a_scale_of_each_column_is_a_feature():
    shared, _ = likelihood_of("shared")
    own, x = likelihood_of("pixel")
    assert own.width == shared.width + 4  # two gaussian columns, one of Student's t, one lognormal
    assert own(torch.zeros(2, 1, own.width)).log_prob(x).isfinite().all()


def test_the_mean_of_a_category_is_its_most_probable_value():
    likelihood = Columns([Kind("category", "categorical", ("a", "b", "c")), Kind("binary", "bernoulli")])
    mean = likelihood(torch.tensor([[[0.0, 2.0, 1.0, 0.0]]])).base_dist.mean
    assert mean.tolist() == [[1.0, 0.5]]


def test_encoders_read_scaled_numbers_and_one_hot_categories():
    kinds = mixed(rows()).kinds
    config = Config(pixels="columns", hidden=(6,))
    program = build(config, (5,), 0, True, kinds)
    seen = []
    program.encoder.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.tensor([[1.5, 0.25, 2.0, 1.0, 2.0], [math.nan, 10.5, 0.0, 0.0, math.nan]])
    program.encoder(x)
    (read,) = seen
    assert read.shape == (2, width(kinds, True)) == (2, 12)
    assert read[:, 4:7].tolist() == [[0, 0, 1], [0, 0, 0]]
    assert read[0, 7:].tolist() == [1, 1, 1, 1, 1]
    assert read[1, 7:].tolist() == pytest.approx([0, 5 / 3, 5 / 3, 5 / 3, 0])  # by the share that is there
    assert read[1, 0] == 0
    assert read[0, 1].item() == pytest.approx((math.log(0.25) - kinds[1].mean) / kinds[1].std)


@pytest.mark.parametrize(
    "settings", [{}, {"network": "gated"}, {"prior": "exemplar"}, {"objective": "iwae", "particles": 3}]
)
@pytest.mark.parametrize("program", ["vae", "hierarchical", "mixture", "discrete"])
def test_every_program_trains_on_mixed_columns(program, settings):
    if program == "discrete" and settings.get("objective", settings.get("prior")):
        pytest.skip("has no such objective or prior")
    if program == "mixture" and "prior" in settings:
        pytest.skip("has a prior of its own")
    generator = torch.Generator().manual_seed(0)
    table, _ = tables_of_truth(60, generator)
    data = mixed(table)
    config = Config(pixels="columns", epochs=1, hidden=(8,), batch_size=20, program=program, **settings)
    record = [*fit(build(config, data.shape, kinds=data.kinds), data, config)][-1]
    assert math.isfinite(record["test"]["loss"])


def test_a_trained_model_meets_the_exact_likelihood_of_the_process():
    """The columns depend on one normal code; log p(x) of that process is an integral over a line."""
    generator = torch.Generator().manual_seed(0)
    (train, _), (test, exact) = (tables_of_truth(n, generator) for n in (6000, 2000))
    data = Data.of(train, test=test, pixels="columns", columns={"column3": "poisson"})
    config = Config(pixels="columns", epochs=20, latent_dim=1, hidden=(32,), batch_size=100, lr=5e-3, schedule="cosine")
    program = build(config, data.shape, kinds=data.kinds)
    for _ in fit(program, data, config):
        pass
    batches = [*log_likelihoods(program, data, data.test, samples=200)]
    estimate = torch.cat([batch["log_likelihood"] for batch in batches]).double()
    difference = estimate - exact
    assert abs(difference.mean()) < 2 * exact.std() / math.sqrt(len(exact))  # 0.1 nats
    assert difference.mean().item() == pytest.approx(0, abs=0.02)


BAD = [
    (
        rows(a=np.array([1.0, -2.0]), b=np.array([1, 2])),
        {"column1": "positive"},
        "numbers greater than 0 in column column1",
    ),
    (rows(a=np.array([1.5, 2.0]), b=np.array([1, 2])), {"column1": "count"}, "whole numbers from 0"),
    (rows(a=np.array([1.5, 2.0]), b=np.array([1, 2])), {"column1": "binary"}, "expected 0 and 1"),
    (rows(a=np.array(["x", "y"]), b=np.array([1, 2])), {"column1": "real"}, "expected numbers in column column1"),
    (rows(), {"column9": "real"}, "columns: expected one of column1, .*got 'column9'"),
    (rows(), {"column1": "reel"}, "columns: column1: expected one of .*did you mean 'real'"),
    (rows(a=np.array([np.nan, np.nan]), b=np.array([1, 2])), {}, "values in every column of data, got none in column1"),
    (rows(a=np.array(["x", "x"]), b=np.array([1, 2])), {}, "from 2 to 1,000 categories in column column1"),
    (rows(a=np.array([np.inf, 0.0]), b=np.array([1, 2])), {"column1": "real"}, "finite numbers"),
    (np.array([[1 + 2j, 1]], dtype=object), {}, r"expected numbers or words in column column1 of data, got complex"),
    (np.zeros((3, 2, 2)), {}, "expected rows in data .N, D., as pixels are .columns."),
]


@pytest.mark.parametrize(("values", "columns", "message"), BAD)
def test_values_that_do_not_fit_their_kind_are_refused(values, columns, message):
    with pytest.raises(InputError, match=message):
        mixed(values, columns=columns)


def test_rows_in_hand_are_read_by_the_kinds_of_the_dataset():
    data = mixed(rows())
    assert data.images(rows()[:1]).images[0, 4].item() == 1.0
    other = rows()
    other[0, 4] = "west"
    with pytest.raises(InputError, match=r"expected east, north, south in column column5 of data, .*got 'west'"):
        data.images(other)
    with pytest.raises(InputError, match="expected 5 columns in data, as before, got 4"):
        data.images(rows()[:, :4])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "vamp"}, "prior: expected another than 'vamp'"),
        ({"network": "conv"}, "conv"),
        ({"likelihood": "gaussian"}, "pixels: likelihood 'gaussian' expects"),
        ({"scale": "optimal"}, "scale: 'optimal' fits likelihood gaussian"),
    ],
)
def test_what_does_not_fit_mixed_columns_is_refused(settings, message):
    data = mixed(rows())
    with pytest.raises(InputError, match=message):
        build(Config(pixels="columns", **settings), data.shape, 0, True, data.kinds)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("age", "columns: expected NAME=KIND"),
        ("age=count,age=real", "columns: expected NAME=KIND for each column once"),
        ("missing.toml", "columns: expected a TOML file"),
        ({"age": 3}, "columns: expected a text, as in age"),
    ],
)
def test_bad_settings_of_columns_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        Config(pixels="columns", columns=columns)


def test_kinds_without_columns_are_refused():
    with pytest.raises(InputError, match="kinds: expected one for each of 5 columns"):
        build(Config(pixels="columns"), (5,))
    with warnings.catch_warnings(), pytest.raises(InputError, match="columns: expected pixels"):
        Data.of(np.random.rand(20, 3), pixels="real", columns={"column1": "count"})


def mixed_file(folder, name, **other):
    """Write a table of fifty rows, of which some values are missing."""
    table, _ = tables_of_truth(50, torch.Generator().manual_seed(1))
    table[::7, 0] = table[::5, 4] = ""
    for place, value in other.items():
        table[0, "abcde".index(place)] = value
    lines = [",".join(map(str, row)) for row in table]
    (folder / name).write_text("\n".join(["height,income,children,smokes,region", *lines, ""]), encoding="utf-8")


def test_commands_write_tables_with_the_words_of_categories(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mixed_file(tmp_path, "table.csv")
    mixed_file(tmp_path, "other.csv", e="z")
    settings = "--pixels columns --columns children=poisson --hidden 8 --epochs 1 --device cpu --out run"
    assert pyrovae(f"train --dataset csv:table.csv {settings}") == 0
    out = capsys.readouterr().out
    assert "40 rows for training, 10 for testing" in out
    assert "run: nats per row" in out
    assert [kind.likelihood for kind in Run("run").kinds][2:] == ["poisson", "bernoulli", "categorical"]
    assert {"marginals.png", "pairs.png", "imputations.png"} <= {path.name for path in Path("run/figures").iterdir()}
    assert pyrovae("sample run -n 30") == 0
    assert pyrovae("impute run --out whole.csv") == 0
    assert pyrovae("impute run --draws 2 --out draws.csv") == 0
    assert pyrovae("evaluate run --samples 5") == 0
    assert "nats per row (ELBO " in capsys.readouterr().out
    for name, first, count in (("run/sample.csv", 0, 30), ("whole.csv", 0, 50), ("draws.csv", 1, 100)):
        head, *lines = (line.split(",") for line in Path(name).read_text(encoding="utf-8").splitlines())
        assert head[first:] == ["height", "income", "children", "smokes", "region"]
        assert len(lines) == count
        assert {line[-1] for line in lines} <= {"a", "b", "c"}
        assert {line[-2] for line in lines} <= {"0", "1"} or name == "whole.csv"
        assert all(float(line[first + 1]) > 0 for line in lines)
    capsys.readouterr()
    assert pyrovae("impute run csv:other.csv --out other_whole.csv") == 2
    assert "expected a, b, c in column region of other.csv, which is category, got 'z'" in capsys.readouterr().err


def test_the_most_probable_category_is_imputed():
    """The category follows from the sign of the number beside it."""
    numbers = np.random.default_rng(0).normal(size=400)
    rows = np.array([[number, "above" if number > 0 else "below"] for number in numbers.tolist()], dtype=object)
    gaps = np.zeros((400, 2), bool)
    gaps[::3, 1] = True
    data = Data.of(rows, test=rows, missing=gaps, pixels="columns")
    gapped = data.train.images.clone()
    config = Config(pixels="columns", epochs=30, latent_dim=1, hidden=(16,), batch_size=40, lr=5e-3)
    program = build(config, data.shape, 0, True, data.kinds)
    for _ in fit(program, data, config):
        pass
    imputed = torch.cat([batch.mean for batch in impute(program, data, Images(gapped), samples=200)])
    truth = torch.tensor([0.0 if number > 0 else 1.0 for number in numbers.tolist()])
    assert (imputed[::3, 1] == truth[::3]).float().mean() > 0.95


@pytest.mark.filterwarnings("error:compile")
def test_the_compiled_step_is_the_eager_one():
    table, _ = tables_of_truth(60, torch.Generator().manual_seed(0))
    table[::4, 2] = table[::5, 4] = None
    data = mixed(table)
    records = {}
    for compiled in ("no", "yes"):
        config = Config(
            pixels="columns", epochs=2, hidden=(8,), batch_size=20, compile=compiled, device="cpu", scale="pixel"
        )
        *_, records[compiled] = fit(build(config, data.shape, 0, True, data.kinds), data, config)
    assert records["yes"]["train"] == pytest.approx(records["no"]["train"], rel=1e-4)


@pytest.mark.parametrize("pixels", ["columns", "real"])
def test_further_rows_of_a_frame_have_its_columns_in_its_order(pixels):
    pandas = pytest.importorskip("pandas", reason="no pandas")
    frame = pandas.DataFrame({"a": [0.5, -1.0, 2.5, 3.5], "b": [1.5, -2.0, 4.0, 5.0]})
    data = Data.of(frame, test=frame, pixels=pixels)
    assert torch.equal(data.images(frame).images, data.test.images)
    with pytest.raises(InputError, match="columns: expected a, b in data, as before, got b, a"):
        data.images(frame[["b", "a"]])
