"""The warnings of a report, and the commands that repeat its runs."""

import json
import re
import shlex

import pytest
from support.commands import TINY, metrics, pyrovae
from support.report import EVALUATION, make_run, words
from support.runs import leave_out_digests

from pyrovae import Run
from pyrovae.pages.report import page


def test_a_score_that_is_not_a_density_is_marked(runs):
    assert "bernoulli on grey pixels is a relaxed score, not a density." in words(page([Run(runs / "one")]))


def test_settings_that_a_resumed_training_changed_are_named(runs):
    run = Run(runs / "one")
    changed = {"changed": [{"epoch": 2, "lr": [0.001, 0.01]}]}
    (run.path / "summary.json").write_text(json.dumps(run.summary | changed))
    assert "Settings were changed when the training was resumed: epoch 2, lr 0.001 → 0.01." in words(page([run]))


@pytest.mark.parametrize(
    ("part", "warning"),
    [
        ({"unreliable_share": None, "pareto_k": None}, "too few samples to tell"),
        ({}, "For 69% of the images the importance weights have too heavy a tail (k̂ above 0.70)"),
        ({"images": 30}, "the first 30 of 40 test images"),
        (
            {"annealed": {"difference": 1.5, "standard_error": 0.1}},
            "the importance-sampled one is 1.50 nats below the other",
        ),
        (
            {"annealed": {"difference": -1.5, "standard_error": 0.1}},
            "the annealed one is 1.50 nats below the other",
        ),
        ({"standard_error": None}, "−40.50"),
    ],
)
def test_a_doubtful_estimate_has_a_warning(part, warning, runs):
    run = Run(runs / "one")
    run.save_evaluation(EVALUATION | part)
    assert warning in words(page([run]))


def test_a_plain_autoencoder_has_a_note_and_no_curve_of_the_kl(tmp_path):
    run = make_run(tmp_path / "run", posterior="delta")
    text = page([run])
    assert "there is no KL term" in words(text)
    assert text.count("<polyline") == 2  # the reconstruction of both sets


def test_the_command_repeats_the_run(here):
    assert pyrovae(f"train --out first --epochs 2 {TINY}") == 0
    command = re.search(r"<pre>pyrovae (.*)\n</pre>", (here / "first/report.html").read_text(encoding="utf-8"))[1]
    assert pyrovae(f"{command} --out again") == 0
    assert metrics("first") == metrics("again")


def test_the_command_repeats_a_users_own_class(runs):
    run = Run(runs / "one")
    text = run.config.to_toml().replace('"bernoulli"', '"my file.py:Soft"')
    (run.path / "config.toml").write_text(text)
    leave_out_digests(run.path)
    command = re.search("<pre>(.*)\n</pre>", page([Run(run.path)]))[1].replace("&#39;", "'")
    assert shlex.split(command)[-2:] == ["--likelihood", "my file.py:Soft"]
