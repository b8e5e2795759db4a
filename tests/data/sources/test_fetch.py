"""A download that fails leaves no files and no folders."""

import pytest
from support.files import bytes_of

from pyrovae.data.sources import read_source
from pyrovae.data.sources.torchvision_sets import TORCHVISION_SETS
from pyrovae.errors import InputError


@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_a_failed_download_leaves_no_files_and_no_folders(name, tmp_path, no_network):
    with pytest.raises(InputError):
        read_source(name, tmp_path / "data")
    assert bytes_of(tmp_path) == {}
