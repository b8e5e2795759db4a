"""Fixtures for all tests, and the profiles of hypothesis."""

# ruff: noqa: E402 - the folder of what is compiled is set before pyrovae is imported

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

# What one test compiles, others take from there, in this process or another: set before pyrovae is imported.
COMPILED = None if "TORCHINDUCTOR_CACHE_DIR" in os.environ else tempfile.mkdtemp(prefix="compiled-")
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", COMPILED or "")

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import settings
from support.builders import SHARED
from support.commands import make_world, pyrovae
from support.limits import refuse_network
from support.sweeps import TINY, InThisProcess

from pyrovae.commands import workers
from pyrovae.inference import compiled
from pyrovae.inference.threads import NAMING, Choice

# By default hypothesis tries the same few examples each time; --hypothesis-profile thorough tries many other ones.
settings.register_profile("quick", derandomize=True, deadline=None, max_examples=200)
settings.register_profile("thorough", deadline=None, max_examples=3000)
settings.load_profile("quick")


def pytest_unconfigure() -> None:
    """Delete what was compiled; the workers of pytest-xdist have the folder of the process that started them."""
    if COMPILED:
        shutil.rmtree(COMPILED, ignore_errors=True)


@pytest.fixture(autouse=True)
def _clean_slate():
    """Seed each test, and check that it leaves no parameter in Pyro's global store."""
    torch.manual_seed(0)
    yield
    assert not list(pyro.get_param_store().keys()), "pyrovae leaves Pyro's parameter store empty"


@contextlib.contextmanager
def uncounted():
    """Let coverage count no lines inside: counting makes an eager training half as long again, and a compiler twice."""
    trace = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(trace)


@pytest.fixture(autouse=True, scope="session")
def _uncounted_compiler():
    """Count no lines of Inductor, as none of them is ours."""
    with patch.object(compiled, "compile_by_inductor", uncounted()(compiled.compile_by_inductor)):
        yield


@pytest.fixture(autouse=True)
def _uncounted_trainings(request):
    """Count no lines in rooms of long trainings: each line has to be reached by a test of its own folder."""
    with uncounted() if request.path.parent.name in ("end_to_end", "robustness") else contextlib.nullcontext():
        yield


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Find the folder of the real image sets; skip the test if there is none."""
    folder = Path(os.environ.get("PYROVAE_DATA", SHARED))
    if not (folder / "MNIST" / "raw").is_dir():
        pytest.skip(f"no MNIST files in {folder}: set PYROVAE_DATA")
    return folder


@pytest.fixture
def linear_gaussian():
    """Set up x = W z + noise in float64: the model, guides near its posterior, data x, and the exact log p(x)."""
    torch.set_default_dtype(torch.float64)
    weight, scale, x = torch.randn(6, 2), 0.7, 2 * torch.randn(40, 6)
    precision = torch.eye(2) + weight.T @ weight / scale**2
    loc = torch.linalg.solve(precision, weight.T @ x.T / scale**2).T
    cholesky = torch.linalg.cholesky(torch.linalg.inv(precision))

    def model(x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight.T, scale).to_event(1), obs=x)

    def guide_of(stretch, shift=0.0):
        def guide(x):
            with pyro.plate("images", len(x)):
                pyro.sample("z", dist.MultivariateNormal(loc + shift, scale_tril=stretch * cholesky))

        return guide

    marginal = dist.MultivariateNormal(torch.zeros(6), weight @ weight.T + scale**2 * torch.eye(6))
    yield model, guide_of, x, marginal.log_prob(x)
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def no_network(monkeypatch):
    refuse_network(monkeypatch)


@pytest.fixture
def loops_of_numbers(monkeypatch):
    """Compile to loops over single numbers, where a test is of the graph: those over vectors take twice as long."""
    monkeypatch.setitem(compiled.OPTIONS, "cpp.simdlen", 1)


# --- threads ---


@pytest.fixture
def two_threads(monkeypatch):
    """Torch has two threads, and nobody has named a number."""
    for name in NAMING:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def alternating(two_threads, monkeypatch):
    """Repeated work takes one thread and two threads in turn."""
    monkeypatch.setattr(Choice, "took", _alternate)


def _alternate(choice, seconds):
    choice.count = choice.counts[0] + choice.counts[-1] - choice.count


# --- command lines ---


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def in_this_process(monkeypatch):
    """Sweeps do their work in this process."""
    monkeypatch.setattr(workers, "Worker", InThisProcess)


@pytest.fixture(scope="session")
def made_sweep(tmp_path_factory):
    """The folder of a sweep of two values and two seeds, trained in two processes."""
    root = tmp_path_factory.mktemp("made_sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert pyrovae(f"sweep --latent-dim 2,3 --seed 0,1 --epochs 3 --jobs 2 --out sweep {TINY}") == 0
    return root / "sweep"


@pytest.fixture
def swept(made_sweep, here):
    """A copy of that folder in the working directory."""
    return shutil.copytree(made_sweep, here / "sweep")


@pytest.fixture(scope="session")
def made_world(tmp_path_factory):
    """Make a folder of runs and datasets, good and broken ones, once for all tests."""
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def coded(tmp_path_factory):
    """Make a folder with a run by which images can be compressed, `coded`, and its compressed images, `coded.bits`."""
    folder = tmp_path_factory.mktemp("coded")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        flags = "--epochs 2 --hidden 16 --device cpu --pixels threshold --no-figures"
        assert pyrovae(f"train {flags} --out coded") == 0
        assert pyrovae("compress coded coded.bits") == 0
    return folder


@pytest.fixture
def world(made_world, tmp_path, monkeypatch, no_network):
    """Work in a copy of that folder, without a network."""
    monkeypatch.setenv("PYROVAE_DATA", "data")
    monkeypatch.chdir(shutil.copytree(made_world, tmp_path / "world"))
    return tmp_path / "world"
