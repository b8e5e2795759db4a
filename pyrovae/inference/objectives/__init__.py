"""The objectives that SVI minimises: estimators of the ELBO and of other bounds, and a weight of the KL term.

An objective is a Pyro ELBO that derives from `TraceELBO`. Its constructor may ask, by the names of its parameters, for
`num_particles`, `vectorize_particles`, `max_plate_nesting` and any setting of `Config`. Its attribute `formula` is what
it minimises, in mathematical notation.
"""

from pyrovae.inference.objectives.analytic import AnalyticELBO
from pyrovae.inference.objectives.enumerated import SUMMED, EnumeratedELBO
from pyrovae.inference.objectives.importance import IWAE, DReG, Renyi
from pyrovae.inference.objectives.kl_weight import KLWeight
from pyrovae.inference.objectives.mmd import MMD
from pyrovae.inference.objectives.stl import StickingTheLanding
from pyrovae.inference.objectives.trace import TraceELBO

__all__ = ["OBJECTIVES", "SUMMED", "EnumeratedELBO", "KLWeight", "TraceELBO"]

OBJECTIVES: dict[str, type[TraceELBO]] = {
    "elbo": TraceELBO,
    "analytic": AnalyticELBO,
    "stl": StickingTheLanding,
    "iwae": IWAE,
    "renyi": Renyi,
    "dreg": DReG,
    "mmd": MMD,
}
