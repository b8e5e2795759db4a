"""The variables of a program and its arrows, as the diagrams draw them: in a column, in the order of the model."""

from typing import NamedTuple

from pyrovae.explain.explanation import Explanation


class Node(NamedTuple):
    """A variable, or the context y of the program."""

    name: str
    shape: tuple[int, ...]  # for one image
    seen: bool
    theta: bool = False  # whether its distribution in the model has parameters
    phi: bool = False  # and that in the guide

    @property
    def size(self) -> str:
        """The shape as a text; 1 for a number."""
        return "×".join(map(str, self.shape)) or "1"


class Arrow(NamedTuple):
    """From a variable to one whose distribution depends on it, by their places in the column."""

    tail: int
    head: int

    @property
    def to_neighbour(self) -> bool:
        """Whether it leads to the next variable of the column."""
        return self.head == self.tail + 1


class Graph(NamedTuple):
    """The column of variables, and the arrows of model and guide."""

    nodes: list[Node]
    model: list[Arrow]
    guide: list[Arrow]
    contexts: int  # how many of the nodes, at the top, are no variables


def graph_of(explanation: Explanation) -> Graph:
    """Return the graph of a program: the context first, then the variables as the model runs."""
    sites = [site for site in explanation.sites if site.program == "model"]
    guide = {site.name: site for site in explanation.sites if site.program == "guide"}
    contexts = [] if explanation.context is None else [Node("y", explanation.context, seen=True)]
    nodes = [
        *contexts,
        *(
            Node(site.name, site.event, site.observed, site.learned, site.name in guide and guide[site.name].learned)
            for site in sites
        ),
    ]
    place = {node.name: number for number, node in enumerate(nodes)}
    model, inferred = (
        [Arrow(place[parent], place[site.name]) for site in each for parent in site.parents]
        for each in (sites, guide.values())
    )
    return Graph(nodes, sorted(model), sorted(inferred), len(contexts))


def is_of_vae(explanation: Explanation) -> bool:
    """Say whether the variables are those of a VAE, z → x, which has a diagram of its own."""
    sites = [(site.program, site.name) for site in explanation.sites]
    return sites == [("model", "z"), ("model", "x"), ("guide", "z")]
