"""q(z | x, y): encoder features become a distribution over codes with event shape (latent,). One member a file.

A posterior may declare `density = False`: it is none, and has no KL to the prior. Its constructor may ask by name for
`features` (the encoder's outputs), `latent_dim` and any setting of `Config`.
It may write itself out in plain PyTorch, too: `log_density` and `formula`, in `pyrovae.parts.densities`.
"""

from pyrovae.parts.posteriors.delta import Delta
from pyrovae.parts.posteriors.flow import Flow
from pyrovae.parts.posteriors.gaussian import Diagonal, Full, LowRank

POSTERIORS = {"diagonal": Diagonal, "lowrank": LowRank, "full": Full, "flow": Flow, "delta": Delta}
