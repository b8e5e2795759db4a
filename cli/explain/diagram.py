"""Draws the plate diagram of a model and its guide in characters."""

from rich.text import Text

from pyrovae.explain.explanation import Explanation

GUIDE = "cyan"
# The diagram with all arrows that a VAE can have; `plate_diagram` cuts out those that this one does not have.
TEMPLATE = """\
          ┌─ {images}┐
          │     ╭─────────────╮                          │
  φ ┄┄┄┄┄┄┼┄┄┄▷ │ z           │ ◁┄┄┄┄┄┄┄┄┄┄┄┄┐           │
  θ ──────┼───▶ │ {z} │ ◀──────────┐ ┊           │
          │     ╰─┬─────────▲─╯          ┌─┴─┴─────────┐ │
          │       │         ┊            │ y           │ │
          │       │         ┊            │ {y} │ │
          │       ▼         ┊            └─┬───────────┘ │
          │     ┌───────────┴─┐            │             │
  θ ──────┼───▶ │ x           │ ◀──────────┘             │
          │     │ {x} │                          │
          │     └─────────────┘                          │
          └──────────────────────────────────────────────┘"""
CONTEXT = slice(31, 56)  # the columns of y
LEGEND = "square: seen, round: inferred; ── model, with parameters θ; ┄┄ guide, with φ; the frame: for each image"


def plate_diagram(explanation: Explanation) -> Text:
    """Draw each variable as a box with its shape for one image, the model as lines and the guide as dotted lines."""
    shapes = {site.name: site.event for site in explanation.sites} | {"y": explanation.context or ()}
    inner = {name: f"{'×'.join(map(str, shape)):<11}" for name, shape in shapes.items()}
    plate = next(iter(explanation.sites[0].plates))
    heading = f"{plate}, N = {explanation.images} "
    lines = TEMPLATE.format(images=heading.ljust(44, "─"), **inner).splitlines()
    if not explanation.site("model", "z").learned:
        lines[3] = lines[3].replace("  θ ──────┼───▶", "          │    ")
    if "y" not in explanation.site("model", "z").parents:
        lines[3], lines[4] = lines[3].replace("◀──────────┐", " " * 12), lines[4].replace("┴─┴", "──┴")
    if explanation.context is None:
        lines = [line[: CONTEXT.start] + line[CONTEXT.stop :] for line in lines]
        lines = [line.replace("◁┄┄┄", "    ").replace("◀──", "   ") for line in lines]
    text = Text("\n".join(lines), no_wrap=True, overflow="crop")
    text.highlight_regex(r"[┄┊▷◁▲φ]", GUIDE)
    return text
