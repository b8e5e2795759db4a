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
from pyrovae.explain.graph import graph_of, is_of_vae
from pyrovae.figures.names import families, plain
from pyrovae.figures.style import INK, STYLE, TRAIN
from pyrovae.inference.parameters import hidden
from pyrovae.program import Program

WIDTH, HEIGHT = 13.33, 7.5  # inches of a slide
RADIUS = 0.46
SEEN, QUIET = "#D9D9D9", "#777777"
PLATE = (1.35, 1.3, 3.4, 4.7)  # left, bottom, width, height
TEXT_AT, LINE, SMALL_LINE = 6.1, 0.35, 0.24  # where the formulas begin, and the height of their lines
TALLEST = 7.2  # inches for all of them
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
        (_diagram if is_of_vae(explanation) else _column)(axes, explanation)
        _formulas(axes, explanation)
    return figure


def _diagram(axes: Axes, explanation: Explanation) -> None:
    left, _, width, _ = PLATE
    conditional = explanation.context is not None
    middle = left + (0.62 if conditional else 0.5) * width
    z, x, y = (middle, 4.9), (middle, 2.55), (left + 0.75, 3.72)
    theta, phi = (left + width + 0.65, 3.72 if explanation.site("model", "z").learned else x[1]), (0.65, z[1])
    _plate(axes, explanation)
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
    if explanation.site("model", "z").learned:
        _arrow(axes, theta, z, radius=0.26)
    _legend(axes)


def _column(axes: Axes, explanation: Explanation) -> None:
    """Draw the variables below one another as the model runs; its further arrows are at the right.

    The guide's are at the left, but for those from the context, which would cross those from the image. Beside the
    plate is θ or φ for each variable whose distribution has parameters in the model or in the guide.
    """
    left, bottom, width, height = PLATE
    graph = graph_of(explanation)
    step = (height - 0.5) / len(graph.nodes)
    places = [(left + width / 2, bottom + height - 0.05 - step * (number + 0.5)) for number in range(len(graph.nodes))]
    radius = min(RADIUS, 0.33 * step)
    _plate(axes, explanation)
    for at, node in zip(places, graph.nodes):
        _circle(axes, at, node.name, node.seen, radius, raised=0.2)
        below, size = (at[0], at[1] - 0.5 * radius), node.size
        points = min(11 * radius / RADIUS, 60 / len(size))
        axes.text(*below, size, size=points, ha="center", va="center", color=QUIET, zorder=4)
        for has, aside, letter, style in (
            (node.theta, left + width + 0.65, "θ", MODEL),
            (node.phi, left - 0.7, "φ", GUIDE),
        ):
            if has:
                axes.text(aside, at[1], letter, size=20, ha="center", va="center", color=style["color"])
                _arrow(axes, (aside, at[1]), at, style, 0.0, 0.26, radius)
    for arrows, style in (graph.model, MODEL), (graph.guide, GUIDE):
        for arrow in arrows:
            span = arrow.head - arrow.tail
            side = 1 if style is MODEL or arrow.tail < graph.contexts else -1
            sideways = min(1.2, 0.25 + 0.3 * abs(span)) + (0.12 if style is GUIDE else 0)  # inches from the column
            straight = style is MODEL and arrow.to_neighbour
            bend = 0.0 if straight else -side * 2 * sideways / (span * step)
            _arrow(axes, places[arrow.tail], places[arrow.head], style, bend, radius, radius)
    _legend(axes)


def _plate(axes: Axes, explanation: Explanation) -> None:
    left, bottom, width, height = PLATE
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, "round,pad=0,rounding_size=0.15", fill=False, ec=INK))
    axes.text(left + width - 0.15, bottom + 0.2, f"N = {explanation.images} images", ha="right", size=12)


def _circle(axes: Axes, at: Point, name: str, seen: bool, radius: float = RADIUS, raised: float = 0.0) -> None:
    axes.add_patch(Circle(at, radius, facecolor=SEEN if seen else "white", edgecolor=INK, linewidth=1.6, zorder=3))
    size = 20 * min(1.0, radius / RADIUS * 5 / max(5, len(name)))  # a long name fits into its circle
    axes.text(
        at[0], at[1] + raised * radius, plain(name, 30), size=size, style="italic", ha="center", va="center", zorder=4
    )


def _node(axes: Axes, at: Point, name: str, shape: tuple[int, ...], seen: bool) -> None:
    _circle(axes, at, name, seen)
    above = (1 if name == "z" else -1) * (RADIUS + 0.17)
    axes.text(at[0], at[1] + above, "×".join(map(str, shape)), size=11, ha="center", va="center", color=QUIET)


def _arrow(
    axes: Axes,
    tail: Point,
    head: Point,
    style: LineStyle = MODEL,
    bend: float = 0.0,
    radius: float = RADIUS,
    to: float = RADIUS,
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
            shrinkB=to * points + 1,
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
    scale = min(1.0, TALLEST / (height + 0.1 * len(rows)))  # a program of many sites is set smaller
    gap = min(0.5, max(0.1 * scale, (6.2 - height * scale) / len(rows)))
    line, small = scale * LINE, scale * SMALL_LINE
    top = PLATE[1] + PLATE[3] / 2 + (height * scale + gap * (len(rows) - 1)) / 2 - line / 2
    for colour, formula, notes in rows:
        for i, text in enumerate(formula):
            indent = 0.5 * bool(i)
            axes.text(TEXT_AT + indent, top, typeset(text), size=14.5 * scale, color=colour, va="baseline")
            top -= line * 0.85
        for text in notes:
            axes.text(TEXT_AT + 0.25, top, plain(text, 200), size=10.5 * scale, color=QUIET, va="baseline")
            top -= small
        top -= gap


def _wrapped(formula: str, width: int) -> list[str]:
    """Break a formula into lines, but not at the spaces beside a bar, after a comma, or within `+ log p`."""
    unbroken = re.sub(r"(?<=[|,;])\s|\s(?=\|)|(?<=log)\s|(?<=[+−])\s(?=log)", "\u00a0", formula)
    return textwrap.wrap(unbroken, width)


def typeset(formula: str) -> str:
    r"""Set powers and the index of `E_q` as matplotlib's mathematics, and escape the rest.

    >>> typeset("E_q[x^(1 − α)] in $")
    '$\\mathrm{E}_\\mathrm{q}$[x$^{\\mathrm{1−α}}$] in \\$'
    """

    def raised(power: re.Match[str]) -> str:
        text = (power[1] or power[2]).replace(" ", "").replace("_", r"\_")
        return rf"$^{{\mathrm{{{text}}}}}$"

    unescaped = re.sub(r"\\(?=\^|E_q)", "∖", formula)  # a backslash would escape the dollar sign that follows it
    lowered = plain(unescaped, 300).replace("E_q", r"$\mathrm{E}_\mathrm{q}$")
    lowered = re.sub(r"Σ_(\w+)", lambda sum_over: rf"Σ$_{{\mathrm{{{sum_over[1]}}}}}$", lowered)
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
