"""Images are stored in bytes if they have few enough distinct values."""

import pytest
import torch

from pyrovae.parts.priors.levels import Levels


def test_images_of_more_than_256_levels_are_refused():
    with pytest.raises(ValueError, match="expected images of at most 256 levels, got 300"):
        Levels(300, (1,)).copy_(torch.arange(300.0)[:, None])
