"""Draws the variables of any program in characters: one below the other, with the guide at their right."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from rich.text import Text

from pyrovae.explain.explanation import Explanation
from pyrovae.explain.graph import Arrow, Graph, Node, graph_of

GUIDE = "cyan"
LEGEND = (
    "square: seen, round: inferred; ── model, ┄┄ guide; θ, φ: its distribution has parameters there; the frame: for"
    " each image"
)
STEP, GAP = 5, 2  # rows from one box to the next, and columns from one lane to the next
# By the sides to which the line in a cell goes on.
SOLID = dict(zip(("du", "lr", "dr", "dl", "ru", "lu", "dru", "dlu", "dlr", "lru", "dlru"), "│─┌┐└┘├┤┬┴┼"))
DOTTED = SOLID | {"du": "┊", "lr": "┄"}


class Lane(NamedTuple):
    """A vertical line beside the boxes that leads from one of them to others."""

    tail: int
    heads: tuple[int, ...]

    @property
    def rows(self) -> range:
        rows = [_leaves(self.tail), *map(_enters, self.heads)]
        return range(min(rows), max(rows) + 1)


def column_diagram(explanation: Explanation) -> Text:
    """Draw each variable as a box with its shape for one image, the model as lines and the guide as dotted lines."""
    graph = graph_of(explanation)
    left = _packed(arrow for arrow in graph.model if not arrow.to_neighbour)
    right = _packed(graph.guide)
    boxes = _boxes(graph)
    model = [line[::-1].translate(str.maketrans("┌┐└┘├┤◁", "┐┌┘└┤├▶")) for line in _side(left, SOLID, len(boxes))]
    guide = _side(right, DOTTED, len(boxes))
    plate = f"{next(iter(explanation.sites[0].plates))}, N = {explanation.images} "
    width = max(len(model[0] + boxes[0] + guide[0]), len(plate) + 1)
    lines = [f"┌─ {plate}".ljust(width + 3, "─") + "┐"]
    text = Text(lines[0], no_wrap=True, overflow="crop")
    for one, box, other in zip(model, boxes, guide):
        text.append(f"\n│ {one}{box}")
        text.append(other, GUIDE)
        text.append(" " * (width - len(one + box + other)) + " │")
    text.append("\n└" + "─" * (width + 2) + "┘")
    text.highlight_regex("φ", GUIDE)
    return text


def _enters(place: int) -> int:
    """Return the row at which arrows enter a box: that of its name."""
    return STEP * place + 1


def _leaves(place: int) -> int:
    """Return the row at which arrows leave a box: that of its shape."""
    return STEP * place + 2


def _packed(arrows: Iterable[Arrow]) -> list[list[Lane]]:
    """Give the arrows that leave one box a lane, short ones near the boxes; lanes that do not meet share a column."""
    heads: dict[int, list[int]] = defaultdict(list)
    for arrow in arrows:
        heads[arrow.tail].append(arrow.head)
    columns: list[list[Lane]] = []
    for lane in sorted((Lane(tail, tuple(each)) for tail, each in heads.items()), key=lambda lane: len(lane.rows)):
        free = next((one for one in columns if not any({*lane.rows} & {*other.rows} for other in one)), None)
        if free is None:
            columns.append([lane])
        else:
            free.append(lane)
    return columns


def _boxes(graph: Graph) -> list[str]:
    """Draw the boxes, with the model's arrows between neighbours."""
    shapes = [node.size for node in graph.nodes]
    inner = max(9, *(len(node.name) + 4 for node in graph.nodes), *map(len, shapes))
    down = {arrow.tail for arrow in graph.model if arrow.to_neighbour}
    lines = []
    for place, (node, shape) in enumerate(zip(graph.nodes, shapes)):
        top, bottom = ("┌{}┐", "└{}┘") if node.seen else ("╭{}╮", "╰{}╯")
        middle = (inner + 2) // 2
        border = "─" * middle + ("┬" if place in down else "─") + "─" * (inner + 1 - middle)
        lines += [
            top.format("─" * (inner + 2)),
            f"│ {node.name:<{inner - 3}}{_letters(node)} │",
            f"│ {shape:<{inner}} │",
            bottom.format(border),
            f"{' ' * (middle + 1)}{'▼' if place in down else ' '}".ljust(inner + 4),
        ]
    return lines[:-1]


def _letters(node: Node) -> str:
    return f"{'θ' if node.theta else ' '} {'φ' if node.phi else ' '}"


def _side(columns: list[list[Lane]], marks: dict[str, str], rows: int) -> list[str]:
    """Draw the lanes to the right of the boxes, the first column of them next to the boxes."""
    cells: dict[tuple[int, int], set[str]] = defaultdict(set)
    heads = set()
    for number, column in enumerate(columns):
        at = 3 + GAP * number
        for lane in column:
            for row, following in zip(lane.rows, lane.rows[1:]):
                cells[row, at].add("d")
                cells[following, at].add("u")
            for row in (_leaves(lane.tail), *map(_enters, lane.heads)):
                cells[row, at].add("l")
                for column_between in range(at):
                    cells[row, column_between] |= {"l", "r"}
            heads |= {*map(_enters, lane.heads)}
    width = 4 + GAP * (len(columns) - 1) if columns else 0
    lines = ["".join(marks.get("".join(sorted(cells[row, at])), " ") for at in range(width)) for row in range(rows)]
    return [f" ◁{line[2:]}" if row in heads else line for row, line in enumerate(lines)]
