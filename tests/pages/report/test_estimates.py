"""The tables about what `pyrovae evaluate` computed."""

import pytest
from support.report import EVALUATION, words

from pyrovae import Run
from pyrovae.pages.report import page


def test_the_estimate_and_its_diagnostics_are_on_the_page(runs):
    run = Run(runs / "one")
    run.save_evaluation(EVALUATION)
    text = words(page([run]))
    assert "−40.50 ± 0.25" in text
    assert "by other images at least 0.013" in text
    assert "by annealing back from the code that drew an image −39.25" in text
    assert "the most that annealing misses there, on average 0.25 ± 0.03" in text
    assert (
        "ELBO of the same samples −42.00 gap log p(x) − ELBO: how far the guide is from the true posterior 1.50" in text
    )
    assert "equally weighted samples worth as much as the K, median over the images 58" in text
    assert "Pareto k̂ tail index of the importance weights, median over the images 0.81" in text
    assert "69.0% above 0.70" in text
    assert "posterior mean has a variance above 0.01 over the images 1 of 2" in text
    assert "The lower one is at most log N 1.50 to 2.25 log N for N test images, nats 3.69" in text
    assert "of which bounds are known, too 0.25 to 1.00" in text


@pytest.mark.parametrize(("lower", "shown"), [(3.5, "≥ 3.50, saturated"), (1.5, "≥ 1.50 log N")])
def test_numbers_of_earlier_versions_are_shown_as_the_bounds_that_they_are(lower, shown, runs):
    run = Run(runs / "one")
    old = {"images": 40, "mutual_information": lower, "marginal_kl": 2.0}
    run.save_evaluation(EVALUATION | {"latents": old})
    text = words(page([run]))
    assert f"The lower one is at most log N {shown}" in text
    assert "of which bounds are known, too ≤ 2.00" in text
    assert f"of the code of an image from the prior, nats {lower + 2:.2f}" in text
