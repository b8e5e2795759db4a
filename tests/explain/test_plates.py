"""The slide with plates and formulas."""

import re
import shutil

import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch
from support.builders import small_data, small_vae
from support.explanations import explanation_of
from support.likelihoods import LIKELIHOODS

from pyrovae.explain.formulas import Symbols
from pyrovae.explain.plates import plate_figure, render_by_graphviz, typeset
from pyrovae.figures.style import TRAIN, as_picture
from pyrovae.inference.objectives import OBJECTIVES
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS


@pytest.mark.parametrize(
    "settings",
    [
        {"likelihood": "discretized_logistic_mixture", "condition": "quadrant3"},
        {"prior": "exemplar", "condition": "label", "objective": "renyi", "particles": 5},
        {"likelihood": "negative_binomial", "posterior": "flow", "objective": "mmd"},
        {"posterior": "delta", "likelihood": "continuous_bernoulli"},
        {"program": "semi_supervised", "likelihood": "discretized_logistic_mixture"},
        {
            "program": "hierarchical",
            "latent_dim": (4, 3, 2),
            "inference": "top_down",
            "objective": "iwae",
            "particles": 2,
        },
        {
            "program": "hierarchical",
            "latent_dim": (4, 3, 2, 2),
            "inference": "top_down",
            "skip": "yes",
            "condition": "quadrant1",
        },
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


def test_the_index_of_a_sum_is_lowered():
    assert typeset("Σ_y q(y | x)") == r"Σ$_{\mathrm{y}}$ q(y | x)"


def test_dollar_signs_and_backslashes_of_a_users_formula_are_shown_as_text():
    assert typeset(r"$\frac{1}{2}$^(\evil)") == r"\$\frac{1}{2}\$^(\evil)"


def arrows(settings):
    """The number of arrows in the figure of a program of the model, and of those of the guide."""
    (axes,) = plate_figure(explanation_of(trained=False, **settings)).axes
    dashed = [to_rgba(TRAIN) == each.get_edgecolor() for each in axes.patches if isinstance(each, FancyArrowPatch)]
    return dashed.count(False), dashed.count(True)


@pytest.mark.parametrize(
    ("settings", "solid", "dashed"),
    [
        ({"program": "semi_supervised"}, 2 + 1, 3 + 2),  # of variables, and of parameters
        ({"program": "stacked", "latent_dim": (3, 2)}, 3 + 2, 4 + 3),
        ({"program": "hierarchical", "latent_dim": (3, 2)}, 2 + 2, 2 + 2),
        ({"program": "hierarchical", "latent_dim": (3, 2), "skip": "yes"}, 3 + 2, 2 + 2),
        ({"program": "hierarchical", "latent_dim": (3, 2), "inference": "ladder"}, 2 + 2, 3 + 2),
        ({"program": "hierarchical", "latent_dim": (3, 2), "condition": "label", "prior": "mixture"}, 3 + 3, 3 + 2),
    ],
)
def test_there_is_an_arrow_for_each_dependence(settings, solid, dashed):
    assert arrows(settings) == (solid, dashed)


@pytest.mark.parametrize("program", ["vae", "semi_supervised"])
def test_graphviz_draws_the_model(program):
    pytest.importorskip("graphviz", reason="no package graphviz: pip install graphviz")
    if not shutil.which("dot"):
        pytest.skip("no program dot: install Graphviz")
    vae, _ = small_vae(program=program)
    data = small_data()
    svg = render_by_graphviz(vae, data.batch(data.test, slice(0, 3)), "svg").decode()
    assert "x ~ Bernoulli" in svg
    assert "z&#45;&gt;x" in svg
