"""Mosaics, on the arrays drawn."""

import numpy as np
import torch

from pyrovae.figures.style import mosaic


def test_a_mosaic_is_filled_row_by_row_with_white_between_images():
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 30, 40) / 10
    drawn = mosaic(images, columns=3)
    assert drawn.shape == (2 * 32, 3 * 42, 3)
    assert drawn[1:31, 43:83].max() == drawn[1:31, 43:83].min() == np.float32(0.1)
    assert drawn[33:63, 85:125].max() == np.float32(0.5)
    assert (drawn[31:33] == 1).all()
