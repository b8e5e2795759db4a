"""`pyrovae compare` on the runs of a sweep."""

import statistics

import pytest
from PIL import Image
from support.commands import listing, pyrovae
from support.sweeps import TINY, edited

from pyrovae import Run


def test_compare_takes_a_sweep_and_averages_its_seeds(swept, here, capsys):
    assert pyrovae("compare sweep --figure rate_distortion --out a.png") == 0
    whole = capsys.readouterr().out
    paths = " ".join(f"'{path}'" for path in sorted(swept.iterdir()))  # its figures and sweep.json, too
    assert pyrovae(f"compare {paths} --figure rate_distortion --out b.png") == 0
    assert capsys.readouterr().out.replace("b.png", "a.png") == whole
    losses = [Run(swept / f"latent_dim=3,seed={seed}").summary["best"]["test"]["loss"] for seed in (0, 1)]
    assert f"{statistics.mean(losses):.2f} ± {statistics.stdev(losses):.2f}" in whole
    assert whole.count("best") == 1
    with Image.open("a.png") as picture:
        assert min(picture.size) > 400


def estimate(swept, name, **changes):
    found = {"log_likelihood": -20.5, "standard_error": 0.25, "samples": 1000, "images": 359} | changes
    edited(swept / name / "evaluation.json", **found)


def test_compare_shows_estimates_and_says_which_do_not_compare(swept, capsys):
    names = [f"latent_dim={d},seed={s}" for d in (2, 3) for s in (0, 1)]
    for name in names:
        estimate(swept, name)
    assert pyrovae("compare sweep") == 0
    shown = capsys.readouterr().out
    assert shown.count("-20.50 ± 0.25") == 4
    assert "-20.50 ± 0.00" in shown  # over the seeds
    assert "not to be compared" not in shown
    estimate(swept, names[3], samples=10)
    assert pyrovae("compare sweep") == 0
    shown = capsys.readouterr().out
    assert (
        f"log p(x) is not to be compared: K 1000 ({', '.join(names[:3])}), 10 ({names[3]})"
        in shown.replace("K 10 ", "K 10 ")
        or f"10 ({names[3]})" in shown
    )
    assert "-20.50 ± 0.00" not in shown


def test_compare_draws_no_rate_and_distortion_of_two_protocols(swept, here, capsys):
    edited(swept / "latent_dim=2,seed=1/summary.json", protocol="static")
    assert pyrovae("compare sweep --figure rate_distortion --out a.png") == 2
    assert "figure rate_distortion: expected runs of one protocol, got pixels" in capsys.readouterr().err
    assert not (here / "a.png").exists()
    assert pyrovae("compare sweep --figure rate_distortion") == 2
    assert "expected --out FILE.png" in capsys.readouterr().err


@pytest.mark.parametrize(("version", "said"), [("0.2.0", "0.2.0"), ("1.0.dev3", "1.0.dev3"), (None, "an unknown")])
def test_runs_of_another_version_are_refused(version, said, swept, capsys):
    edited(swept / "latent_dim=2,seed=1/summary.json", versions={} if version is None else {"pyrovae": version})
    before = listing(swept)
    again = f"sweep --latent-dim 2,3 --seed 0,1 --epochs 3 --out sweep {TINY}"
    for line in ("compare sweep", "plot sweep/latent_dim=2,seed=1", again):
        assert pyrovae(line) == 2
        assert f"expected a run of pyrovae 0.1, got one of {said}" in capsys.readouterr().err
    assert listing(swept) == before
