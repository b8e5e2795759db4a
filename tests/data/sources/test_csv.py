"""Tables whose rows are images: names, separators and labels that are read, and what is refused."""

import numpy as np
import pytest
from support.files import noise

from pyrovae import Config, InputError, load
from pyrovae.data.format import Format
from pyrovae.data.sources import read_source

IMAGES = noise(12, 4, 5)
IMAGES[0, 0, :2] = 0, 255
LABELS = np.arange(12) % 3


def write(path, rows, names=None, delimiter=","):
    lines = [delimiter.join(map(str, row)) for row in rows]
    head = [] if names is None else [delimiter.join(names)]
    path.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    return f"csv:{path}"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("name", ["label", "Class", "target", "y"])
def test_a_column_with_a_known_name_is_the_label(name, delimiter, tmp_path):
    names = [*(f"p{i}" for i in range(10)), name, *(f"p{i}" for i in range(10, 20))]
    rows = np.insert(IMAGES.reshape(12, 20).astype(int), 10, LABELS + 1, axis=1)
    raw = read_source(write(tmp_path / "a.csv", rows, names, delimiter), format=Format(shape=(4, 5)))
    assert np.array_equal(raw.images[:, 0], IMAGES)
    assert raw.labels.tolist() == LABELS.tolist()
    assert raw.classes == ("1", "2", "3")


def test_a_column_may_be_named_as_the_label(tmp_path):
    rows = [[*image.ravel(), f"k{label}", ""] for image, label in zip(IMAGES, LABELS)]
    rows = [row[:-1] for row in rows]
    dataset = write(tmp_path / "a.csv", rows, [*map(str, range(20)), "kind"])
    raw = read_source(dataset, format=Format(shape=(4, 5), label_column="kind"))
    assert raw.classes == ("k0", "k1", "k2")
    with pytest.raises(InputError, match=r"label_column: expected one of 0, 1, .*, got 'kin'; did you mean 'kind'"):
        read_source(dataset, format=Format(shape=(4, 5), label_column="kin"))
    with pytest.raises(InputError, match=r"expected a table of numbers at .*, got: could not convert string 'k0' to"):
        read_source(dataset, format=Format(shape=(4, 5)))


def test_without_names_the_column_that_is_left_over_is_the_label_and_that_is_said(tmp_path):
    rows = np.c_[LABELS, IMAGES.reshape(12, 20)]
    with pytest.warns(UserWarning, match="the first of 21 columns of .* is read as the label"):
        raw = read_source(write(tmp_path / "a.csv", rows), format=Format(shape=(4, 5)))
    assert raw.labels.tolist() == LABELS.tolist()
    assert np.array_equal(raw.images[:, 0], IMAGES)


def test_fractions_and_a_byte_order_mark_are_read(tmp_path):
    write(tmp_path / "a.csv", IMAGES.reshape(12, 20) / 255, [f"p{i}" for i in range(20)])
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.csv").read_bytes())
    data = load(Config(dataset=f"csv:{tmp_path / 'a.csv'}", shape=(4, 5), image_size=4))
    assert data.shape == (1, 4, 4)
    assert np.array_equal(read_source(f"csv:{tmp_path / 'a.csv'}", format=Format(shape=(4, 5))).images[:, 0], IMAGES)


def test_labels_may_be_missing(tmp_path):
    rows = [[*image.ravel(), "" if label == 2 else label] for image, label in zip(IMAGES, LABELS)]
    with pytest.warns(UserWarning, match="4 of 12 images in .* have no label"):
        raw = read_source(write(tmp_path / "a.csv", rows, [*map(str, range(20)), "label"]), format=Format(shape=(4, 5)))
    assert raw.classes == ("0", "1")


@pytest.mark.parametrize(
    ("content", "shape", "message"),
    [
        ("", (4, 5), "expected a table of numbers at .*, got: "),
        ("1,2\n3\n4,5\n", (1, 2), "expected a table of numbers at .*, got: .*column"),
        ("1,2\n3,x\n", (1, 2), "got: could not convert string 'x'"),
        ("1,2\n3,\n", (1, 2), "got: could not convert string ''"),
        ("0,255,3\n0,9,200\n", (2, 2), "shape: expected two or three numbers with the product 3"),
        ("0,255,3\n0,9,200\n", (), "if each row is an image, say of what shape, by --shape H,W"),
        (
            "7,0,9,200,3\n1,2,3,4,5\n",
            (),
            "whose rows have 5 numbers, got none; --shape 2,2 reads the first as the label",
        ),
        ("a,label,class\n1,2,3\n", (1, 1), "label_column: expected one of label, class, as .* has them all"),
        ("\x00\x01\n", (1, 1), "expected a table of numbers at"),
    ],
)
def test_other_texts_are_refused(content, shape, message, tmp_path):
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as refusal:
        read_source(f"csv:{tmp_path / 'a.csv'}", format=Format(shape=shape))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a.csv", "a.npz", "folder", "a.zip"])
def test_a_hint_names_what_reads_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir() if name == "folder" else (tmp_path / name).touch()
    hints = {"a.csv": "'csv:a.csv'", "a.npz": "'npz:a.npz'", "folder": "'folder:folder'", "a.zip": "be a table, .csv"}
    with pytest.raises(InputError, match=hints[name]):
        read_source(name)
