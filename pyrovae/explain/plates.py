"""Draws a model and its guide as a plate diagram with the formulas beside it, at the size of a slide."""

import importlib.util
import re
import shutil
import textwrap
from typing import TypedDict

import pyro
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from pyrovae.data.data import Batch
from pyrovae.errors import InputError
from pyrovae.evaluation.elbo import arguments
from pyrovae.explain.explanation import Explanation
from pyrovae.figures.names import families, plain
from pyrovae.figures.style import INK, STYLE, TRAIN
from pyrovae.inference.parameters import hidden
from pyrovae.program import Program

WIDTH, HEIGHT = 13.33, 7.5  # inches of a slide
RADIUS = 0.46
SEEN, QUIET = "#D9D9D9", "#777777"
PLATE = (1.35, 1.3, 3.4, 4.7)  # left, bottom, width, height
TEXT_AT, LINE, SMALL_LINE = 6.1, 0.35, 0.24  # where the formulas begin, and the height of their lines
Point = tuple[float, float]


class LineStyle(TypedDict, total=False):
    """How matplotlib draws a line."""

    color: str
    linestyle: tuple[float, tuple[float, float]]


MODEL: LineStyle = {"color": INK}
GUIDE: LineStyle = {"color": TRAIN, "linestyle": (0, (4, 2.5))}


def plate_figure(explanation: Explanation, title: str = "") -> Figure:
    """Draw variables as circles, grey if observed, model and guide as solid and dashed arrows, and add the formulas."""
    with rc_context(STYLE | {"font.family": families([title, str(explanation.formulas)])}):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=150)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
        axes.set_axis_off()
        axes.text(0.6, 6.75, plain(title, 60, "bold"), size=22, weight="bold", va="center")
        _diagram(axes, explanation)
        _formulas(axes, explanation)
    return figure


def _diagram(axes: Axes, explanation: Explanation) -> None:
    left, bottom, width, height = PLATE
    conditional = explanation.context is not None
    middle = left + (0.62 if conditional else 0.5) * width
    z, x, y = (middle, 4.9), (middle, 2.55), (left + 0.75, 3.72)
    theta, phi = (left + width + 0.65, 3.72 if explanation.parameters["prior"] else x[1]), (0.65, z[1])
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, "round,pad=0,rounding_size=0.15", fill=False, ec=INK))
    axes.text(left + width - 0.15, bottom + 0.2, f"N = {explanation.images} images", ha="right", size=12)
    shapes = {site.name: site.event for site in explanation.sites}
    for at, name, shape, seen in (z, "z", shapes["z"], False), (x, "x", shapes["x"], True):
        _node(axes, at, name, shape, seen)
    if explanation.context is not None:
        _node(axes, y, "y", explanation.context, True)
        _arrow(axes, y, x)
        _arrow(axes, y, z, GUIDE, bend=-0.3)
        if "y" in explanation.site("model", "z").parents:
            _arrow(axes, y, z)
    _arrow(axes, z, x)
    _arrow(axes, x, z, GUIDE, bend=0.55 if conditional else -0.55)
    for at, name, style in (theta, "θ", MODEL), (phi, "φ", GUIDE):
        axes.text(*at, name, size=20, ha="center", va="center", color=style["color"])
        _arrow(axes, at, x if name == "θ" else z, style, radius=0.26)
    if explanation.parameters["prior"]:
        _arrow(axes, theta, z, radius=0.26)
    _legend(axes)


def _node(axes: Axes, at: Point, name: str, shape: tuple[int, ...], seen: bool) -> None:
    axes.add_patch(Circle(at, RADIUS, facecolor=SEEN if seen else "white", edgecolor=INK, linewidth=1.6, zorder=3))
    axes.text(*at, name, size=20, style="italic", ha="center", va="center", zorder=4)
    above = (1 if name == "z" else -1) * (RADIUS + 0.17)
    axes.text(at[0], at[1] + above, "×".join(map(str, shape)), size=11, ha="center", va="center", color=QUIET)


