"""scikit-learn's digits: uint8 images with all ten classes, in any size."""

import pytest
import torch

from pyrovae.data.sources import read_source


def test_digits():
    source = read_source("digits")
    assert source.images.shape == (1797, 1, 8, 8)
    assert source.images.dtype == torch.uint8
    levels = source.images.unique().tolist()
    assert len(levels) == 17  # grey levels of scikit-learn's file, over the whole range
    assert (levels[0], levels[-1]) == (0, 255)
    assert source.labels[:10].tolist() == list(range(10))
    assert source.classes == tuple("0123456789")
    assert source.test_images is None


@pytest.mark.parametrize("size", [8, 5, 16])
def test_digits_in_another_size(size):
    images = read_source("digits", image_size=size).images
    assert images.shape == (1797, 1, size, size)
    assert images.float().mean().item() == pytest.approx(77.9, rel=0.1)  # as bright as in their own size
