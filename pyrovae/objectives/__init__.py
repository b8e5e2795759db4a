"""What SVI minimises: Pyro ELBO estimators, and the weight of the KL term as an effect on any of them.

An objective is a Pyro ELBO that derives from `TraceELBO`. Its constructor may ask by name for `num_particles`,
`vectorize_particles`, `max_plate_nesting` and any setting of `Config`.
`formula` is what it minimises, as one reads it.
"""

from pyrovae.objectives.analytic import AnalyticELBO
from pyrovae.objectives.importance import IWAE, DReG, Renyi
from pyrovae.objectives.mmd import MMD
from pyrovae.objectives.stl import StickingTheLanding
from pyrovae.objectives.trace import TraceELBO
from pyrovae.objectives.weight import KLWeight

__all__ = ["OBJECTIVES", "KLWeight", "TraceELBO"]

OBJECTIVES = {
    "elbo": TraceELBO,
    "analytic": AnalyticELBO,
    "stl": StickingTheLanding,
    "iwae": IWAE,
    "renyi": Renyi,
    "dreg": DReG,
    "mmd": MMD,
}
