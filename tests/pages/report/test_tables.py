"""The tables of a report: scores, settings and versions, of one run and of several."""

import re

from support.report import EVALUATION, words

from pyrovae import Run
from pyrovae.pages.report import page


def test_the_scores_parameters_and_versions_of_the_run_are_on_the_page(runs):
    run = Run(runs / "one")
    text, best = words(page([run])), run.summary["best"]["test"]
    for value in (f"{best['loss']:.2f}", f"{best['reconstruction']:.2f}", f"{best['kl']:.2f}"):
        assert value in text
    assert f"{run.summary['parameters']:,}" in text
    assert run.summary["versions"]["torch"] in text


def test_settings_that_were_changed_come_before_those_with_default_values(runs):
    text = words(page([Run(runs / "one")]))
    changed, rest = text.split("settings with default values")
    assert "hidden units of each hidden layer of mlp, gated and linear_decoder, e.g. 512,256 16 128,128" in changed
    assert "latent_dim" not in changed
    assert "latent_dim dimensions of the code z; of z1, z2, ... in programs with several codes, e.g. 40,20 2 2" in rest


def test_runs_whose_losses_compare_are_ranked(runs):
    opened = sorted((Run(runs / name) for name in ("one", "two")), key=lambda run: -run.summary["best"]["test"]["loss"])
    text = page(opened)
    best = opened[1]
    assert re.findall(r'<li><i class="c\d"></i> <b>(\w+)</b>', text) == [best.path.name, opened[0].path.name]
    assert f'<td class="best">{best.summary["best"]["test"]["loss"]:.2f}</td>' in text
    assert text.count("<polyline") == 6
    different = text.split("What differs between the runs")[1].split("<h3>")[0]
    assert re.findall(r'<th scope="row">(\w+)', different) == ["latent_dim"]


def test_runs_whose_losses_do_not_compare_are_not_ranked(runs):
    text = page([Run(runs / name) for name in ("one", "label")])
    assert "Not ranked, because the losses of these runs do not compare: condition none (one), label" in words(text)
    assert 'class="best"' not in text


def test_estimates_with_different_numbers_of_samples_are_not_ranked(runs):
    opened = [Run(runs / name) for name in ("one", "two")]
    for run, samples in zip(opened, (100, 5000)):
        run.save_evaluation(EVALUATION | {"samples": samples})
    text = page(opened)
    assert "The estimates of log p(x) do not compare: K " in words(text)
    assert text.count('class="best"') == 1  # the loss
