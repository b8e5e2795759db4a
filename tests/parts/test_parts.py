"""The classes that the docstrings of the families show as examples can be trained."""

import importlib
import math
import re
import textwrap

import pytest
from support.builders import small_data, small_vae

from pyrovae import fit

IMPORTS = """
import math
import pyro.distributions as dist
from torch import Tensor, nn
from pyrovae.parts.networks.mlp import MLPDecoder, MLPEncoder
"""


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
@pytest.mark.parametrize(
    ("family", "setting"),
    [("networks", "network"), ("posteriors", "posterior"), ("priors", "prior"), ("likelihoods", "likelihood")],
)
def test_the_example_of_a_family_trains_from_a_file_of_its_own(family, setting, condition, tmp_path):
    documentation = importlib.import_module(f"pyrovae.parts.{family}").__doc__
    example = textwrap.dedent(re.search(r"^    class .*?(?=^\S)", documentation, re.DOTALL | re.MULTILINE)[0])
    (tmp_path / "own.py").write_text(IMPORTS + example, encoding="utf-8")
    name = re.search(r"FILE\.py:(\w+)", documentation)[1]
    vae, config = small_vae(
        **{setting: f"{tmp_path / 'own.py'}:{name}"}, condition=condition, components=3, pixels="grey"
    )
    *_, record = fit(vae, small_data(pixels=config.pixels), config)
    assert math.isfinite(record["test"]["loss"])
