"""Reads from a run which variables the distribution of each site depends on."""

from typing import NamedTuple

import torch
from pyro.ops.provenance import detach_provenance, get_provenance, track_provenance
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.explain.made import leaf_of, numbers_of
from pyrovae.inference.randomness import seeded
from pyrovae.inference.sites import is_plate
from pyrovae.inference.traces import SampleSite
from pyrovae.program import Program


class Dependence(NamedTuple):
    """What the distribution of a site depends on."""

    parents: tuple[str, ...]  # variables, the nearest first
    learned: bool  # whether it depends on parameters directly, not by way of variables alone


NOTHING = Dependence((), False)


@torch.enable_grad()
def dependencies(program: Program, x: Tensor, y: Tensor | None) -> dict[str, dict[str, Dependence]]:
    """Return the dependences of each site of "model" and "guide", at images x and their context y.

    Every value carries its name through torch's operations, by Pyro's `ProvenanceTensor`, as in Pyro's
    `get_dependencies`, which is for models alone. Conditions are ordered as in p(x | z1, z2, y) and q(z1 | x, y, z2).
    """
    image, context = track_provenance(x, frozenset({program.image})), track_provenance(y, frozenset({"y"}))
    ahead = [program.image, *([] if y is None else ["y"])]
    with seeded(0):
        guide = _Follow()
        guide(program.guide)(image, context)
        model = _Follow()
        model(program.model)(x, context)
    return {"model": model.ordered([], ahead[1:]), "guide": guide.ordered(ahead, [])}


class _Follow(Messenger):
    """Marks each value with the name of its site, and reads the marks that the distributions of later sites carry."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, tuple[frozenset[str], bool]] = {}

    def _pyro_post_sample(self, msg: SampleSite) -> None:
        if is_plate(msg):
            return
        value = detach_provenance(msg["value"]).detach()  # a gradient stops there, so that it shows parameters alone
        log_prob, numbers = msg["fn"].log_prob(value), numbers_of(leaf_of(msg["fn"])).values()
        learned = any(detach_provenance(each).requires_grad for each in (log_prob, *numbers))
        self.found[msg["name"]] = get_provenance(log_prob), learned
        msg["value"] = track_provenance(value, frozenset({msg["name"]}))

    def ordered(self, first: list[str], last: list[str]) -> dict[str, Dependence]:
        order = [*first, *reversed([*self.found]), *last]
        return {
            name: Dependence(tuple(one for one in dict.fromkeys(order) if one in parents), learned)
            for name, (parents, learned) in self.found.items()
        }
