"""Columns of a table that are conditions: found by name, read by their kinds, set apart from those that are scored."""

import math
import warnings

import numpy as np
import pytest
import torch
from support.conditions import CONDITION, KINDS, NAMES, WORDS, as_rows, data_of, table, write

from pyrovae import Config, Data, InputError, load
from pyrovae.data.loading import read

pytestmark = pytest.mark.filterwarnings("ignore:dataset. ")

SCORED = ("income", "height", "weight")


def config_of(dataset, **settings):
    return Config(**{"dataset": dataset, "pixels": "real", "condition": CONDITION} | settings)


def test_a_csv_file_is_read_by_name_and_says_the_kinds(tmp_path):
    write(tmp_path / "t.csv", columns := table(50))
    with pytest.warns(
        UserWarning, match="given columns of .*: age as real, sex as category of 3, smokes as binary, chil"
    ):
        data = load(config_of(f"csv:{tmp_path}/t.csv"))
    assert data.columns == SCORED
    assert {name: kind.kind for name, kind in data.conditions.items()} == KINDS
    assert data.shape == (3,)
    assert repr(data).endswith("of 3; pixels real; given age, sex, smokes, children)")
    rows = torch.cat([data.train.given, data.test.given])
    assert sorted(rows[:, 0].tolist()) == sorted(columns["age"].astype(np.float32).tolist())
    kinds, train = data.conditions, data.train.given.double()
    assert kinds["age"].mean == pytest.approx(train[:, 0].mean().item())
    assert kinds["age"].std == pytest.approx(train[:, 0].std(correction=0).item())
    assert kinds["children"].mean == pytest.approx(train[:, 3].log1p().mean().item())
    assert kinds["sex"].categories == tuple(sorted({*columns["sex"].tolist()}))
    by_age = {age: row for age, *row in zip(*(columns[name].tolist() for name in ("age", *SCORED)))}
    for x, given in zip(data.test.images, data.test.given):
        age = min(by_age, key=lambda each: abs(each - given[0].item()))
        np.testing.assert_allclose(x.numpy(), by_age[age], rtol=1e-6)


def by_age(data):
    """Return all rows, with their conditions behind them, in the order of the first of these."""
    rows = torch.cat([torch.cat([part.images, part.given], 1) for part in (data.train, data.test)])
    return rows[rows[:, len(data.columns)].argsort()]


@pytest.mark.parametrize("pixels", ["real", "standardized", "columns"])
def test_every_way_in_reads_the_same(pixels, tmp_path):
    pandas = pytest.importorskip("pandas", reason="no pandas")
    columns = table(50)
    write(tmp_path / "t.csv", columns)
    frame = pandas.DataFrame(columns)
    settings = {"likelihood": "gaussian"} if pixels != "columns" else {}
    first = load(config_of(f"csv:{tmp_path}/t.csv", pixels=pixels, **settings))
    others = [Data.of(frame, pixels=pixels, condition=CONDITION)]
    numbered = ",".join(f"column{NAMES.index(name) + 1}" for name in CONDITION.split(","))
    others.append(Data.of(as_rows(columns), pixels=pixels, condition=numbered))
    try:
        frame.to_parquet(tmp_path / "t.parquet")
        others.append(load(config_of(f"parquet:{tmp_path}/t.parquet", pixels=pixels, **settings)))
    except ImportError:
        pass
    for other in others:  # files are split another way
        torch.testing.assert_close(by_age(other), by_age(first))
        assert [kind.kind for kind in other.conditions.values()] == [kind.kind for kind in first.conditions.values()]
    assert others[1].columns == ("column2", "column6", "column7")


def test_arrays_of_numbers_name_their_columns_by_number(tmp_path):
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=40), rng.integers(0, 3, 40), rng.poisson(3.0, (40, 2))])
    np.savez(tmp_path / "t.npz", x_train=rows[:30], x_test=rows[30:])
    counts = {"pixels": "counts", "likelihood": "poisson", "condition": "column1,column2"}
    data = load(config_of(f"npz:{tmp_path}/t.npz", columns="column2=category", **counts))
    assert data.columns == ("column3", "column4")
    assert [kind.kind for kind in data.conditions.values()] == ["real", "category"]
    np.testing.assert_allclose(data.train.images.numpy(), rows[:30, 2:])
    np.testing.assert_allclose(data.test.given.numpy(), rows[30:, :2], rtol=1e-6)


