"""Stochastic variational inference for any Pyro model and guide: nothing here knows of VAEs."""

from pyrovae.inference.device import choose_device
from pyrovae.inference.randomness import seeded
from pyrovae.inference.svi import SVI

__all__ = ["SVI", "choose_device", "seeded"]
