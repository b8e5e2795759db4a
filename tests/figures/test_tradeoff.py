"""Figures of many runs, from their means and values over seeds."""

import pytest

from pyrovae.figures.style import Unfit
from pyrovae.figures.tradeoff import rate_distortion, sweep_figure
from pyrovae.runs.comparison import mean_and_sd


def row(settings, kl):
    """The scores of three seeds."""
    reconstruction = [80.0, 81.0, 82.0]
    loss = [rate + distortion for rate, distortion in zip(kl, reconstruction)]
    scores = {"kl": kl, "reconstruction": reconstruction, "loss": loss}
    return {"settings": settings} | {name: mean_and_sd(values) for name, values in scores.items()}


def test_rate_distortion_draws_a_disc_and_three_dots_for_each_combination():
    figure = rate_distortion({f"beta = {beta}": row({"beta": beta}, [beta, beta + 1, beta + 2]) for beta in (1, 4)})
    points = [collection.get_offsets().tolist() for collection in figure.axes[0].collections]
    assert points[0] == [[2.0, 81.0]]
    assert points[1] == [[1.0, 80.0], [2.0, 81.0], [3.0, 82.0]]
    assert len(points) == 4


def test_plain_autoencoders_have_no_rate():
    with pytest.raises(Unfit, match="expected runs with a KL term"):
        rate_distortion({"a": row({"lr": 1}, [0.0, 0.0, 0.0])})


def test_a_sweep_over_numbers_is_drawn_in_their_order_and_on_a_logarithmic_axis_if_they_are_far_apart():
    figure = sweep_figure({str(beta): row({"beta": beta}, [1.0, 2.0, 3.0]) for beta in (40, 1, 4)}, ["beta"])
    assert figure.axes[0].get_lines()[0].get_xdata().tolist() == [1.0, 4.0, 40.0]
    assert {axes.get_xscale() for axes in figure.axes} == {"log"}


def test_a_sweep_over_names_has_a_row_for_each_combination():
    figure = sweep_figure({name: row({"prior": name}, [1.0, 2.0, 3.0]) for name in ("normal", "vamp")}, ["prior"])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["normal", "vamp"]
