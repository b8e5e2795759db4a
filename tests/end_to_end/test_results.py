"""Checks that each preset was run to its end, and that results/README.md has the numbers of these runs."""

import json

import pytest
from support.builders import ROOT

from pyrovae import Config, Run
from pyrovae.config.presets import preset, presets

RESULTS = ROOT / "results"
REFERENCE = {
    "digits": 24.4,
    "mnist-2d": 140.9,
    "mnist-100d": 101.4,
    "mnist-200d": 101.7,
    "mnist-vae": 103.8,
    "mnist-cvae": 99.5,
    "fashion-vae": 242.4,
    "fashion-cvae": 239.0,
    "mnist-500": 103.3,
    "mnist-conv": 109.3,
    "mnist-quadrant1": 71.8,
    "mnist-quadrant2": 51.0,
    "mnist-quadrant3": 24.2,
}
SAMPLES = {"mnist-resnet-flow": 500}  # with 5,000 it takes four hours


@pytest.mark.parametrize("name", presets())
def test_a_preset_was_run_to_its_end(name):
    run = Run(RESULTS / name)
    records = run.metrics
    assert run.config == Config.from_toml(preset(name))
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    stopped_early = run.config.patience and len(records) - run.summary["best"]["epoch"] == run.config.patience
    assert len(records) == run.config.epochs or stopped_early
    assert run.summary["final"] == records[-1]
    figures = 4 if run.config.program == "discrete" else 6  # others need a code that is a vector
    assert len(list((run.path / "figures").glob("*.png"))) >= figures


@pytest.mark.parametrize("name", presets())
def test_the_readme_has_the_numbers_of_the_run(name):
    scores = Run(RESULTS / name).summary["best"]["test"]
    readme = (RESULTS / "README.md").read_text(encoding="utf-8")
    section = readme.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert f"loss {scores['loss']:.2f}, reconstruction {scores['reconstruction']:.2f}" in section
    row, *_ = [line for line in readme.splitlines() if line.startswith(f"| [`{name}`]")]
    assert f"| {scores['loss']:.2f} | {scores['reconstruction']:.2f} |" in row
    if name in REFERENCE:
        assert f"| {REFERENCE[name]} |" in row


@pytest.mark.parametrize("name", REFERENCE)
def test_a_loss_is_at_most_one_percent_above_the_reference(name):
    summary = json.loads((RESULTS / name / "summary.json").read_text(encoding="utf-8"))
    assert summary["best"]["test"]["loss"] <= 1.01 * REFERENCE[name]


@pytest.mark.parametrize("name", [path.parent.name for path in sorted(RESULTS.glob("*/evaluation.json"))])
def test_the_readme_has_the_log_likelihood_of_the_run(name):
    evaluation = json.loads((RESULTS / name / "evaluation.json").read_text(encoding="utf-8"))
    samples = SAMPLES.get(name, 5000)
    assert (evaluation["samples"], evaluation["images"], evaluation["density"]) == (samples, 10_000, True)
    readme = (RESULTS / "README.md").read_text(encoding="utf-8").replace("−", "-")
    score = f"{evaluation['log_likelihood']:.2f} ± {evaluation['standard_error']:.2f} | {evaluation['elbo']:.2f}"
    assert f"| [`{name}`](#{name}) | {samples:,} | {score} |" in readme