def test_the_label_column_may_be_a_condition_and_stays_the_label(tmp_path):
    columns = table(50)
    columns["class"] = columns.pop("sex")
    write(tmp_path / "t.csv", columns)
    data = load(config_of(f"csv:{tmp_path}/t.csv", condition="class,age"))
    assert data.classes == WORDS
    assert torch.equal(data.train.given[:, 0].long(), data.train.labels)
    assert "class" not in data.columns


def test_kinds_may_be_chosen_and_numbers_above_0_are_real_unless_they_are():
    columns = table(50)
    data = data_of(columns)
    assert data.conditions["column1"].kind == "real"
    assert data.conditions["column1"].mean == pytest.approx(data.train.given[:, 0].mean().item(), rel=1e-6)
    chosen = data_of(columns, columns={"column1": "positive", "column5": "category"})
    assert [kind.kind for kind in chosen.conditions.values()] == ["positive", "category", "binary", "category"]
    assert chosen.conditions["column1"].mean == pytest.approx(
        math.log(1) + chosen.train.given[:, 0].log().mean().item()
    )
    mixed = data_of(columns, "columns", columns={"column2": "student_t", "column4": "count"})
    assert (mixed.kinds[0].likelihood, mixed.conditions["column4"].kind) == ("student_t", "count")


def test_sets_are_moved_split_and_taken_with_their_conditions():
    data = data_of(table(50), test=10)
    rows = torch.tensor([3, 1])
    for some in (data.train[rows], data.train.take(rows), data.to("cpu").train[rows]):
        assert torch.equal(some.given, data.train.given[rows])
    assert torch.equal(data.batch(data.train, rows).labels, data.train.given[rows])
    both = data_of(table(50), test=10, labels=np.arange(50) % 2)
    assert torch.equal(both.batch(both.train, rows).labels, both.train.given[rows])
    assert both.train.labels is not None
    split = data_of(table(50), test=10, validation=5)
    assert len(split.validation) == len(split.validation.given) == 5


def test_further_rows_have_the_columns_and_kinds_of_the_table(tmp_path):
    pandas = pytest.importorskip("pandas", reason="no pandas")
    frame = pandas.DataFrame(table(50))
    data = Data.of(frame, test=frame, pixels="real", condition=CONDITION)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = data.images(frame[:7])
    torch.testing.assert_close(again.images, data.test.images[:7])
    torch.testing.assert_close(again.given, data.test.given[:7])
    with pytest.raises(InputError, match=r"condition: expected columns of data, age, .*, got 'sex'"):
        data.images(frame.drop(columns="sex"))
    strange = frame[:7].assign(sex="none")
    with pytest.raises(InputError, match=r"expected female, male, other in column sex of data, .* got 'none'"):
        data.images(strange)
    with pytest.raises(InputError, match="columns: expected income, height, weight in data, as before"):
        data.images(frame[[*reversed(NAMES)]])
    write(tmp_path / "t.csv", table(5, seed=9))
    raw = read(config_of(f"csv:{tmp_path}/t.csv"), (), data.conditions, further=True)
    assert raw.conditions == data.conditions


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"condition": "age,sx"}, "condition: expected columns of .*, age, income, .*, got 'sx'; did you mean 'sex'"),
        ({"condition": ",".join(NAMES)}, "condition: expected other columns in .*, too, got age, .* alone"),
        (
            {"columns": "sexx=category"},
            "columns: expected one of age, sex, smokes, children, got 'sexx'; did you mean 'sex'",
        ),
        ({"columns": "income=real"}, "columns: expected one of age, sex, smokes, children, got 'income'"),
        ({"columns": "sex=count"}, "expected numbers in column sex of .*, which is count, got"),
        ({"columns": "age=kind"}, "columns: age: expected one of real, .*, got 'kind'"),
        (
            {"condition": "income,sex", "shape": (1, 5), "pixels": "standardized"},
            "condition: expected none, label, .* for images",
        ),
    ],
)
def test_what_is_no_condition_of_a_table_is_refused(settings, message, tmp_path):
    write(tmp_path / "t.csv", table(30))
    with pytest.raises(InputError, match=message):
        load(config_of(f"csv:{tmp_path}/t.csv", **settings))


