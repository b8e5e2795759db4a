"""The training curves of a report, as SVG."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrovae import Run
from pyrovae.pages.report import page
from pyrovae.pages.report.curves import Scale, panel, ticks


def points(text):
    lines = re.findall('points="(.*?)"', text)
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


def test_the_points_of_a_curve_are_where_its_values_are():
    (curve,) = points(panel("KL", [[(1, 10.0), (2, 30.0), (3, 20.0)]]))
    (x0, y0), (x1, y1), (x2, y2) = curve
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.15)
    assert y0 > y2 > y1  # y grows downwards in SVG
    assert y2 == pytest.approx((y0 + y1) / 2, abs=0.1)


def test_zooming_leaves_the_steep_fall_of_the_first_epochs_outside():
    curve = [(float(x), 1000.0 if x == 1 else 10.0 - x / 10) for x in range(1, 51)]
    (zoomed,), (whole,) = points(panel("KL", [curve], zoomed=True)), points(panel("KL", [curve]))
    assert zoomed[0][1] < 0 < zoomed[1][1]
    assert max(y for _, y in zoomed[1:]) - min(y for _, y in zoomed[2:]) > 100
    assert max(y for _, y in whole[1:]) - min(y for _, y in whole[1:]) < 2


def test_one_epoch_is_a_dot():
    assert "<circle" in panel("KL", [[(1.0, 5.0)]])


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_evenly_spaced(low, width):
    numbers = ticks(low, low + width)
    assert 1 <= len(numbers) <= 7
    steps = [b - a for a, b in pairwise(numbers)]
    assert all(step == pytest.approx(steps[0], rel=1e-3) for step in steps)
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in numbers)


def test_a_scale_is_linear_between_its_ends():
    assert [Scale(1, 3, 10, 0)(value) for value in (1, 2, 3)] == [10, 5, 0]


def test_the_curves_come_from_the_records_not_from_the_figure(runs):
    (runs / "one/figures/losses.png").unlink()
    assert page([Run(runs / "one")]).count("<polyline") == 6  # three panels of two sets
