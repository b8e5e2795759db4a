"""Sparse counts stay sparse, and are the numbers that dense ones are."""

import numpy as np
import pytest
import scipy.sparse
import torch

from pyrovae import Config, Data, InputError, build, elbo_scores, fit
from pyrovae.data.sparse import Compressed, SparseRows, compressed, read_sparse
from pyrovae.inference import processes

RNG = np.random.default_rng(0)
DENSE = RNG.poisson(0.3, (90, 12)) * RNG.integers(1, 400, (90, 12))
DENSE[5] = 0  # a row without counts
MATRIX = scipy.sparse.csr_matrix(DENSE)


def rows_of(matrix, protocol="counts", columns=()):
    return read_sparse({"images": Compressed.of(matrix)}, "x", protocol, columns)["images"]


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "bsr", "dia", "dok"])
def test_any_matrix_of_scipy_is_read_as_it_is(kind):
    rows = rows_of(MATRIX.asformat(kind))
    assert isinstance(rows, SparseRows)
    np.testing.assert_array_equal(rows.to_dense().numpy(), DENSE)


def test_rows_are_picked_as_those_of_a_tensor_are():
    rows, dense = rows_of(MATRIX), torch.from_numpy(DENSE).float()
    order = torch.randperm(90)
    for index in (slice(3, 20), slice(None), slice(80, 200), order, order[:7], torch.tensor([5, 5, 0]), order[:0]):
        assert torch.equal(rows[index].to_dense(), dense[index])
    assert torch.equal(rows[order][slice(4, 9)][torch.tensor([2, 0])].to_dense(), dense[order[4:9]][[2, 0]])
    assert [len(part) for part in rows.split(40)] == [40, 40, 10]
    assert torch.equal(torch.cat([part.to_dense() for part in rows.split(40)]), dense)
    assert rows[order].values is rows.values  # nothing is copied


def test_values_out_of_order_explicit_zeros_and_two_at_one_place():
    matrix = scipy.sparse.csr_matrix(([1.0, 0.0, 4.0, 2.0, 5.0], [2, 0, 2, 1, 0], [0, 3, 3, 5]), (3, 3))
    np.testing.assert_array_equal(rows_of(matrix).to_dense().numpy(), [[0, 0, 5], [0, 0, 0], [5, 2, 0]])


def test_values_are_read_in_parts(monkeypatch):
    monkeypatch.setattr("pyrovae.data.sparse.CHUNK", 7)
    np.testing.assert_array_equal(rows_of(MATRIX).to_dense().numpy(), DENSE)
    again = read_sparse({"images": compressed(DENSE)}, "x", "counts")["images"]
    np.testing.assert_array_equal(again.to_dense().numpy(), DENSE)


def test_what_does_not_fit_in_memory_lies_in_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("pyrovae.data.storage.memory", lambda device: 4 * 100)
    data = Data.of(MATRIX, pixels="counts")
    np.testing.assert_array_equal(sorted(all_rows(data)), sorted(DENSE.tolist()))
    assert not [*tmp_path.iterdir()]  # it was deleted at once


def all_rows(data):
    return torch.cat([data.train.images.to_dense(), data.test.images.to_dense()]).tolist()


@pytest.mark.parametrize("protocol", ["counts", "binary", "real", "standardized"])
def test_data_are_those_of_dense_rows(protocol):
    dense = DENSE.clip(max=1) if protocol == "binary" else DENSE
    labels = np.arange(90) % 2
    one, other = (
        Data.of(x, labels, validation=9, pixels=protocol) for x in (scipy.sparse.csr_array(dense), dense.astype(float))
    )
    assert isinstance(one.train.images, SparseRows) == (protocol in ("counts", "binary"))
    assert repr(one) == repr(other)
    assert repr(one.train) == repr(other.train)
    assert one._repr_html_() == other._repr_html_()
    assert one.pixels == other.pixels
    assert not one.missing
    for part in ("train", "test", "validation"):
        batches = [data.batch(getattr(data, part), torch.arange(5)) for data in (one, other)]
        assert torch.equal(batches[0].x, batches[1].x)
        assert torch.equal(batches[0].labels, batches[1].labels)


@pytest.mark.parametrize("more", [{}, {"library_size": "observed", "likelihood": "poisson"}, {"condition": "label"}])
def test_a_training_on_sparse_rows_has_the_numbers_of_dense_ones(more):
    records, scores = [], []
    for x in (MATRIX, DENSE):
        data = Data.of(x, np.arange(90) % 2, pixels="counts")
        config = Config(
            **{"pixels": "counts", "likelihood": "negative_binomial", "hidden": (8,), "epochs": 2, "batch_size": 20}
            | {"device": "cpu", "compile": "no"}
            | more
        )
        program = build(config, data.shape, 2)
        records.append([{**record, "seconds": 0} for record in fit(program, data, config)])
        torch.manual_seed(0)
        scores.append(elbo_scores(program, data, x[:30], None) if not more else {})
    assert records[0] == records[1]
    assert scores[0] == scores[1]