@pytest.mark.parametrize("pixels", ["real", "columns"])
@pytest.mark.parametrize("condition", ["age", "label,age"])
def test_a_table_of_a_label_and_conditions_alone_is_refused(pixels, condition, tmp_path):
    columns = table(30)
    write(tmp_path / "t.csv", {"age": columns["age"], "label": columns["sex"]})
    with pytest.raises(
        InputError, match=f"condition: expected other columns in .*, too, got {condition.replace(',', ', ')} al"
    ):
        load(config_of(f"csv:{tmp_path}/t.csv", pixels=pixels, condition=condition))
    write(tmp_path / "l.csv", {"label": columns["sex"]})
    with pytest.raises(InputError, match=r"dataset: expected columns of values in .*, got none"):
        load(config_of(f"csv:{tmp_path}/l.csv", pixels="columns", condition="none"))


@pytest.mark.parametrize("name", ["age", "sex"])
def test_a_missing_value_of_a_condition_is_refused_with_the_remedy(name, tmp_path):
    write(tmp_path / "t.csv", table(30), **{name: ""})
    message = (
        f"condition: expected a value of {name} in every row of .*, got 1 without; leave these rows out, or {name} am"
    )
    with pytest.raises(InputError, match=message):
        load(config_of(f"csv:{tmp_path}/t.csv"))
    write(tmp_path / "gap.csv", table(30), height="")
    assert load(config_of(f"csv:{tmp_path}/gap.csv")).missing


def test_a_mask_may_have_gaps_in_the_columns_that_are_scored_alone():
    rows = as_rows(table(30))
    gaps = np.zeros(rows.shape, bool)
    gaps[::3, 5] = True
    data = Data.of(rows, pixels="real", condition="column1,column3", missing=gaps)
    place = data.columns.index("column6")
    assert data.test.gaps().any(0).tolist() == [column == place for column in range(5)]
    gaps[4, 0] = True
    with pytest.raises(InputError, match="missing: expected all values of column1, column3, which the model is given"):
        Data.of(rows, pixels="real", condition="column1,column3", missing=gaps)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"condition": "lable"}, "condition: expected 'none', .*, or columns of a table beside pixels = .*'label'"),
        ({"condition": "age,age", "pixels": "real"}, "condition: expected none, .* or columns of a table, each once"),
        ({"condition": "age,,sex", "pixels": "real"}, "condition: expected none, .* each once"),
        ({"condition": "age,none", "pixels": "real"}, "condition: expected none alone"),
        ({"condition": 3, "pixels": "real"}, "condition: expected a valid string"),
        (
            {"columns": "age=count", "pixels": "real"},
            "columns: expected pixels = 'columns', or columns as condition, bes",
        ),
    ],
)
def test_settings_that_are_no_condition_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Config(**settings)


def test_a_condition_is_written_in_several_ways():
    for condition in ("age,sex", "age, sex", ["age", "sex"], ("age", " sex")):
        config = Config(pixels="real", condition=condition)
        assert (config.condition, config.given_columns) == ("age,sex", ("age", "sex"))
        assert Config.from_toml(config.to_toml()) == config
    assert Config(condition="label").given_columns == ()


def test_images_have_no_columns():
    with pytest.raises(
        InputError, match=r"condition: expected none, label, .* for digits, which is no table, got 'lable'"
    ):
        load(Config(dataset="digits", pixels="standardized", condition="lable"))
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8), dtype=np.uint8)
    with pytest.raises(
        InputError, match=r"condition: expected none, label, .* for images, as those in data, got 'age'"
    ):
        Data.of(images, pixels="standardized", condition="age")
