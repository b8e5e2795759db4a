"""Sparse counts in h5ad files, and in those of scipy."""

import sys

import numpy as np
import pytest
import scipy.sparse
import torch
from support.commands import pyrovae
from support.h5ad import changed, write_h5ad

from pyrovae import Config, Data, InputError, Run, load
from pyrovae.data.sparse import SparseRows

h5py = pytest.importorskip("h5py")

RNG = np.random.default_rng(0)
DENSE = (RNG.poisson(0.4, (60, 7)) * RNG.integers(1, 9, (60, 7))).astype(np.float32)
COUNTS = scipy.sparse.csr_matrix(DENSE)
NAMES = [f"gene{i}" for i in range(7)]
KIND = np.array(["B cell", "T cell", ""])[np.arange(60) % 3]


def loaded(dataset, **settings):
    return load(Config(**{"dataset": dataset, "pixels": "counts", **settings}))


def rows(data):
    return np.sort(torch.cat([data.train.images.to_dense(), data.test.images.to_dense()]).numpy(), 0)


@pytest.mark.parametrize("stored", [COUNTS, DENSE, COUNTS.astype(np.int64), DENSE.astype("i4"), DENSE.astype(">f8")])
def test_a_matrix_is_read_however_it_is_stored(tmp_path, stored):
    data = loaded(write_h5ad(tmp_path / "x.h5ad", stored, columns=NAMES))
    assert isinstance(data.train.images, SparseRows)
    np.testing.assert_array_equal(rows(data), np.sort(DENSE, 0))
    assert data.columns == tuple(NAMES)
    assert data.classes == ()


def test_columns_that_are_stored_together_are_converted_and_a_line_says_so(tmp_path):
    dataset = write_h5ad(tmp_path / "x.h5ad", COUNTS.tocsc())
    with pytest.warns(UserWarning, match=r"the matrix in .*x.h5ad is stored by columns \(CSC\): converted to rows"):
        data = loaded(dataset)
    np.testing.assert_array_equal(rows(data), np.sort(DENSE, 0))


@pytest.mark.filterwarnings("ignore:dataset. .* have no label")
def test_a_column_of_obs_is_the_label(tmp_path):
    obs = {"kind": KIND, "batch": np.arange(60) % 2, "ok": np.arange(60) % 4 == 0, "depth": RNG.random(60)}
    dataset = write_h5ad(tmp_path / "x.h5ad", COUNTS, obs)
    data = loaded(dataset, label_column="kind")
    assert data.classes == ("B cell", "T cell")
    assert sorted(torch.cat([data.train.labels, data.test.labels]).tolist()) == 20 * [-1] + 20 * [0] + 20 * [1]
    assert loaded(dataset, label_column="batch").classes == ("0", "1")
    assert loaded(dataset, label_column="ok").classes == ("0", "1")
    assert loaded(dataset).classes == ()
    with pytest.raises(InputError, match=r"label_column: expected one of .*kind, ok, got 'knd'; did you mean 'kind'"):
        loaded(dataset, label_column="knd")
    with pytest.raises(InputError, match=r"expected integers, NaN or words as labels in .*x.h5ad, got fractions"):
        loaded(dataset, label_column="depth")
    with pytest.raises(InputError, match="label_column: expected one of , got 'kind'"):
        loaded(write_h5ad(tmp_path / "y.h5ad", COUNTS), label_column="kind")


