"""Rows of a table enter as vectors, in their own units, or are refused in one line."""

import warnings

import numpy as np
import pytest
import torch
from support.tables import counts_of_truth

from pyrovae import Config, Data, InputError, build, elbo_scores, fit, load, log_likelihoods
from pyrovae.data import Images, Pixels

ROWS = np.random.default_rng(0).normal(3, 2, (60, 4))
COUNTS = np.random.default_rng(0).poisson(3, (60, 4))
PROTOCOLS = {"real": ROWS, "standardized": ROWS, "counts": COUNTS, "binary": COUNTS % 2}
LIKELIHOODS = {"real": "gaussian", "standardized": "student_t", "counts": "negative_binomial", "binary": "bernoulli"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy, np.float32, np.asfortranarray])
def test_arrays_in_hand_are_read_as_they_are(protocol, kind):
    x = PROTOCOLS[protocol]
    data = Data.of(kind(x), test=kind(x[:9]), pixels=protocol)
    assert data.shape == (4,)
    assert not data.missing
    assert repr(data.test) == "Vectors(9 of 4, unlabelled)"
    x9 = data.batch(data.test, slice(None)).x
    assert x9.shape == (9, 4)
    torch.testing.assert_close(
        data.pixels.to_own_units(x9).double(), torch.from_numpy(x[:9]).double(), rtol=1e-6, atol=1e-6
    )
    if protocol == "standardized":
        whole = data.batch(data.train, slice(None)).x
        torch.testing.assert_close(whole.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(whole.std(0, correction=0), torch.ones(4))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_files_are_read_as_arrays_in_hand_are(tmp_path, protocol):
    x = PROTOCOLS[protocol]
    np.savez(tmp_path / "x.npz", x=x)
    np.save(tmp_path / "x.npy", x)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b,c,d", comments="")
    expected = Data.of(x, pixels=protocol)
    for name in ("npz:x.npz", "npz:x.npy", "csv:x.csv"):
        data = load(Config(dataset=name.replace("x.", f"{tmp_path}/x."), pixels=protocol))
        assert rows_of(data) == rows_of(expected)
        assert len(data.test) == 12
        assert data.columns == (("a", "b", "c", "d") if "csv" in name else ())


def rows_of(data):
    return sorted(torch.cat([data.train.images, data.test.images]).tolist())


def test_a_data_frame_names_its_columns_and_its_label():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(ROWS, columns=list("abcd")).assign(kind=["x", "y"] * 30)
    data = Data.of(frame, "kind", pixels="real")
    assert (data.columns, data.classes, data.shape) == (("a", "b", "c", "d"), ("x", "y"), (4,))


def test_empty_cells_are_missing(tmp_path):
    (tmp_path / "x.csv").write_text("a,b,label\n1,2,u\n,3,v\n4,NA,u\n5,?,v\n6,7,u\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="30.00% of the values in .*x.csv are missing"):
        data = load(Config(dataset=f"csv:{tmp_path}/x.csv", pixels="real"))
    assert data.missing
    assert data.classes == ("u", "v")
    whole = torch.cat([data.train.images, data.test.images])
    assert whole.isnan().sum(0).tolist() == [1, 2]
    assert whole.nansum() == 28


def test_standardized_columns_leave_missing_values_out():
    x = ROWS.copy()
    x[::3, 1] = np.nan
    with pytest.warns(UserWarning, match="missing"):
        data = Data.of(x, test=ROWS, pixels="standardized")
    assert data.pixels.mean[1] == pytest.approx(np.nanmean(x[:, 1].astype(np.float32)), rel=1e-6)
    assert data.pixels.std[1] == pytest.approx(np.nanstd(x[:, 1].astype(np.float32)), rel=1e-5)
    assert data.batch(data.train, slice(None)).x.isnan().sum() == 20


BAD = {
    "infinity": (
        np.where(ROWS > 5, np.inf, ROWS),
        "real",
        "expected finite numbers, or NaN, in rows in data, got inf",
    ),
    "too large for float32": (ROWS * 1e300, "real", "expected rows in data up to 3.4e\\+38"),
    "negative counts": (COUNTS - 1, "counts", "expected counts, whole numbers from 0 to 16,777,216, in rows in data"),
    "fractions": (ROWS, "counts", "expected counts"),
    "counts that float32 has not": (COUNTS + 2**24, "counts", "expected counts"),
    "counts as binary": (COUNTS, "binary", "expected 0 and 1, in rows in data, got others in columns 1, 2, 3, 4"),
    "words": (ROWS.astype(str), "real", "to be numbers, got type str[0-9]*"),
    "images": (
        np.zeros((9, 4, 4)),
        "real",
        r"expected rows in data \(N, D\), as pixels are 'real', got",
    ),
    "one row": (ROWS[0], "real", r"expected rows in data \(N, D\)"),
    "a column of nothing": (
        ROWS * [1, np.nan, 1, 1],
        "real",
        "expected values in every column of data, got none in",
    ),
    "a constant column": (
        ROWS * [1, 0, 1, 1],
        "standardized",
        "expects columns that vary, got a constant one",
    ),
    "equal rows": (np.ones((9, 4)), "real", "expected rows that differ"),
    "grey": (ROWS, "grey", r"if it is a row of a table, say what its numbers are, by --pixels standardized, real"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_arrays_are_refused_in_one_line(name):
    x, protocol, line = BAD[name]
    with pytest.raises(InputError, match=line) as error:
        Data.of(x, pixels=protocol)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("protocol", ["real", "counts", "binary"])
def test_images_are_no_table(protocol):
    with pytest.raises(InputError, match=r"pixels: expected one of grey, .* for images, got"):
        load(Config(dataset="digits", pixels=protocol))
    with pytest.raises(InputError, match=r"pixels: expected one of grey, .* for images, got"):
        build(Config(pixels=protocol, likelihood=LIKELIHOODS[protocol]), (1, 8, 8))


@pytest.mark.parametrize("pixels", ["grey", "dynamic", "static", "threshold", "bytes"])
def test_a_table_is_no_images(pixels):
    likelihood = "categorical" if pixels == "bytes" else "bernoulli"
    with pytest.raises(InputError, match=r"pixels: expected one of standardized, real, .* for a table, whose rows are"):
        build(Config(pixels=pixels, likelihood=likelihood), (4,))


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"network": "conv"}, "network conv: expected images"),
        ({"network": "resnet"}, "network resnet: expected images"),
        ({"condition": "quadrant1"}, "condition: expected none, label or columns for a table"),
        ({"likelihood": "beta"}, "likelihood 'beta' expects grey"),
    ],
)
def test_what_is_for_images_is_refused_for_a_table(settings, line):
    with pytest.raises(InputError, match=line):
        build(Config(**({"pixels": "real", "likelihood": "gaussian"} | settings)), (4,))


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("compiled", ["no", "yes"])
def test_every_protocol_trains(protocol, missing, compiled):
    if compiled == "yes" and (protocol != "standardized" or not missing):
        pytest.skip("one is enough")
    x = PROTOCOLS[protocol].astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = np.where(np.random.default_rng(1).random(x.shape) < 0.2 * missing, np.nan, x)
        data = Data.of(x, pixels=protocol)
    config = Config(
        pixels=protocol,
        likelihood=LIKELIHOODS[protocol],
        prior="exemplar",
        components=10,
        hidden=(16,),
        epochs=10,
        lr=0.01,
        device="cpu",
        threads=1,
        compile=compiled,
    )
    program = build(config, data.shape, missing=data.missing)
    records = [*fit(program, data, config)]
    assert records[-1]["train"]["loss"] < records[0]["train"]["loss"]
    x = data.batch(data.test, slice(0, 5)).x
    assert program.reconstruct(x).shape == program.generate(5).shape == (5, 4)
    assert program.encode(x).event_shape == (2,)
    assert program.reconstruct(x.numpy()).shape == (5, 4)


