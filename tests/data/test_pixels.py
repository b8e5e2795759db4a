"""The pixel protocols: uint8 images in memory, read as the numbers that a likelihood scores."""

import numpy as np
import pytest
import torch

from pyrovae.config.settings import Config
from pyrovae.config.values import IMAGES
from pyrovae.data.loading import load
from pyrovae.data.pixels import Pixels
from pyrovae.errors import InputError

GREY = 77  # of 255: a pixel of this value is binarised to 1 with probability 30.2 %


@pytest.fixture
def noisy(npz):
    """Write 40 training and 20 test images with all 256 values."""
    random = np.random.default_rng(0)
    return npz(
        images=random.integers(0, 256, (40, 16, 16), dtype=np.uint8),
        test_images=random.integers(0, 256, (20, 16, 16), dtype=np.uint8),
    )


def read_all(data, images):
    return data.batch(images, slice(None)).x


@pytest.mark.parametrize("pixels", IMAGES)
def test_images_are_uint8_in_memory_and_floats_when_read(pixels, noisy):
    data = load(Config(**noisy, pixels=pixels, validation=10))
    assert data.pixels.protocol == pixels
    for images in (data.train, data.validation, data.test):
        assert images.images.dtype == torch.uint8
        assert read_all(data, images).dtype == torch.get_default_dtype()


@pytest.mark.parametrize("pixels", IMAGES)
def test_evaluation_pixels_are_the_same_at_each_visit_and_each_load(pixels, noisy):
    data, again = (load(Config(**noisy, pixels=pixels, validation=10)) for _ in range(2))
    for part in ("test", "validation"):
        x = read_all(data, getattr(data, part))
        assert torch.equal(x, read_all(data, getattr(data, part)))
        assert torch.equal(x, read_all(again, getattr(again, part)))


@pytest.mark.parametrize("pixels", [pixels for pixels in IMAGES if pixels not in ("dynamic", "dequantised")])
def test_training_pixels_are_the_same_at_each_visit(pixels, noisy):
    data, again = load(Config(**noisy, pixels=pixels)), load(Config(**noisy, pixels=pixels))
    x = read_all(data, data.train)
    assert torch.equal(x, read_all(data, data.train))
    assert torch.equal(x, read_all(again, again.train))


def test_grey_is_x_over_255(noisy):
    data = load(Config(**noisy))
    x = read_all(data, data.train)
    assert torch.equal(x, data.train.images / 255)
    assert (x.min().item(), x.max().item()) == (0, 1)
    assert data.pixels.to_unit(torch.tensor([-0.5, 0.25, 1.5])).tolist() == [0, 0.25, 1]


def test_dynamic_draws_training_pixels_at_each_visit(noisy):
    data = load(Config(**noisy, pixels="dynamic"))
    torch.manual_seed(0)
    first, second = read_all(data, data.train), read_all(data, data.train)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(first, read_all(data, data.train))  # drawn with torch's random state, so runs can be repeated


def test_dequantised_draws_a_place_within_each_level_at_each_visit_of_training_images(noisy):
    data = load(Config(**noisy, pixels="dequantised"))
    levels = data.train.images.double()
    visits = torch.stack([read_all(data, data.train).double() for _ in range(50)])
    places = 256 * visits - levels
    assert 0 < places.min() < 1e-3 < 1 - 1e-3 < places.max() < 1
    assert places.mean().item() == pytest.approx(0.5, abs=1e-3)
    assert places.var().item() == pytest.approx(1 / 12, rel=1e-2)
    assert not torch.equal(visits[0], visits[1])
    white = data.pixels.read(torch.full((1000, 1, 32, 32), 255, dtype=torch.uint8))
    assert white.max() < 1  # 255 + u may be 256 in float32, where a density such as Beta's is infinite
    for images in (data.train, data.test):
        unit = data.pixels.to_unit(read_all(data, images))
        assert torch.equal((255 * unit).round().to(torch.uint8), images.images)


@pytest.mark.parametrize("pixels", ["dynamic", "static"])
def test_binary_pixels_are_bernoulli_draws_of_their_grey_value(pixels, npz):
    images = np.full((3, 100, 100), GREY, dtype=np.uint8)
    images[1], images[2], images[1:, 0, 1] = 0, 255, GREY
    images[0, 0, 1] = GREY + 1  # no two images are equal
    data = load(Config(**npz(images=images, test_images=images.transpose(0, 2, 1)), pixels=pixels))
    torch.manual_seed(0)
    for part in (data.train, data.test):
        x = read_all(data, part)
        assert set(x.unique().tolist()) == {0, 1}
        assert x.mean((1, 2, 3)).tolist() == pytest.approx([GREY / 255, 0, 1], abs=0.024)  # 5 standard deviations


def test_static_draws_training_and_test_pixels_independently(npz):
    images = np.full((2, 50, 50), 128, dtype=np.uint8)
    images[1, 0, 0] = 127  # no two images are equal
    data = load(Config(**npz(images=images, test_images=images.transpose(0, 2, 1) + 1), pixels="static"))
    drawn = torch.cat([data.train.images, data.test.images]).flatten(1).float()
    assert torch.corrcoef(drawn).fill_diagonal_(0).abs().max() < 0.1  # 5 standard deviations
    assert set(data.train.images.unique().tolist()) == {0, 255}


def test_threshold_lies_between_127_and_128(npz):
    images = np.array([[[0, 127], [128, 255]], [[1, 127], [128, 255]]], dtype=np.uint8)
    data = load(Config(**npz(images=images), pixels="threshold"))
    assert read_all(data, data.train).flatten().tolist() == [0, 0, 1, 1]
    assert read_all(data, data.test).flatten().tolist() == [0, 0, 1, 1]


def test_standardized_has_mean_0_and_standard_deviation_1(noisy):
    data = load(Config(**noisy, pixels="standardized"))
    x, test = read_all(data, data.train), read_all(data, data.test)
    assert x.mean().item() == pytest.approx(0, abs=1e-5)
    assert x.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    grey = data.train.images.double() / 255
    expected = (data.test.images / 255 - grey.mean()) / grey.std(correction=0)  # those of the training set
    assert torch.allclose(test, expected.float(), atol=1e-5)


@pytest.mark.parametrize("pixels", ["grey", "standardized"])
def test_to_unit_inverts_read(pixels, noisy):
    data = load(Config(**noisy, pixels=pixels))
    unit = data.pixels.to_unit(read_all(data, data.test))
    assert torch.allclose(unit, data.test.images / 255, atol=1e-6)
    assert unit.min() >= 0
    assert unit.max() <= 1


def test_constant_images_cannot_be_standardized():
    with pytest.raises(InputError, match="'standardized' expects images that vary, got one constant value"):
        Pixels.of("standardized", torch.full((10, 1, 4, 4), GREY, dtype=torch.uint8))


def test_the_mean_of_many_bytes_is_exact():
    """Use so many bytes that a sum in single precision, which is exact up to 2^24, would be wrong."""
    images = torch.full((70, 1, 512, 512), 1, dtype=torch.uint8)
    images[:35] = 254
    pixels = Pixels.of("standardized", images)
    assert pixels.mean == pytest.approx(0.5, abs=1e-12)
    assert pixels.std == pytest.approx(253 / 510, abs=1e-12)
