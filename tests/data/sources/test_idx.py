"""An IDX file that is cut off is refused before torchvision reads it."""

import pytest
from support.files import write_like_mnist

from pyrovae.data.sources import read_source
from pyrovae.errors import InputError


@pytest.mark.parametrize("size", [0, 10, 3000])
def test_a_cut_off_idx_file_is_reported_as_damaged_not_as_missing(size, tmp_path, no_network):
    write_like_mnist(tmp_path / "KMNIST")
    path = tmp_path / "KMNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"expected .*KMNIST/raw/train-images-idx3-ubyte.*, got"):
        read_source("kmnist", tmp_path)
