"""The tables about what `pyrovae evaluate` computed."""

from support.report import EVALUATION, words

from pyrovae import Run
from pyrovae.pages.report import page


def test_the_estimate_and_its_diagnostics_are_on_the_page(runs):
    run = Run(runs / "one")
    run.save_evaluation(EVALUATION)
    text = words(page([run]))
    assert "−40.50 ± 0.25" in text
    assert (
        "ELBO of the same samples −42.00 gap log p(x) − ELBO: how far the guide is from the true posterior 1.50" in text
    )
    assert "equally weighted samples worth as much as the K, median over the images 58" in text
    assert "Pareto k̂ tail index of the importance weights, median over the images 0.81" in text
    assert "69.0% above 0.70" in text
    assert "posterior mean has a variance above 0.01 over the images 1 of 2" in text
