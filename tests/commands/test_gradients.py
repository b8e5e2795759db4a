"""The noise of gradients at a run's weights, by one call."""

import json
import shutil

import pytest
from support.commands import listing, pyrovae

from pyrovae import InputError, Run, gradients


def test_it_writes_the_file_of_the_command(world, capsys):
    shutil.copytree(world / "run", world / "other")
    assert pyrovae("gradients run --draws 3 --images 10 --particles 2,3 --seed 4 --device cpu") == 0
    capsys.readouterr()
    rows = gradients("other", draws=3, images=10, particles=(2, 3), seed=4, device="cpu")
    assert capsys.readouterr().out == ""
    assert (world / "other/gradients.json").read_bytes() == (world / "run/gradients.json").read_bytes()
    assert json.loads((world / "run/gradients.json").read_text(encoding="utf-8"))["gradients"] == rows
    assert gradients(Run("other"), draws=3, images=10, particles=(2, 3), seed=4, device="cpu") == rows


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"draws": 1}, "draws: expected 2 or more, got 1"),
        ({"images": 0}, "images: expected 1 or more, got 0"),
        ({"particles": [1]}, "particles: expected 2 or more, got 1"),
        ({"device": "gpu"}, "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
    ],
)
def test_bad_calls_are_refused_and_write_nothing(settings, expected, world):
    before = listing(world)
    with pytest.raises(InputError, match=expected):
        gradients("run", **settings)
    assert listing(world) == before
