"""The committed results are those of the presets, whole, and the numbers in results/README.md are theirs."""

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
def test_a_preset_was_run_whole(name):
    run = Run(RESULTS / name)
    records = run.metrics
    assert run.config == Config.from_toml(preset(name))
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    stopped_early = run.config.patience and len(records) - run.summary["best"]["epoch"] == run.config.patience
    assert len(records) == run.config.epochs or stopped_early
    assert run.summary["final"] == records[-1]
    assert len(list((run.path / "figures").glob("*.png"))) >= 6


@pytest.mark.parametrize("name", presets())
def test_its_numbers_are_those_in_the_readme(name):
    scores = Run(RESULTS / name).summary["best"]["test"]
    readme = (RESULTS / "README.md").read_text()
    section = readme.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert f"loss {scores['loss']:.2f}, reconstruction {scores['reconstruction']:.2f}" in section
    row, *_ = [line for line in readme.splitlines() if line.startswith(f"| [`{name}`]")]
    assert f"| {scores['loss']:.2f} | {scores['reconstruction']:.2f} |" in row
    if name in REFERENCE:
        assert f"| {REFERENCE[name]} |" in row


@pytest.mark.parametrize("name", REFERENCE)
def test_it_lies_within_one_percent_of_the_reference_or_below(name):
    summary = json.loads((RESULTS / name / "summary.json").read_text())
    assert summary["best"]["test"]["loss"] <= 1.01 * REFERENCE[name]


@pytest.mark.parametrize("name", [path.parent.name for path in sorted(RESULTS.glob("*/evaluation.json"))])
def test_its_log_likelihood_is_that_in_the_readme(name):
    found = json.loads((RESULTS / name / "evaluation.json").read_text())
    samples = SAMPLES.get(name, 5000)
    assert (found["samples"], found["images"], found["density"]) == (samples, 10_000, True)
    readme = (RESULTS / "README.md").read_text().replace("−", "-")
    score = f"{found['log_likelihood']:.2f} ± {found['standard_error']:.2f} | {found['elbo']:.2f}"
    assert f"| [`{name}`](#{name}) | {samples:,} | {score} |" in readme