def test_columns_of_obs_are_conditions_of_rows_that_stay_sparse(tmp_path):
    batch, depth = np.array(["first", "second"])[np.arange(60) % 2], RNG.random(60)
    dataset = write_h5ad(tmp_path / "x.h5ad", COUNTS, {"batch": batch, "depth": depth, "kind": KIND}, NAMES)
    with pytest.warns(UserWarning, match="the model is given columns of .*: batch as category of 2, depth as real"):
        data = loaded(dataset, condition="batch,depth", validation=6)
    assert isinstance(data.train.images, SparseRows)
    assert data.columns == tuple(NAMES)
    sets = (data.train, data.validation, data.test)
    together = torch.cat([torch.cat([each.images.to_dense(), each.given], 1) for each in sets]).numpy()
    expected = np.column_stack([DENSE, np.arange(60) % 2, depth]).astype("f4")
    np.testing.assert_array_equal(together[together[:, -1].argsort()], expected[expected[:, -1].argsort()])
    with pytest.raises(InputError, match=r"columns of obs of .*x.h5ad, .*kind.*, got 'bacth'; did you mean 'batch'"):
        loaded(dataset, condition="bacth")
    with pytest.raises(InputError, match=r"expected a value of kind in every row of .*, got 20 without"):
        loaded(dataset, condition="kind")
    with pytest.raises(
        InputError, match=r"expected none, label, .* got 'column1'; columns of obs, in an h5ad file, can"
    ):
        Data.of(COUNTS, pixels="counts", condition="column1")
    scipy.sparse.save_npz(tmp_path / "x.npz", COUNTS)
    with pytest.raises(InputError, match=r"for the sparse rows in .*x.npz, got 'column1'; columns of obs"):
        loaded(f"npz:{tmp_path}/x.npz", condition="column1")


def test_a_file_of_an_old_anndata_is_refused_with_what_to_do(tmp_path):
    dataset = write_h5ad(tmp_path / "x.h5ad", COUNTS, {"kind": KIND}, NAMES)
    with changed(tmp_path / "x.h5ad") as file:
        del file["obs"]
        file["obs"] = np.zeros(60, [("index", "S3"), ("kind", "i1")])
    with pytest.raises(InputError, match=r"got: obs as AnnData wrote it before 0.7; anndata.read_h5ad and write_h5ad"):
        loaded(dataset)


def test_a_layer_is_read_instead_of_x(tmp_path):
    normal, more = COUNTS * 0.37, scipy.sparse.csr_matrix(np.hstack([DENSE, DENSE[:, :2]]))
    dataset = write_h5ad(
        tmp_path / "x.h5ad", normal, columns=NAMES, layers={"counts": COUNTS, "twice": 2 * DENSE}, raw=more,
        raw_columns=[*NAMES, "a", "b"],
    )  # fmt: skip
    np.testing.assert_array_equal(rows(loaded(dataset, layer="counts")), np.sort(DENSE, 0))
    np.testing.assert_array_equal(rows(loaded(dataset, layer="twice")), np.sort(2 * DENSE, 0))
    raw = loaded(dataset, layer="raw")
    assert raw.shape == (9,)
    assert raw.columns == (*NAMES, "a", "b")
    with pytest.raises(InputError, match="layer: expected one of counts, twice, raw, got 'cuonts'; did you mean"):
        loaded(dataset, layer="cuonts")
    normalised = (
        "expected counts, .* in rows in .*x.h5ad, got .* in columns gene0, .*; normalised values are no counts:"
        " --layer NAME reads one of counts, twice, raw"
    )
    with pytest.raises(InputError, match=normalised):
        loaded(dataset)
    only = write_h5ad(tmp_path / "y.h5ad", normal, layers={"counts": COUNTS})
    with pytest.raises(InputError, match="--layer counts reads counts in place of them"):
        loaded(only)
    with pytest.raises(InputError, match="--pixels real or standardized reads them"):
        loaded(write_h5ad(tmp_path / "z.h5ad", normal))
    np.testing.assert_allclose(rows(loaded(only, pixels="real")), np.sort(normal.toarray(), 0), rtol=1e-6)
    assert loaded(dataset, pixels="standardized").pixels.mean != 0.0


def without_x(path):
    write_h5ad(path, layers={"counts": COUNTS})


def with_value(value):
    def write(path):
        matrix = COUNTS.astype(np.float64)
        matrix.data[3] = value
        write_h5ad(path, matrix, columns=NAMES)

    return write


def damaged(change):
    def write(path):
        write_h5ad(path, COUNTS, {"kind": KIND}, NAMES)
        with changed(path) as file:
            change(file)

    return write


def replaced(file, name, value):
    del file[name]
    file[name] = value


def linked(file):
    del file["X"]
    file["X"] = h5py.ExternalLink("secret.h5ad", "/X")


def virtual(file):
    del file["X"]
    layout = h5py.VirtualLayout((60, 7), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "x", (60, 7))
    file.create_virtual_dataset("X", layout)


def external(file):
    del file["X"]
    file.create_dataset("X", (60, 7), "f4", external=[("secret.bin", 0, 60 * 7 * 4)])


