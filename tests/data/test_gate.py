"""What numbers mean, whichever way they come: every kind of array by every entry, and what is said of it."""

import re
import warnings

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from pyrovae import Config, Data, InputError, load
from pyrovae.data.gate import read_images
from pyrovae.data.labels import read_labels

N = 24
RANDOM = np.random.default_rng(0)
BYTES = RANDOM.integers(0, 256, (N, 6, 7), dtype=np.uint8)
BYTES[0, 0, :2] = 0, 255  # the whole range is there
BINARY = (BYTES > 127).astype(np.uint8)
DEEP = RANDOM.integers(0, 2**16, (N, 6, 7)).astype(np.uint16)

# The kind of an array -> the array, the bytes that it means, and what is said, or None if nothing is.
READ = {
    "uint8": (BYTES, BYTES, None),
    "uint8 of 0 and 1": (BINARY, 255 * BINARY, "hold only 0 and 1: read as 0 and 255"),
    "bool": (BINARY > 0, 255 * BINARY, "are true or false: read as 255 and 0"),
    **{
        f"{kind} in 0..255": (BYTES.astype(kind), BYTES, f"are {kind} from 0 to 255: read as bytes, 0..255")
        for kind in ("int16", "uint16", "int32", "uint32", "int64", "float32", "float64")
    },
    **{
        f"{kind} of 0 and 1": (BINARY.astype(kind), 255 * BINARY, "hold only 0 and 1: read as 0 and 255")
        for kind in ("int8", "int64", "float32", "float64")
    },
    **{
        f"{kind} in 0..1": ((BYTES / 255).astype(kind), BYTES, f"are {kind} from 0 to 1: read as 255 x, rounded")
        for kind in ("float32", "float64")
    },
    "float64 in 0..0.9": (
        0.9 * (BYTES / 255),
        np.rint(0.9 * (BYTES / 255) * 255),
        "from 0 to 0.9: read as 255 x, rounded",
    ),
    "float64 in -1..1": (BYTES / 127.5 - 1, BYTES, "from -1 to 1: read as 127.5 .x . 1., rounded"),
    "float32 in -1..1": ((BYTES / 127.5 - 1).astype("f4"), BYTES, "from -1 to 1: read as 127.5 .x . 1., rounded"),
    "float64 of -1 and 1": (2.0 * BINARY - 1, 255 * BINARY, "from -1 to 1: read as 127.5 .x . 1., rounded"),
    "float64 near bytes": (
        BYTES.clip(1, 254) + 0.25,
        BYTES.clip(1, 254),
        "from 1.25 to 254.25: read as 0..255, rounded",
    ),
    "uint16": (DEEP, np.rint(DEEP / 257), r"are uint16 .*: read as x / 257, rounded"),
    "uint8 of few levels": (
        BYTES // 16,
        BYTES // 16,
        "are bytes of at most 15: nearly black; if 15 is white, multiply",
    ),
}
# The kind of an array -> the array, and what refuses it.
REFUSED = {
    "standardized": (RANDOM.normal(size=(N, 6, 7)), r"got float64 from -.*; bring them to \[0, 1\], where 1 is white"),
    "nothing but NaN": (np.where(BINARY > 0, np.nan, np.nan), "to be finite, or NaN where they are missing, got inf"),
    "infinity": (np.where(BINARY > 0, np.inf, 0.5), "to be finite, or NaN where they are missing, got infinity"),
    "above 1": (BYTES / 250, "got float64 from 0 to 1.02; bring them to"),
    "12 bits": (DEEP // 16, "got uint16 from .* to 4,09.; bring them"),
    "17 levels": (BYTES // 16 / 1.0 + 1, "got float64 from 1 to 16; bring them"),
    "negative": (BYTES.astype(int) - 128, "got int64 from -128 to 127; bring them"),
    "large": (BYTES.astype(int) * 1000, "got int64 from 0 to 255,000; bring them"),
    "32 bits": (DEEP.astype("u4") * 4, "got uint32 from .*; bring them"),
    "a little below 0": (BYTES / 255 - 0.3, "got float64 from -0.3 to 0.7; bring them"),
    "complex": (BYTES * 1j, "to be numbers, got type complex128"),
    "words": (BYTES.astype(str), "to be numbers, got type str"),
    "all equal": (np.full((N, 6, 7), 9.0) / 10, "expected images that differ"),
    "a vector": (
        BYTES[:, 0],
        r"of shape \(N, H, W\) in .*; if each row is an image, say of what shape, by --shape H,W",
    ),
    "five channels": (
        RANDOM.integers(0, 256, (N, 5, 6, 7), dtype=np.uint8),
        r"with C from 1 to 4, in .*, got \(.*, 5, 6, 7\)",
    ),
    "none": (BYTES[:0], r"got \(0, 6, 7\)"),
}


def by_npz(array, folder):
    np.savez(folder / "a.npz", images=array)
    return load(Config(dataset=f"npz:{folder / 'a.npz'}"))


def by_npy(array, folder):
    np.save(folder / "a.npy", array)
    return load(Config(dataset=f"npz:{folder / 'a.npy'}"))


def by_keras(array, folder):
    np.savez(folder / "a.npz", x_train=array[:16], x_test=array[16:])
    return load(Config(dataset=f"npz:{folder / 'a.npz'}"))


def by_columns(array, folder):
    np.save(folder / "a.npy", np.asfortranarray(array.astype(array.dtype.newbyteorder(">"))))
    return load(Config(dataset=f"npz:{folder / 'a.npy'}"))


def in_hand(array, folder):
    return Data.of(array)


def by_tensor(array, folder):
    return Data.of(torch.from_numpy(array))


def by_dataset(array, folder):
    return Data.of(TensorDataset(torch.from_numpy(array)))


def by_loader(array, folder):
    return Data.of(DataLoader(TensorDataset(torch.from_numpy(array)), 5, shuffle=True))


ENTRIES = [by_npz, by_npy, by_keras, by_columns, in_hand, by_tensor, by_dataset, by_loader]
OF_TORCH = (by_tensor, by_dataset, by_loader)


def whole(data):
    """Return all images of a dataset, sorted."""
    images = torch.cat([data.train.images, data.test.images])[:, 0].numpy()
    return sorted(image.tobytes() for image in images)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", READ)
def test_numbers_are_read_as_what_they_mean(kind, entry, tmp_path):
    array, expected, said = READ[kind]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = entry(array, tmp_path)
    assert data.train.images.dtype == torch.uint8
    assert whole(data) == sorted(image.tobytes() for image in expected.astype(np.uint8))
    messages = [str(warning.message) for warning in caught]
    from_hand = entry in (in_hand, *OF_TORCH)
    if said is None or (from_hand and ("true or false" in said or "255 x" in said)):  # there is no other reading
        assert messages == []
    else:
        assert len(messages) == 1
        assert re.search(said.replace(">", ""), messages[0].replace(">", "")), messages


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_plain_is_refused_with_a_remedy(kind, entry, tmp_path):
    array, message = REFUSED[kind]
    if entry in OF_TORCH and array.dtype.kind == "U":
        pytest.skip("torch has no words")
    if kind == "none" and entry in (by_dataset, by_loader):
        message = "data: expected images in images, got a Dataset without items"
        if entry is by_loader:
            pytest.skip("torch makes no loader of it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=message) as refusal:
            entry(array, tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", ["float64 in [0, 1]", "float32 in 0..255"])
def test_nan_is_a_missing_pixel(kind, entry, tmp_path):
    grey = np.random.default_rng(2).integers(0, 256, (N, 6, 7))
    grey[0, 0, :2] = 0, 255
    array = grey.astype(np.float32) if "255" in kind else grey / 255
    missing = np.random.default_rng(3).random(grey.shape) < 0.1
    missing[0, 0, :2] = False
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = entry(np.where(missing, np.nan, array), tmp_path)
    assert any("of the pixels in" in str(warning.message) for warning in caught)
    images = [images for images in (data.train, data.test) if len(images) and images.missing]
    assert data.missing
    assert all(part.images.dtype == torch.int16 for part in images)
    values = torch.cat([part.images for part in (data.train, data.test)])
    assert int((values < 0).sum()) == missing.sum()
    assert sorted(values[values >= 0].tolist()) == sorted(grey[~missing].tolist())


SHAPES = {
    (N, 6, 7): (N, 1, 6, 7),
    (N, 6, 7, 1): (N, 1, 6, 7),
    (N, 1, 6, 7): (N, 1, 6, 7),
    (N, 6, 7, 3): (N, 3, 6, 7),
    (N, 3, 6, 7): (N, 3, 6, 7),
    (N, 1, 7, 3): (N, 3, 1, 7),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_channels_may_be_in_front_or_behind(shape, entry, tmp_path):
    array = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    data = entry(array, tmp_path)
    assert (N, *data.shape) == SHAPES[shape]
    last = len(shape) == 4 and shape[3] in (1, 3)
    expected = array.transpose(0, 3, 1, 2) if last else array.reshape(SHAPES[shape])
    images = torch.cat([data.train.images, data.test.images]).numpy()
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in expected)


@pytest.mark.parametrize("shape", [(N, 3, 9, 3), (N, 3, 9, 1), (N, 1, 9, 1), (N, 4, 9, 4)])
def test_channels_that_may_be_either_are_refused(shape):
    with pytest.raises(InputError, match=r"whose channels may be . in front or . behind"):
        Data.of(RANDOM.integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("last", [False, True])
def test_an_alpha_channel_is_drawn_on_the_background(channels, last):
    array = RANDOM.integers(0, 256, (N, 5, 6, channels), dtype=np.uint8)
    alpha = array[..., -1:] / 255
    expected = np.rint(alpha * array[..., :-1] + (1 - alpha) * 255).transpose(0, 3, 1, 2)
    given = array if last else np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    with pytest.warns(UserWarning, match=f"{N} of {N} images in x are transparent in places: drawn on white"):
        images = read_images({"images": given}, "x")["images"]
    assert np.array_equal(images, expected)


@pytest.mark.parametrize("shape", [(6, 7), (1, 6, 7), (6, 7, 1)])
def test_flat_rows_are_images_of_a_stated_shape(shape, tmp_path):
    np.savez(tmp_path / "a.npz", data=BYTES.reshape(N, 42))
    data = load(Config(dataset=f"npz:{tmp_path / 'a.npz'}", shape=shape))
    assert whole(data) == whole(Data.of(BYTES.reshape(N, 42), shape=shape)) == whole(Data.of(BYTES))


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"shape: expected two or three numbers with the product 42, .*, got 5,7"):
        Data.of(BYTES.reshape(N, 42), shape=(5, 7))
    with pytest.raises(InputError, match=r"say of what shape, by --shape 6,6"):
        Data.of(BYTES[:, :, :6].reshape(N, 36))


def test_sets_are_read_alike():
    """A test set in another unit would be black or pale beside its training set: it is refused."""
    test = BYTES[:5] // 128
    with pytest.raises(InputError, match="in one unit, got test_images from 0 to 1 and another from 0 to 255"):
        Data.of(BYTES, test=test)
    with pytest.raises(InputError, match="in one unit, got test_images from 0 to 1 and another from -1 to 1"):
        Data.of(BYTES / 127.5 - 1, test=BYTES[:5] / 255)
    assert Data.of(BYTES / 255, test=BYTES[:5] / 510).test.images.max() == 128
    with pytest.raises(InputError, match="expected images and test_images of one type in data, got float64 and uint8"):
        Data.of(BYTES, test=test / 255)
    with pytest.raises(InputError, match="expected images and test_images of one shape"):
        Data.of(BYTES, test=BYTES[:3, :5])


def test_equal_images_and_test_images_among_those_trained_on_are_counted():
    with pytest.warns(UserWarning, match="only 6 of 24 training images in data are different"):
        Data.of(BYTES[:6].repeat(4, 0), test=BYTES[6:9])
    with pytest.warns(UserWarning, match="2 of 4 test images in data are training images"):
        Data.of(BYTES[:20], test=BYTES[18:22])


# --- labels ---

LABELS = {
    "numbers": (np.arange(N) % 3, ("0", "1", "2"), None),
    "numbers from 1": (np.arange(N) % 3 + 1, ("1", "2", "3"), None),
    "one column": ((np.arange(N) % 3)[:, None], ("0", "1", "2"), None),
    "one-hot": (np.eye(3)[np.arange(N) % 3], ("0", "1", "2"), "read as one-hot, 3 classes"),
    "words": (np.array(["ant", "bee", "cow"])[np.arange(N) % 3], ("ant", "bee", "cow"), None),
    "bytes": (np.array([b"ant", b"bee", b"cow"])[np.arange(N) % 3], ("ant", "bee", "cow"), None),
    "floats": (np.arange(N) % 3 + 5.0, ("5", "6", "7"), None),
    "truth values": (np.arange(N) % 2 > 0, ("0", "1"), None),
    "-1 for unknown": (np.where(np.arange(N) < 4, -1, np.arange(N) % 3), ("0", "1", "2"), "4 of 24 images .* no label"),
    "NaN for unknown": (np.where(np.arange(N) < 4, np.nan, np.arange(N) % 3), ("0", "1", "2"), "4 of 24 images"),
    "empty for unknown": (np.where(np.arange(N) < 4, "", "a"), ("a",), "4 of 24 images in .* have no label"),
}


@pytest.mark.parametrize("entry", ["npz", "hand", "function"])
@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_read_as_what_they_mean(kind, entry, tmp_path):
    labels, classes, said = LABELS[kind]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if entry == "npz":
            np.savez(tmp_path / "a.npz", train_images=BYTES, train_labels=labels)
            data = load(Config(dataset=f"npz:{tmp_path / 'a.npz'}"))
            names, count = data.classes, len(data.train.labels)
        elif entry == "hand":
            data = Data.of(BYTES, labels)
            names, count = data.classes, len(data.train.labels)
        else:
            numbers, names = read_labels({"labels": labels}, {"labels": N}, "x")
            count = round(0.8 * N)
            words = labels.argmax(1) if kind == "one-hot" else labels.ravel()
            if said is None:
                assert [names[i] for i in numbers["labels"].tolist()] == [
                    word.decode() if isinstance(word, bytes) else str(int(word)) if kind != "words" else str(word)
                    for word in words.tolist()
                ]
    assert names == classes
    assert count == round(0.8 * N)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == (said is not None)
    assert said is None or re.search(said, messages[0])


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (
            np.arange(5),
            {},
            r"expected 24 integers or words as labels of images|expected 24 integers or words as images",
        ),
        (np.ones((N, 3)), {}, "expected one label of each image, or one-hot rows"),
        (np.linspace(0, 1, N), {}, "expected integers, NaN or words .*, got fractions"),
        (np.arange(N) % 3, {"classes": ("a", "b")}, "expected labels from 0 to 1 in data, got 2"),
        (np.array(["a", "c"])[np.arange(N) % 2], {"classes": ("a", "b")}, "expected labels of a, b in data, got 'c'"),
        ("column", {}, "labels: expected an array, as images is no data frame, got 'column'"),
    ],
)
def test_other_labels_are_refused(labels, settings, message):
    with pytest.raises(InputError, match=message):
        Data.of(BYTES, labels, **settings)


def test_classes_name_the_numbers_of_labels():
    labels = np.arange(N) % 2
    assert Data.of(BYTES, labels, classes=("odd", "even")).classes == ("odd", "even")
    words = np.array(["b", "a"])[labels]
    data = Data.of(BYTES, words, classes=("b", "a"))
    order = {image.numpy().tobytes(): label.item() for image, label in zip(data.train.images, data.train.labels)}
    assert all(order.get(image.tobytes(), label) == label for image, label in zip(BYTES, labels))


# --- data in hand ---


class Pairs(Dataset):
    """Pictures of Pillow with labels, as torchvision's sets have them."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        from PIL import Image

        return Image.fromarray(BYTES[i]), i % 3


def test_a_dataset_of_pictures_and_labels_is_read():
    data = Data.of(Pairs(), test=6, validation=3)
    assert (len(data.train), len(data.validation), len(data.test)) == (15, 3, 6)
    assert data.classes == ("0", "1", "2")
    of = {BYTES[i].tobytes(): i % 3 for i in range(N)}
    for part in (data.train, data.validation, data.test):
        assert [of[image.numpy().tobytes()] for image in part.images] == part.labels.tolist()


def test_the_split_is_the_same_each_time_and_nothing_is_shared():
    array = BYTES.copy()
    one, other = Data.of(array, np.arange(N)), Data.of(array, np.arange(N))
    assert torch.equal(one.train.labels, other.train.labels)
    assert sorted([*one.train.labels.tolist(), *one.test.labels.tolist()]) == [*range(N)]
    before = one.train.images.clone()
    array[:] = 0
    assert torch.equal(one.train.images, before)


@pytest.mark.parametrize("test", [0, 24, 1.5, -0.5, True, 0.0])
def test_some_images_must_remain_on_both_sides(test):
    with pytest.raises(InputError, match="test: expected a share between 0 and 1, a number of images from 1 to 23"):
        Data.of(BYTES, test=test)


def test_test_images_may_come_with_their_labels():
    data = Data.of(BYTES[:20], np.arange(20) % 3, test=(BYTES[20:], np.arange(4) % 3))
    assert data.test.labels.tolist() == [0, 1, 2, 0]
    with pytest.raises(
        InputError, match="labels: expected labels for images and test_images alike, got some for images"
    ):
        Data.of(BYTES[:20], np.arange(20) % 3, test=BYTES[20:])


@pytest.mark.parametrize("data", [None, 3, "images.npz", {"images": BYTES}, []])
def test_what_holds_no_images_is_refused(data):
    with pytest.raises(InputError, match="data: expected an array, a tensor, a Dataset or DataLoader of torch"):
        Data.of(data)


def test_data_frames_have_their_labels_in_a_column():
    pandas = pytest.importorskip("pandas", reason="no pandas")
    frame = pandas.DataFrame(BYTES.reshape(N, 42)).assign(species=[f"s{i % 3}" for i in range(N)])
    data = Data.of(frame, "species", shape=(6, 7))
    assert data.classes == ("s0", "s1", "s2")
    assert whole(data) == whole(Data.of(BYTES))
    with pytest.raises(InputError, match=r"labels: expected one of the columns 0, 1, .*, got 'kind'"):
        Data.of(frame, "kind", shape=(6, 7))


def test_the_names_of_the_field_are_read(tmp_path):
    third = N // 3
    arrays = {"train": BYTES[:third], "val": BYTES[third : 2 * third], "test": BYTES[2 * third :]}
    labels = {f"{name}_labels": (np.arange(third) % 2)[:, None] for name in arrays}
    np.savez(tmp_path / "medmnist.npz", **{f"{name}_images": array for name, array in arrays.items()}, **labels)
    data = load(Config(dataset=f"npz:{tmp_path / 'medmnist.npz'}"))
    assert (len(data.train), len(data.validation), len(data.test)) == (third,) * 3
    assert data.validation.labels.tolist() == (np.arange(third) % 2).tolist()
    with pytest.raises(InputError, match=r"validation: expected 0, as .* has validation images of its own, got 3"):
        load(Config(dataset=f"npz:{tmp_path / 'medmnist.npz'}", validation=3))
    np.savez(tmp_path / "dsprites.npz", imgs=BINARY, latents_values=np.zeros((N, 6)), latents_classes=np.zeros((N, 6)))
    with (
        pytest.warns(UserWarning, match="latents_classes, latents_values in .* are not read"),
        pytest.warns(UserWarning, match="images in .* hold only 0 and 1: read as 0 and 255"),
    ):
        load(Config(dataset=f"npz:{tmp_path / 'dsprites.npz'}"))
    np.savez(tmp_path / "plain.npz", BYTES, np.arange(N) % 4)
    assert load(Config(dataset=f"npz:{tmp_path / 'plain.npz'}")).classes == ("0", "1", "2", "3")
    np.savez(tmp_path / "two.npz", images=BYTES, x_train=BYTES)
    with pytest.raises(InputError, match=r"expected one array of images in .*, got images and x_train"):
        load(Config(dataset=f"npz:{tmp_path / 'two.npz'}"))
