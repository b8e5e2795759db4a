"""The plate diagram in characters."""

import pytest
from support.explanations import explanation_of

from pyrovae.cli.explain.diagram import plate_diagram


@pytest.mark.parametrize(
    ("settings", "drawn", "not_drawn"),
    [
        ({}, ["φ ┄┄┄┄┄┄┼┄┄┄▷ │ z"], ["│ y", "◀", "◁", "▶ │ 3 "]),
        ({"prior": "vamp"}, ["θ ──────┼───▶ │ 3 "], ["│ y", "◀"]),
        ({"condition": "label"}, ["│ y", "◁┄┄┄┄┄┄┄┄┄┄┄┄┐ ", "┌───┴─"], ["▶ │ 3 ", "◀──────────┐"]),
        ({"condition": "label", "prior": "mixture"}, ["▶ │ 3 ", "◁┄┄┄┄┄┄┄┄┄┄┄┄┐ "], ["◀──────────┐"]),
        ({"condition": "quadrant1"}, ["│ 1×8×8 "], []),
        ({"condition": "label", "prior": "conditional"}, ["▶ │ 3           │ ◀──────────┐ ┊", "┌─┴─┴─"], []),
    ],
)
def test_the_diagram_shows_the_arrows_of_the_program_and_no_others(settings, drawn, not_drawn):
    """An arrow goes from y to z only if the prior reads y, and from θ to z only if the prior has parameters."""
    explanation = explanation_of(trained=False, **settings)
    text = plate_diagram(explanation).plain
    assert len({len(line) for line in text.splitlines()}) == 1
    assert "┌─ images, N = 12 ─" in text
    for part in drawn:
        assert part in text
    for part in not_drawn:
        assert part not in text
