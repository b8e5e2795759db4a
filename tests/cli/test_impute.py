"""The command that fills in missing values."""

import csv

import numpy as np
import pytest
from support.commands import pyrovae


@pytest.fixture
def gaps(world):
    return np.genfromtxt(world / "gaps.csv", delimiter=",", skip_header=1)


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return names, np.array(rows, float)


def test_the_rows_keep_their_order_and_what_was_seen(world, gaps):
    assert pyrovae("impute gaps --samples 20") == 0
    names, rows = rows_of(world / "gaps/imputed.csv")
    assert names == ["a", "b", "c"]
    seen = ~np.isnan(gaps)
    np.testing.assert_allclose(rows[seen], gaps[seen], rtol=1e-6)
    assert np.isfinite(rows).all()


def test_draws_differ_where_values_are_missing_alone(world, gaps):
    assert pyrovae("impute gaps --samples 20 --draws 3 --out draws.npz") == 0
    with np.load(world / "draws.npz") as arrays:
        np.testing.assert_array_equal(arrays["missing"], np.isnan(gaps))
        assert arrays["draws"].shape == (3, 60, 3)
        np.testing.assert_array_equal(np.ptp(arrays["draws"], 0) > 0, arrays["missing"])


def test_the_seed_fixes_the_draws(world):
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        assert pyrovae(f"impute gaps --samples 20 --draws 2 --seed {seed} --out {name}.csv") == 0
    one, two, other = ((world / f"{name}.csv").read_bytes() for name in ("one", "two", "other"))
    assert one == two != other


def test_other_data_with_the_same_columns_are_imputed(world):
    (world / "new.csv").write_text("a,b,c\n1,,2\n0,1,1\n", encoding="utf-8")
    assert pyrovae("impute gaps csv:new.csv --samples 20 --out new-whole.csv") == 0
    _, rows = rows_of(world / "new-whole.csv")
    assert rows[0, [0, 2]].tolist() == [1, 2]
    assert rows[1].tolist() == [0, 1, 1]


@pytest.mark.filterwarnings("ignore:dataset. .* are missing")
def test_a_single_row_is_imputed(world):
    (world / "row.csv").write_text("a,b,c\n1,,2\n", encoding="utf-8")
    assert pyrovae("impute gaps csv:row.csv --samples 20 --out row-whole.csv") == 0
    _, rows = rows_of(world / "row-whole.csv")
    assert rows[0, [0, 2]].tolist() == [1, 2]
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("impute gaps csv:swapped.csv", "columns: expected a, b, c in csv:swapped.csv, as before, got b, a, c"),
        ("impute run", "impute: expected a run that was trained on data with missing values, got one of whole data"),
        ("impute gaps csv:whole.csv", "impute: expected missing values in csv:whole.csv, got none"),
        ("impute gaps csv:narrow.csv", "impute: expected data of shape (3,), as the run's, got (2,)"),
        ("impute gaps --out x.png", "out: expected a file that ends in .csv or .npz"),
        ("impute gaps --samples 0", "samples: expected"),
        ("impute gaps csv:nowhere.csv", "nowhere.csv"),
        ("sample gaps --out x.png", "out: expected a file ending in .csv or .npz, as the model draws rows of a table"),
        ("explore gaps", "explore: expected a model of images, got one of vectors of 3 numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:dataset. .* are missing")
def test_bad_input_is_one_line(line, message, world, capsys):
    (world / "whole.csv").write_text("a,b,c\n1,3,2\n0,1,1\n", encoding="utf-8")
    (world / "swapped.csv").write_text("b,a,c\n1,,2\n0,1,1\n", encoding="utf-8")
    (world / "narrow.csv").write_text("a,b\n1,\n0,1\n", encoding="utf-8")
    assert pyrovae(line) == 2
    (printed,) = capsys.readouterr().err.splitlines()
    assert message in printed


def test_samples_of_a_table_are_a_csv_in_its_units(world):
    assert pyrovae("sample gaps -n 5") == 0
    names, rows = rows_of(world / "gaps/sample.csv")
    assert (names, rows.shape) == (["a", "b", "c"], (5, 3))
