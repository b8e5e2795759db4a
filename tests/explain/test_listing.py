"""Functions as they are written, and the names of distributions."""

from pathlib import Path

import pyro.distributions as dist
import torch

from pyrovae.explain import listing
from pyrovae.explain.listing import describe, listing_of
from pyrovae.parts.posteriors import POSTERIORS


def test_distributions_are_described_as_pyro_code():
    assert (
        describe(POSTERIORS["flow"](features=5, latent_dim=2)(torch.zeros(1, 5))) == "Normal.to_event(1) bent 2 times"
    )
    assert describe(dist.Normal(0.0, 1.0).expand([3]).to_event(1)) == "Normal.to_event(1)"


def test_a_function_without_a_file_has_no_listing():
    names = {}
    exec("def typed(): pass", names)
    assert listing_of(names["typed"]) is None


def test_files_are_named_from_the_package_on(monkeypatch):
    package = Path("/home/ann/pyrovae/pyrovae")
    monkeypatch.setattr(listing, "PACKAGE", package)
    assert listing._short_name(package / "priors/flow.py") == "pyrovae/priors/flow.py"
    assert listing._short_name(package.parent / "soft.py") == "soft.py"
