"""The variables of any program in characters."""

import pytest
from support.explanations import explanation_of

from pyrovae.cli.explain.column import column_diagram
from pyrovae.cli.terminal import visible

SEMI_SUPERVISED = """\
┌─ images, N = 12 ────────┐
│     ╭───────────╮       │
│     │ y       φ │ ◁┄┄┄┐ │
│ ┌───│ 3         │┄┄┄┐ ┊ │
│ │   ╰───────────╯   ┊ ┊ │
│ │                   ┊ ┊ │
│ │   ╭───────────╮   ┊ ┊ │
│ │   │ z       φ │ ◁┄┴┄┤ │
│ │   │ 3         │     ┊ │
│ │   ╰─────┬─────╯     ┊ │
│ │         ▼           ┊ │
│ │   ┌───────────┐     ┊ │
│ └─▶ │ x     θ   │     ┊ │
│     │ 1×8×8     │┄┄┄┄┄┘ │
│     └───────────┘       │
└─────────────────────────┘"""
BOTTOM_UP = """\
┌─ images, N = 12 ────┐
│ ╭───────────╮       │
│ │ z2      φ │ ◁┄┐   │
│ │ 2         │   ┊   │
│ ╰─────┬─────╯   ┊   │
│       ▼         ┊   │
│ ╭───────────╮   ┊   │
│ │ z1    θ φ │ ◁┄┼┄┐ │
│ │ 4         │┄┄┄┘ ┊ │
│ ╰─────┬─────╯     ┊ │
│       ▼           ┊ │
│ ┌───────────┐     ┊ │
│ │ x     θ   │     ┊ │
│ │ 1×8×8     │┄┄┄┄┄┘ │
│ └───────────┘       │
└─────────────────────┘"""


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        ({"program": "semi_supervised"}, SEMI_SUPERVISED),
        ({"program": "hierarchical", "latent_dim": (4, 2)}, BOTTOM_UP),
    ],
)
def test_the_diagram_shows_each_variable_and_arrow(settings, drawn):
    assert column_diagram(explanation_of(trained=False, **settings)).plain == drawn


def test_lanes_that_do_not_meet_share_a_column():
    """The guide's arrows from z3 to z2 and from z2 to z1 are in one, those from the context and the image in others."""
    settings = {"program": "hierarchical", "latent_dim": (4, 3, 2), "inference": "top_down", "condition": "label"}
    lines = column_diagram(explanation_of(trained=False, **settings)).plain.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[2].startswith("│     │ y ")
    assert len({line.index("┐") for line in lines if "│ 2 " in line or lines[13] == line}) == 1
    assert sum("◁" in line for line in lines) == 3


@pytest.mark.parametrize("drawn", [SEMI_SUPERVISED, BOTTOM_UP])
def test_a_terminal_without_our_signs_gets_others(drawn):
    assert "\\" not in visible(drawn.replace("\n", ""), "ascii")
