"""The slide with plates and formulas."""

import re
import shutil

import pytest
from support.builders import small_data, small_vae
from support.explanations import explanation_of

from pyrovae.explain.formulas import Symbols
from pyrovae.explain.plates import plate_figure, render_by_graphviz, typeset
from pyrovae.figures.style import as_picture
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS


@pytest.mark.parametrize(
    "settings",
    [
        {"likelihood": "discretized_logistic_mixture", "condition": "quadrant3"},
        {"prior": "exemplar", "condition": "label", "objective": "renyi", "particles": 5},
        {"likelihood": "negative_binomial", "posterior": "flow", "objective": "mmd"},
        {"posterior": "delta", "likelihood": "continuous_bernoulli"},
        {"posterior": "lowrank", "prior": "conditional", "condition": "quadrant1", "objective": "dreg", "particles": 2},
    ],
)
def test_every_formula_is_drawn_within_the_slide(settings):
    """If the font lacked a glyph, matplotlib would warn, and the warning would fail the test."""
    figure = plate_figure(explanation_of(trained=False, **settings), "a name with $ and ^")
    as_picture(figure, "png")
    (axes,) = figure.axes
    inside = figure.bbox
    for text in axes.texts:
        box = text.get_window_extent()
        assert inside.x0 <= box.x0
        assert box.x1 <= inside.x1
        assert inside.y0 <= box.y0
        assert box.y1 <= inside.y1


@pytest.mark.parametrize("family", [LIKELIHOODS, PRIORS, POSTERIORS, OBJECTIVES])
def test_every_formula_is_typeset(family):
    for member in family.values():
        first = Symbols().fill(member.formula).split("\n")[0]
        assert "^" not in re.sub(r"\$.*?\$", "", typeset(first))
        assert typeset(first).count("$") % 2 == 0


def test_dollar_signs_and_backslashes_of_a_users_formula_are_shown_as_text():
    assert typeset(r"$\frac{1}{2}$^(\evil)") == r"\$\frac{1}{2}\$^(\evil)"


def test_graphviz_draws_the_model():
    pytest.importorskip("graphviz", reason="no package graphviz: pip install graphviz")
    if not shutil.which("dot"):
        pytest.skip("no program dot: install Graphviz")
    vae, _ = small_vae()
    data = small_data()
    svg = render_by_graphviz(vae, data.batch(data.test, slice(0, 3)), "svg").decode()
    assert "x ~ Bernoulli" in svg
    assert "z&#45;&gt;x" in svg
