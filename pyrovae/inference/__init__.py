"""Stochastic variational inference for any Pyro model and guide; nothing here depends on VAEs.

`SVI` takes optimizer steps, `choose_device` turns a setting into a device, and `seeded` fixes random numbers for a
while. The objectives that SVI minimises are in `pyrovae.inference.objectives`.
"""

from pyrovae.inference.device import choose_device
from pyrovae.inference.randomness import seeded
from pyrovae.inference.svi import SVI

__all__ = ["SVI", "choose_device", "seeded"]