def _arrow(
    axes: Axes, tail: Point, head: Point, style: LineStyle = MODEL, bend: float = 0.0, radius: float = RADIUS
) -> None:
    """Draw an arrow between two centres, from the edge of the first, which is `radius` wide, to that of the second."""
    points = 72.0  # in an inch
    axes.add_patch(
        FancyArrowPatch(
            tail,
            head,
            arrowstyle="-|>,head_length=7,head_width=3.5",
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=radius * points,
            shrinkB=RADIUS * points + 1,
            linewidth=1.6,
            **style,
        )
    )


def _legend(axes: Axes) -> None:
    for at, text, style in ((1.35, "model", MODEL), (2.75, "guide", GUIDE)):
        axes.plot([at, at + 0.5], [0.8, 0.8], linewidth=1.6, **style)
        axes.text(at + 0.6, 0.8, text, size=12, va="center", color=style["color"])
    axes.add_patch(Circle((4.3, 0.8), 0.12, facecolor=SEEN, edgecolor=INK))
    axes.text(4.5, 0.8, "observed", size=12, va="center")


def _formulas(axes: Axes, explanation: Explanation) -> None:
    """Write the formulas one below the other, those of the guide in its colour."""
    rows = []
    for left, right, where, part in explanation.formulas:
        colour = TRAIN if left.startswith("q(") else INK
        formula = _wrapped(f"{left} {'' if right.startswith('≥') else '= '}{right}", 70)
        rows.append((colour, formula, textwrap.wrap("; ".join([*([part] if part else []), *where]), 88)))
    height = sum(LINE * len(formula) + SMALL_LINE * len(notes) for _, formula, notes in rows)
    gap = min(0.5, max(0.1, (6.2 - height) / len(rows)))
    top = PLATE[1] + PLATE[3] / 2 + (height + gap * (len(rows) - 1)) / 2 - LINE / 2
    for colour, formula, notes in rows:
        for i, text in enumerate(formula):
            axes.text(TEXT_AT + 0.5 * bool(i), top, typeset(text), size=14.5, color=colour, va="baseline")
            top -= LINE * 0.85
        for text in notes:
            axes.text(TEXT_AT + 0.25, top, plain(text, 200), size=10.5, color=QUIET, va="baseline")
            top -= SMALL_LINE
        top -= gap


def _wrapped(formula: str, width: int) -> list[str]:
    """Break a formula into lines, but not at the spaces beside a bar or after a comma."""
    unbroken = re.sub(r"(?<=[|,;])\s|\s(?=\|)", "\u00a0", formula)
    return textwrap.wrap(unbroken, width)


def typeset(formula: str) -> str:
    r"""Set powers and the index of `E_q` as matplotlib's mathematics, and escape the rest.

    >>> typeset("E_q[x^(1 − α)] in $")
    '$\\mathrm{E}_\\mathrm{q}$[x$^{\\mathrm{1−α}}$] in \\$'
    """

    def raised(power: re.Match[str]) -> str:
        text = (power[1] or power[2]).replace(" ", "").replace("_", r"\_")
        return rf"$^{{\mathrm{{{text}}}}}$"

    unescaping = re.sub(r"\\(?=\^|E_q)", "∖", formula)  # a backslash would escape the dollar sign that follows it
    lowered = plain(unescaping, 300).replace("E_q", r"$\mathrm{E}_\mathrm{q}$")
    return re.sub(r"\^(?:\(([\w −+/]+)\)|(\w+))", raised, lowered)


def render_by_graphviz(program: Program, batch: Batch, kind: str) -> bytes:
    """Draw the model, without its guide, by `pyro.render_model`; returns the content of a file: png, svg or pdf."""
    expect_graphviz()
    with hidden():
        graph = pyro.render_model(program.model, model_args=arguments(program, batch), render_distributions=True)
    picture: bytes = graph.pipe(format=kind)
    return picture


def expect_graphviz() -> None:
    """Raise `InputError` if the package `graphviz` or the program dot is missing."""
    missing = [] if importlib.util.find_spec("graphviz") else ["package (pip install graphviz)"]
    missing += [] if shutil.which("dot") else ["program dot"]
    if missing:
        raise InputError(
            f"graphviz: expected Graphviz's package and its program dot, got no {' and no '.join(missing)}"
        )