def test_a_compiled_step_takes_them():
    data = Data.of(MATRIX, pixels="counts")
    config = Config(
        pixels="counts", likelihood="negative_binomial", library_size="observed", hidden=(8,), compile="yes",
        device="cpu", epochs=2, batch_size=24,
    )  # fmt: skip
    fitting = fit(build(config, data.shape), data, config)
    compiled = [record["test"]["loss"] for record in fitting]
    assert fitting.compiled
    config = config.replace(compile="no")
    eager = [record["test"]["loss"] for record in fit(build(config, data.shape), data, config)]
    assert compiled == pytest.approx(eager, rel=1e-5)


def test_processes_compare_what_they_have():
    from pyrovae.commands.digests import fingerprint

    assert processes  # the room that reads it
    one, same, other = (Data.of(x, pixels="counts") for x in (MATRIX, MATRIX.copy(), MATRIX * 2))
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def bad(values):
    return scipy.sparse.csr_matrix((values, [0, 3, 1], [0, 2, 3]), (2, 4))


@pytest.mark.parametrize(
    ("values", "protocol", "message"),
    [
        ([1, -1, 2], "counts", "expected counts, whole numbers from 0 to 16,777,216, .* got -1 in column 4"),
        ([1, 2, 0.5], "counts", "expected counts, .* got 0.5 in column 2"),
        ([1, np.nan, 2], "counts", "expected finite numbers, in rows in data, got nan in column 4"),
        ([1, np.inf, 2], "real", "expected finite numbers, in rows in data, got inf in column 4"),
        ([1, 1e300, 2], "real", r"expected finite numbers, in rows in data, got 1e\+300 in column 4"),
        ([1, 2**24 + 2, 2], "counts", "expected counts, .* got 1.67772e.07 in column 4"),
        ([1, 2, 1], "binary", "expected 0 and 1, in rows in data, got 2 in column 4"),
        ([1, 2j, 1], "counts", "expected rows in data to be numbers, got type complex128"),
        ([1, 2, 1], "grey", "pixels: expected counts, binary, .* for the sparse rows in data, got 'grey'"),
        ([1, 2, 1], "columns", "pixels: expected counts, .* for the sparse rows in data, got 'columns'"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_in_one_line(values, protocol, message):
    with pytest.raises(InputError, match=message):
        Data.of(bad(values), test=bad([1, 1, 1]), pixels=protocol)


@pytest.mark.parametrize(
    ("indptr", "indices", "data", "shape", "message"),
    [
        ([0, 1], [0], [1.0], (2, 3), "got a damaged one: 2 starts of 2 rows"),
        ([0, 1, 2], [0], [1.0, 2.0], (2, 3), "got a damaged one: 3 starts of 2 rows, 1 columns of 2 values"),
        ([0, 2, 1], [0, 1], [1.0, 2.0], (2, 3), "got a damaged one: rows that do not follow one another"),
        ([1, 1, 2], [0, 1], [1.0, 2.0], (2, 3), "got a damaged one: rows that do not follow one another"),
        ([0, 1, 2], [0, 3], [1.0, 2.0], (2, 3), "got a damaged one: values in other columns than its 3"),
        ([0, 1, 2], [0, -1], [1.0, 2.0], (2, 3), "got a damaged one: values in other columns than its 3"),
        ([0, 1, 2], [0.0, 1.0], [1.0, 2.0], (2, 3), "got a damaged one: values in other columns than its 3"),
        ([0], [], [], (0, 3), r"expected rows in x \(N, D\)"),
        ([0, 0], [], [], (1, 0), r"expected rows in x \(N, D\)"),
        ([0, 0], [], [], (1, 2**40), r"expected rows in x \(N, D\), with D up to 16,777,216"),
    ],
)
def test_damaged_matrices_are_refused(indptr, indices, data, shape, message):
    matrix = Compressed(np.array(indptr), np.array(indices), np.array(data), shape)
    with pytest.raises(InputError, match=message):
        read_sparse({"images": matrix}, "x", "counts")


def test_other_faults_are_refused():
    with pytest.raises(InputError, match="expected rows that differ in data, got 4 equal ones"):
        Data.of(scipy.sparse.csr_matrix(np.ones((4, 3))), test=MATRIX[:, :3], pixels="counts")
    with pytest.raises(InputError, match="expected rows of one width in data, got 3 and 12"):
        Data.of(MATRIX, test=MATRIX[:, :3], pixels="counts")
    with pytest.raises(InputError, match="alike in data, got some sparse, and test_images not"):
        Data.of(MATRIX, test=DENSE[:5], pixels="counts")
    with pytest.raises(InputError, match="missing: expected no mask beside sparse rows"):
        Data.of(MATRIX, pixels="counts", missing=DENSE > 3)
    with pytest.raises(InputError, match="expected 90 integers or words as images in data, got shape"):
        Data.of(MATRIX, np.arange(3), pixels="counts")


def test_dense_protocols_refuse_what_is_too_large_as_dense_rows(monkeypatch):
    monkeypatch.setattr("pyrovae.data.sparse.fits", lambda nbytes: nbytes < 100)
    with pytest.raises(InputError, match="expected counts or binary, which stay sparse, for 72 rows of 12 columns"):
        Data.of(MATRIX[:72], test=MATRIX[72:], pixels="real")
