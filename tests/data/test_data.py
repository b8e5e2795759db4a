"""A dataset is split into disjoint sets, the same for every run, and gives batches of pixels and labels."""

import numpy as np
import pytest
import torch

from pyrovae.config.settings import Config
from pyrovae.data.images import Images
from pyrovae.data.loading import load
from pyrovae.errors import InputError


def numbered(n, start=0):
    """Make images of which each has its number in all pixels, plus 50, so that they are not nearly black."""
    return np.arange(50 + start, 50 + start + n, dtype=np.uint8)[:, None, None].repeat(3, 1).repeat(3, 2)


def numbers(images):
    return (images.images[:, 0, 0, 0].int() - 50).tolist()


@pytest.mark.parametrize(("n", "n_train"), [(2, 1), (3, 2), (10, 8), (101, 81)])
def test_a_source_without_test_set_is_split_80_to_20(n, n_train, npz):
    settings = npz(images=numbered(n), labels=np.arange(n))
    data, again = load(Config(**settings)), load(Config(**settings, seed=5, pixels="threshold"))
    assert (len(data.train), len(data.test)) == (n_train, n - n_train)
    assert sorted(numbers(data.train) + numbers(data.test)) == list(range(n))
    for part in ("train", "test"):
        images = getattr(data, part)
        assert images.labels.tolist() == numbers(images)  # labels stay with their images
        assert getattr(again, part).labels.tolist() == numbers(images)  # other settings do not change the split


def test_the_split_is_random(npz):
    data = load(Config(**npz(images=numbered(100))))
    assert numbers(data.train) != sorted(numbers(data.train))
    assert max(numbers(data.test)) - min(numbers(data.test)) > 50


def test_a_single_image_cannot_be_split(npz):
    with pytest.raises(InputError, match=r"expected at least 2 images, .*, got 1"):
        load(Config(**npz(images=numbered(1))))


def test_the_test_set_of_a_source_stays_as_it_is(npz):
    data = load(Config(**npz(images=numbered(7), test_images=numbered(3, start=50))))
    assert numbers(data.train) == list(range(7))
    assert numbers(data.test) == [50, 51, 52]


@pytest.mark.parametrize("test_set", [{}, {"test_images": numbered(5, start=150)}], ids=["split", "given test set"])
def test_validation_images_are_taken_from_the_training_set_alone(test_set, npz):
    settings = npz(images=numbered(50), **test_set)
    whole, split, again = load(Config(**settings)), *(load(Config(**settings, validation=9)) for _ in range(2))
    assert whole.validation is None
    assert numbers(split.test) == numbers(whole.test)
    assert len(split.validation) == 9
    assert sorted(numbers(split.validation) + numbers(split.train)) == sorted(numbers(whole.train))
    assert numbers(split.validation) == numbers(again.validation)
    assert numbers(split.train) == numbers(again.train)


@pytest.mark.parametrize("validation", [8, 9, 1000])
def test_validation_must_leave_images_to_train_on(validation, npz):
    with pytest.raises(InputError, match=f"validation: expected fewer than the 8 images, got {validation}"):
        load(Config(**npz(images=numbered(10)), validation=validation))


def test_standardized_takes_the_mean_without_the_validation_images(npz):
    data = load(Config(**npz(images=numbered(50)), pixels="standardized", validation=20))
    assert data.pixels.mean * 255 == pytest.approx(50 + np.mean(numbers(data.train)))


def test_digits_are_split_into_three_sets():
    data = load(Config(validation=100, image_size=4))
    assert (len(data.train), len(data.validation), len(data.test)) == (1338, 100, 359)
    assert data.shape == (1, 4, 4)
    assert data.name == "digits"
    assert data.classes == tuple("0123456789")
    assert data.test.labels.bincount().min() > 20  # every class is in the test set
    assert data.batch(data.test, slice(None)).x.shape == (359, 1, 4, 4)


def test_indexing_and_moving_keep_images_and_labels_together():
    images = Images(torch.from_numpy(numbered(6)[:, None]), torch.arange(6))
    chosen = images[torch.tensor([4, 1])].to("cpu")
    assert numbers(chosen) == chosen.labels.tolist() == [4, 1]
    assert Images(images.images)[2:].labels is None


def test_a_batch_has_the_pixels_and_labels_of_its_rows(npz):
    data = load(Config(**npz(images=numbered(20), labels=np.arange(20)))).to("cpu")
    x, labels = data.batch(data.train, torch.tensor([3, 0, 3]))
    assert x.shape == (3, 1, 3, 3)
    assert (x[:, 0, 0, 0] * 255 - 50).round().tolist() == labels.tolist() == [numbers(data.train)[i] for i in (3, 0, 3)]
