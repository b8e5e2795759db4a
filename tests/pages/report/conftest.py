import shutil

import pytest
from support.report import make_run


@pytest.fixture(scope="session")
def made_runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    make_run(root / "one", epochs=3)
    make_run(root / "two", epochs=3, latent_dim=3)
    make_run(root / "label", condition="label")
    return root


@pytest.fixture
def runs(made_runs, tmp_path):
    """A folder with the runs `one`, `two` and `label`."""
    return shutil.copytree(made_runs, tmp_path / "runs")
