"""What an encoder is given of images and rows of which values are missing."""

import math

import pytest
import torch
from torch import nn

from pyrovae.parts.kinds import Kind
from pyrovae.parts.networks.observed import ByKind, Observed


class Kept(nn.Module):
    """An encoder that returns its input."""

    features = 1

    def forward(self, x, y=None):
        return x


@pytest.mark.parametrize(("gaps", "share"), [(0, 1.0), (8, 0.5), (12, 0.25), (15, 0.25), (16, 0.25)])
@pytest.mark.parametrize("shape", [(1, 4, 4), (16,)])
def test_values_and_mask_are_divided_by_the_share_that_is_there(shape, gaps, share):
    x = torch.randn(3, 16)
    x[0, :gaps] = math.nan
    values, mask = Observed(Kept(), shape)(x.view(3, *shape)).flatten(1).chunk(2, 1)
    torch.testing.assert_close(values[0], x[0].nan_to_num() / share)
    torch.testing.assert_close(mask[0], (~x[0].isnan()).float() / share)
    torch.testing.assert_close(values[1:], x[1:])
    assert (mask[1:] == 1).all()


def test_the_columns_of_a_mixed_table_are_divided_by_the_share_of_columns():
    kinds = [Kind("real", "gaussian"), Kind("category", "categorical", ("a", "b", "c"))]
    read = ByKind(Kept(), kinds, missing=True)(torch.tensor([[2.0, 1.0], [math.nan, 1.0]]))
    assert read.tolist() == [[2, 0, 1, 0, 1, 1], [0, 0, 2, 0, 0, 2]]
