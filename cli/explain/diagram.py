"""The plate diagram of a model and its guide, in characters."""

from rich.text import Text

from pyrovae.explain.explanation import Explanation

GUIDE = "cyan"
# All that can be there; what is not is cut out below.
WHOLE = """\
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
CONTEXT = slice(31, 56)  # the columns that only a context needs
LEGEND = "square: seen, round: inferred; ── model, with parameters θ; ┄┄ guide, with φ; the frame: for each image"


def diagram(found: Explanation) -> Text:
    """Boxes are random variables with the shape of one image's, lines the model and dots the guide."""
    shapes = {site.name: site.event for site in found.sites} | {"y": found.context or ()}
    inner = {name: f"{'×'.join(map(str, shape)):<11}" for name, shape in shapes.items()}
    plate = next(iter(found.sites[0].plates))
    conditional = found.context is not None
    heading = f"{plate}, N = {found.images} "
    lines = WHOLE.format(images=heading.ljust(44, "─"), **inner).splitlines()
    if not found.parameters["prior"]:
        lines[3] = lines[3].replace("  θ ──────┼───▶", "          │    ")
    if found.symbols.prior != "p(z | y)":
        lines[3], lines[4] = lines[3].replace("◀──────────┐", " " * 12), lines[4].replace("┴─┴", "──┴")
    if not conditional:
        lines = [line[: CONTEXT.start] + line[CONTEXT.stop :] for line in lines]
        lines = [line.replace("◁┄┄┄", "    ").replace("◀──", "   ") for line in lines]
    text = Text("\n".join(lines), no_wrap=True, overflow="crop")
    text.highlight_regex(r"[┄┊▷◁▲φ]", GUIDE)
    return text
