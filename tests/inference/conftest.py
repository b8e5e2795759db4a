import pytest
import torch
from support.linear import Regression


@pytest.fixture
def double():
    """Make float64 the default, for a test that compares many digits."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def regression(double):
    """A regression program, and data for it: x and y, 50 rows each, in float64."""
    x = torch.linspace(-1, 1, 50)
    return Regression(), x, 1.5 * x - 0.3 + 0.5 * torch.randn(50)