def test_a_program_for_whole_data_refuses_gaps():
    x = np.where(ROWS > 5, np.nan, ROWS)
    config = Config(pixels="real", likelihood="gaussian", device="cpu")
    with pytest.warns(UserWarning, match="missing"):
        data = Data.of(x, pixels="real")
    with pytest.raises(InputError, match="missing: expected a program built for missing values"):
        fit(build(config, (4,)), data, config)


def test_gaps_of_further_rows_are_refused_by_a_program_for_whole_data():
    data = Data.of(ROWS, pixels="real")
    program = build(Config(pixels="real", likelihood="gaussian", device="cpu"), (4,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function in (elbo_scores, lambda *args: [*log_likelihoods(*args, samples=2)]):
            with pytest.raises(InputError, match="missing: expected a program built for missing values"):
                function(program, data, np.where(ROWS > 4, np.nan, ROWS))


def test_a_table_shows_itself_in_a_notebook():
    data = Data.of(ROWS, pixels="real")
    assert "60" not in data._repr_html_()
    assert "48" in data._repr_html_()
    assert "<img" not in data.train._repr_html_()


def test_sets_of_other_widths_are_refused():
    with pytest.raises(InputError, match="expected rows of one width in data, got 3 and 4"):
        Data.of(ROWS, test=ROWS[:, :3], pixels="real")


def test_other_tensors_are_no_images():
    # Floats in [0, 1] would be divided by 255 again.
    for tensor in (
        torch.rand(3, 1, 4, 4),
        torch.zeros(3, 4, dtype=torch.uint8),
        torch.zeros(3, 4, 4),
        torch.zeros(3, 4).double(),
    ):
        with pytest.raises(InputError, match=r"or rows \(N, D\) of torch.float32, got"):
            Images(tensor)


def test_moments_of_columns_survive_as_numbers():
    pixels = Pixels.of("standardized", torch.from_numpy(ROWS).float())
    assert Pixels(pixels.protocol, pixels.mean, pixels.std) == pixels
    assert len(pixels.mean) == len(pixels.std) == 4


def test_counts_of_a_factor_model_are_scored_within_a_percent_of_the_truth():
    (train, test), exact = counts_of_truth(4000, 300)
    data = Data.of(train.numpy(), test=test.numpy(), pixels="counts")
    config = Config(
        pixels="counts",
        likelihood="negative_binomial",
        hidden=(64,),
        epochs=12,
        batch_size=100,
        lr=3e-3,
        schedule="cosine",
    )
    program = build(config, data.shape)
    for _ in fit(program, data, config):
        pass
    batches = log_likelihoods(program, data, data.test, samples=100)
    estimate = torch.cat([batch["log_likelihood"] for batch in batches]).double()
    assert estimate.mean().item() == pytest.approx(exact.mean().item(), rel=0.01)
