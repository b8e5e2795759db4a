"""The figure of compressed images: how large they are, by which compressor."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from pyrovae.figures.names import families
from pyrovae.figures.style import INK, PALE, TEST, TRAIN, new_figure

OWN = "bits-back"


def compression(sizes: Mapping[str, float], bound: float, title: str, noun: str = "image") -> Figure:
    """Draw the bytes per image or row by each compressor as bars, that of `OWN` in colour, and the bound as a line."""
    figure, axes = new_figure(7.2, 1.15 + 0.42 * len(sizes))
    panel = axes[0, 0]
    places = [*range(len(sizes))]
    panel.barh(places, [*sizes.values()], height=0.62, color=[TRAIN if name == OWN else PALE for name in sizes])
    for place, (name, size) in enumerate(sizes.items()):
        panel.annotate(
            f"{size:,.1f}", (size, place), xytext=(7, 0), textcoords="offset points", va="center",
            color=TRAIN if name == OWN else INK, weight="bold" if name == OWN else "normal",
        )  # fmt: skip
    panel.set_yticks(places, [*sizes])
    panel.set(xlim=(0, 1.12 * max(*sizes.values(), bound)), ylim=(len(sizes) - 0.5, -0.95), xlabel=f"bytes per {noun}")
    panel.plot((bound, bound), (len(sizes) - 0.5, -0.6), color=TEST, linewidth=1.4)
    panel.annotate(
        f"−ELBO: {bound:,.1f}", (bound, -0.6), xytext=(0, 3), textcoords="offset points", ha="center", color=TEST
    )
    panel.tick_params(color=PALE)
    panel.yaxis.set_tick_params(length=0)
    panel.spines["left"].set_visible(False)
    figure.suptitle(title, fontsize=11, color=INK, family=families([title]))
    return figure
