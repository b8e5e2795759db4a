"""Tables in parquet files."""

import numpy as np
import pytest

from pyrovae import Config, InputError, load

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TABLE = {
    "height": [1.5, None, 2.5, -3.0, 1.0, 0.5],
    "children": [0, 2, 1, 5, 0, 3],
    "smokes": [True, False, None, True, True, False],
    "region": ["north", "south", None, "north", "south", "south"],
    "kind": ["a", "b", "a", "b", "a", "b"],
}


def written(folder, table, name="table.parquet"):
    pq.write_table(pa.table(table), folder / name)
    return f"parquet:{folder / name}"


@pytest.mark.filterwarnings("ignore:dataset. ")
def test_columns_have_their_names_and_kinds(tmp_path):
    table = TABLE | {"region": pa.array(TABLE["region"]).dictionary_encode()}
    data = load(Config(dataset=written(tmp_path, table), pixels="columns", label_column="kind"))
    assert data.columns == ("height", "children", "smokes", "region")
    assert [kind.kind for kind in data.kinds] == ["real", "count", "binary", "category"]
    assert data.classes == ("a", "b")
    rows = np.concatenate([data.train.images.numpy(), data.test.images.numpy()])
    assert np.isnan(rows).sum(0).tolist() == [1, 0, 1, 1]


def test_numbers_are_the_rows_of_a_table(tmp_path):
    table = {"x": np.arange(6.0), "w": np.arange(6) ** 2, "label": list("aabbab")}
    data = load(Config(dataset=written(tmp_path, table), pixels="real"))
    rows = np.concatenate([data.train.images.numpy(), data.test.images.numpy()])
    assert sorted(map(tuple, rows.tolist())) == [(float(i), float(i**2)) for i in range(6)]
    assert data.columns == ("x", "w")
    assert data.classes == ("a", "b")


def test_rows_are_images_of_a_shape(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 4))
    table = {f"p{i}": pixels[:, i] for i in range(4)}
    data = load(Config(dataset=written(tmp_path, table), shape=(2, 2)))
    assert data.shape == (1, 2, 2)
    assert sorted(data.train.images.flatten().tolist() + data.test.images.flatten().tolist()) == sorted(
        pixels.flatten()
    )


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        ({"x": [[1, 2], [3]]}, {}, "expected numbers or words in column x of .*, got list"),
        ({"x": [1.0, 2.0], "w": ["a", "b"]}, {"pixels": "real"}, "got words in w; --pixels"),
        ({"x": [1.0, 2.0]}, {"pixels": "real", "label_column": "z"}, "label_column: expected one of x"),
        ({"label": [1.0, 2.0]}, {"pixels": "real"}, "expected columns of numbers in .*, got none"),
    ],
)
def test_what_is_no_table_is_refused(table, settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load(Config(dataset=written(tmp_path, table), **settings))


def test_a_broken_file_is_refused_and_a_bare_path_gets_a_hint(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"expected a parquet file at .*t\.parquet, got"):
        load(Config(dataset=f"parquet:{path}"))
    with pytest.raises(InputError, match="did you mean 'parquet:"):
        load(Config(dataset=str(path)))
