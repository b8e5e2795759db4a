"""How a run shows itself: on one line, and in a notebook."""

import shutil

import pytest
from support.runs import trained

from pyrovae import Config, Run
from pyrovae.runs.card import is_saturated, marginal_kl, mutual_information
from pyrovae.runs.layout import FILES

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that was evaluated."""
    run, _ = trained(tmp_path_factory.mktemp("made") / "run")
    run.save_evaluation({"log_likelihood": -40.5, "standard_error": 0.25, "samples": 5, "images": 40})
    return run.path


def test_a_run_shows_its_model_epochs_loss_and_estimate(made):
    run = Run(made)
    loss = f"test loss {run.summary['best']['test']['loss']:.2f} nats per image"
    assert repr(run).startswith(f"Run({str(made)!r}: digits, grey pixels; mlp 16, 2 latent dimensions; bernoulli")
    assert repr(run).endswith(f"epochs 2; {loss}; log p(x) −40.50 ± 0.25)")
    assert "−40.50 ± 0.25" in run._repr_html_()


def test_an_unfinished_run_shows_that(tmp_path):
    run = Run.create(tmp_path / "run", Config(epochs=7))
    assert repr(run).endswith("epochs 0 of 7, unfinished)")
    assert "unfinished" in run._repr_html_()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"= broken", f"{EVIL}\n".encode()])
@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(("json", "jsonl", "toml"))])
def test_a_damaged_run_shows_that_a_file_is_unreadable(name, content, made, tmp_path):
    run = Run(shutil.copytree(made, tmp_path / "run"))
    (run.path / name).write_bytes(content)
    assert repr(run).startswith("Run(")
    assert "<script" not in run._repr_html_()
    if name != "metrics.jsonl":  # an empty file, or one incomplete line, is valid: it has no epoch
        assert "unreadable: " in repr(run)


def test_a_deleted_run_shows_that_it_is_unreadable(made, tmp_path):
    run = Run(shutil.copytree(made, tmp_path / "run"))
    shutil.rmtree(run.path)
    assert "unreadable: run: expected config.toml" in repr(run)


def test_parts_of_the_kl_are_shown_by_their_bounds():
    latents = {
        "images": 10_000,
        "mutual_information_lower": 9.19,
        "mutual_information_upper": 17.3,
        "marginal_kl_lower": 1.2,
        "marginal_kl_upper": 9.31,
    }
    assert (mutual_information(latents), marginal_kl(latents)) == ("9.19 to 17.30", "1.20 to 9.31")
    assert is_saturated(latents)
    assert not is_saturated(latents | {"mutual_information_lower": 8.4})  # log 10,000 − log 2 = 8.52
    old = {"images": 10_000, "mutual_information": 9.19, "marginal_kl": 17.51}
    assert (mutual_information(old), marginal_kl(old)) == ("≥ 9.19, saturated", "≤ 17.51")
    assert mutual_information(old | {"mutual_information": 4.0}) == "≥ 4.00"
    assert (mutual_information({}), marginal_kl({})) == ("–", "–")
    assert not is_saturated({})
    assert not is_saturated({"images": 1, "mutual_information_lower": 0.0})  # log 1 = 0
