"""scikit-learn's digits: uint8 images with all ten classes, in any size."""

import pytest
import torch

from pyrovae.data.sources import read_source


def test_digits_are_read_as_uint8_with_their_labels():
    raw = read_source("digits")
    assert raw.images.shape == (1797, 1, 8, 8)
    assert raw.images.dtype == torch.uint8
    levels = raw.images.unique().tolist()
    assert len(levels) == 17  # as many as in scikit-learn's file, spread over 0..255
    assert (levels[0], levels[-1]) == (0, 255)
    assert raw.labels[:10].tolist() == list(range(10))
    assert raw.classes == tuple("0123456789")
    assert raw.test_images is None


@pytest.mark.parametrize("size", [8, 5, 16])
def test_digits_are_resized_and_stay_as_bright(size):
    images = read_source("digits", image_size=size).images
    assert images.shape == (1797, 1, size, size)
    assert images.float().mean().item() == pytest.approx(77.9, rel=0.1)  # their mean in the original size
