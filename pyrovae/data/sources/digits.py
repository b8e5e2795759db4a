"""The digits of scikit-learn, which need no download."""

from pathlib import Path

import numpy as np
import torch

from pyrovae.data.sources.raw_data import RawData

DIGITS = tuple("0123456789")


def read_digits(_: Path) -> RawData:
    """1,797 handwritten digits of 8×8 pixels inside scikit-learn, their 17 grey levels spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(np.rint(digits.images * (255 / 16)), dtype=torch.uint8)[:, None]
    return RawData(images, torch.tensor(digits.target, dtype=torch.int64), classes=DIGITS)