def bomb(file):
    del file["X/indptr"]
    file.create_dataset("X/indptr", (10**12,), "i8", chunks=(10**6,))
    file["X"].attrs.modify("shape", (10**12 - 1, 7))


def cut(path):
    write_h5ad(path, COUNTS)
    path.write_bytes(path.read_bytes()[:3000])


def attribute(name, value):
    return damaged(lambda file: file["X"].attrs.create(name, value))


def field(name, value):
    return damaged(lambda file: replaced(file, name, value))


FAULTS = {
    "no_h5ad": (lambda path: path.write_bytes(b"no table"), "expected an h5ad file at .*, got: .*file signature"),
    "cut_off": (cut, "expected an h5ad"),
    "a_folder": (lambda path: path.mkdir(), "expected an h5ad file at .*, got: a folder"),
    "nothing": (lambda path: None, "expected an h5ad file at .*, got"),
    "no_x": (without_x, "expected a matrix X in .*, got layers, obs, var; --layer counts reads another matrix"),
    "negative": (with_value(-2), "expected counts, .*, got -2 in column gene.; normalised values are no counts"),
    "fraction": (with_value(0.25), "expected counts, .*, got 0.25 in column gene."),
    "nan": (with_value(np.nan), "expected finite numbers, in rows in .*, got nan in column gene."),
    "empty": (damaged(lambda file: [file.pop(name) for name in [*file]]), "expected a matrix X in .*, got nothing"),
    "words": (field("X/data", ["a"] * COUNTS.nnz), "to be numbers, got type object"),
    "indices": (field("X/indices", np.full(COUNTS.nnz, 9)), "damaged one: values in other"),
    "shape": (attribute("shape", (10**9, 7)), "damaged one: 61 starts of 1,000,000,000"),
    "no_shape": (damaged(lambda file: file["X"].attrs.pop("shape")), "got: a matrix that is neither dense nor sparse"),
    "no_data": (damaged(lambda file: file.pop("X/data")), "expected an h5ad file at .*, got: no X/data"),
    "names": (field("var/_index", ["a", "b"]), "got: 2 names of 7 columns"),
    "cube": (field("X", np.zeros((3, 2, 2))), r"got: a matrix of shape \(3, 2, 2\)"),
    "bomb": (damaged(bomb), "got: an array, indptr, of 8,000,000,000,000 bytes, in 4,096 bytes of the file"),
    "attribute": (attribute("shape", [9] * 5000), "an attribute, shape, of too many values"),
    "link": (damaged(linked), "got: a link, X, to another place"),
    "virtual": (damaged(virtual), "got: an array, X, that lies in another file"),
    "external": (damaged(external), "got: an array, X, that lies in another file"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_files_are_refused_in_one_line(fault, tmp_path):
    write, message = FAULTS[fault]
    write(tmp_path / "x.h5ad")
    with pytest.raises(InputError, match=message) as refusal:
        loaded(f"h5ad:{tmp_path / 'x.h5ad'}")
    assert len(str(refusal.value).splitlines()) == 1


def test_a_column_major_matrix_with_false_places_is_refused(tmp_path):
    write_h5ad(tmp_path / "x.h5ad", COUNTS.tocsc())
    with changed(tmp_path / "x.h5ad") as file:
        replaced(file, "X/indices", np.full(COUNTS.nnz, 10**6))
    with pytest.raises(InputError, match="expected an h5ad file at"):
        loaded(f"h5ad:{tmp_path / 'x.h5ad'}")


@pytest.mark.parametrize("pixels", ["grey", "bytes", "columns"])
def test_protocols_of_images_are_refused(pixels, tmp_path):
    dataset = write_h5ad(tmp_path / "x.h5ad", COUNTS)
    with pytest.raises(InputError, match=f"pixels: expected counts, binary, real, standardized for .*, got '{pixels}'"):
        loaded(dataset, pixels=pixels)


def test_without_h5py_a_line_says_what_to_install(tmp_path, monkeypatch):
    dataset = write_h5ad(tmp_path / "x.h5ad", COUNTS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(
        InputError, match=r"expected h5py to read an h5ad file, got none; pip install 'pyrovae\[anndata\]'"
    ):
        loaded(dataset)


@pytest.mark.filterwarnings("ignore:dataset. .* have no label")
def test_the_command_line_trains_on_it_and_refuses_before_it_makes_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_h5ad(tmp_path / "x.h5ad", 0.5 * COUNTS, {"kind": KIND}, NAMES, layers={"counts": COUNTS})
    command = ["train", "--dataset", "h5ad:x.h5ad", "--pixels", "counts", "--likelihood", "negative_binomial"]
    command += ["--epochs", "1", "--hidden", "8", "--device", "cpu", "--out", "run", "--label-column", "kind"]
    assert pyrovae(command) == 2
    assert "--layer counts" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert pyrovae([*command, "--layer", "counts", "--library-size", "observed"]) == 0
    for more in (["evaluate", "run", "--samples", "20"], ["sample", "run", "-n", "3"], ["explain", "run"]):
        assert pyrovae(more) == 0
    assert (tmp_path / "run/sample.csv").read_text(encoding="utf-8").startswith(",".join(NAMES))
    assert Run(tmp_path / "run").evaluation["note"] == "log p of a row given its total, the library size"


@pytest.mark.filterwarnings("ignore:dataset. .* have no label")
def test_what_anndata_writes_is_read(tmp_path):
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    obs = pandas.DataFrame({"kind": pandas.Categorical(KIND), "on": pandas.array([True, None, False] * 20)})
    obs.index = obs.index.astype(str)
    written = anndata.AnnData(COUNTS * 0.5, obs=obs, var=pandas.DataFrame(index=NAMES), layers={"counts": COUNTS})
    written.raw = anndata.AnnData(COUNTS, var=pandas.DataFrame(index=NAMES))
    written.write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    for layer in ("counts", "raw"):
        data = loaded(f"h5ad:{tmp_path / 'x.h5ad'}", layer=layer, label_column="kind")
        np.testing.assert_array_equal(rows(data), np.sort(DENSE, 0))
        assert data.columns == tuple(NAMES)
        assert "T cell" in data.classes
    with pytest.warns(UserWarning, match="20 of 60 images in .* have no label"):
        assert loaded(f"h5ad:{tmp_path / 'x.h5ad'}", layer="raw", label_column="on").classes == ("0", "1")


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.filterwarnings("ignore:dataset. the matrix in .* is stored by columns")
def test_scipys_own_files_are_read(kind, tmp_path):
    for number, matrix in enumerate([COUNTS.asformat(kind), scipy.sparse.csr_array(COUNTS).asformat(kind)]):
        scipy.sparse.save_npz(tmp_path / f"{number}.npz", matrix)
        data = loaded(f"npz:{tmp_path / f'{number}.npz'}")
        assert isinstance(data.train.images, SparseRows)
        np.testing.assert_array_equal(rows(data), np.sort(DENSE, 0))


def test_bad_files_of_scipy_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    scipy.sparse.save_npz(path, COUNTS.tocoo())
    with pytest.raises(InputError, match=r"expected a matrix in CSR or CSC in .*, got 'coo'; save X.tocsr"):
        loaded(f"npz:{path}")
    scipy.sparse.save_npz(path, COUNTS)
    with pytest.raises(InputError, match=r"pixels: expected counts, .* for the sparse rows in .*x.npz, got 'grey'"):
        loaded(f"npz:{path}", pixels="grey")
    fields = {name: getattr(COUNTS, name) for name in ("indptr", "indices", "data", "shape")}
    for change, message in [
        ({"indices": np.full(COUNTS.nnz, 7)}, "damaged one: values in other columns than its 7"),
        ({"format": b"xyz"}, "got 'xyz'; save X.tocsr"),
        ({"format": 3.0}, "got: format and shape of a sparse matrix, but no such values in them"),
        ({"shape": (60, 7, 1)}, "got: format and shape of a sparse matrix, but no such values in them"),
        ({"data": COUNTS.data[:, None]}, "got: a sparse matrix that is no rows of numbers"),
        ({"data": COUNTS.data.astype(str)}, "got: a sparse matrix that is no rows of numbers"),
    ]:
        np.savez(path, **({"format": b"csr"} | fields | change))
        with pytest.raises(InputError, match=message):
            loaded(f"npz:{path}")
