"""Evaluating a run by one call: the file, and the page that shows it."""

import shutil

import pytest
from support.commands import listing, pyrovae

from pyrovae import InputError, Run
from pyrovae.commands.evaluate import evaluating
from pyrovae.pages.report import save
from pyrovae.runs.evaluating import Evaluating


def test_the_method_writes_the_file_of_the_command(world, capsys):
    shutil.copytree(world / "run", world / "other")
    assert pyrovae("evaluate run --samples 20 --images 60 --seed 3 --ais --ais-steps 3 --device cpu") == 0
    capsys.readouterr()
    evaluation = Run("other").evaluate(20, images=60, seed=3, ais=True, ais_steps=3, device="cpu")
    assert capsys.readouterr().out == ""
    assert (world / "other/evaluation.json").read_bytes() == (world / "run/evaluation.json").read_bytes()
    assert Run("other").evaluation == evaluation


def test_it_can_be_left_and_goes_on_to_the_same_numbers(world):
    whole = Run("run").evaluate(9, latents=False, device="cpu")
    for step in Evaluating(Run("run"), 9, latents=False, device="cpu"):
        if step.done == 100:
            break
    assert (step.doing, step.total) == ("evaluating", 359)
    assert Run("run").evaluate(9, latents=False, resume=True, device="cpu") == whole
    assert not (world / "run/evaluation.pt").exists()


def test_the_page_shows_the_new_numbers(world):
    run = Run("run")
    page = save(run)
    before = page.read_bytes()
    assert list(evaluating(run, Evaluating(run, 9, device="cpu")))
    assert page.read_bytes() != before


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"samples": 0}, "samples: expected 1 or more, got 0"),
        ({"images": 0}, "images: expected 1 or more, got 0"),
        ({"ais_steps": 0}, "ais_steps: expected 1 or more, got 0"),
        ({"samples": 1.5}, "samples: expected a whole number, got 1.5"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"device": "gpu"}, "device: expected auto, cpu, cuda or cuda:1, got 'gpu'"),
        ({"resume": True}, "run: expected evaluation.pt in run, got none"),
    ],
)
def test_bad_calls_are_refused_and_write_nothing(settings, expected, world):
    before = listing(world)
    with pytest.raises(InputError, match=expected):
        Run("run").evaluate(**settings)
    assert listing(world) == before
