"""The rows of the benchmark: one epoch of the same VAE by pyrovae and by its rivals.

A row of the benchmark is a function of `Work` that builds the model and returns a function: each call of that trains
one epoch and returns its mean loss per image, or None where nothing is trained.
"""

from .floor import floor
from .numpyros import numpyros_way
from .own import bfloat16, compiled, eager
from .pyros import on_resident_tensors, pyros_way
from .torchs import torch_compiled, torch_eager
from .work import Work

__all__ = ["ROWS", "Work"]

ROWS = {
    "pyro": pyros_way,
    "pyro-resident": on_resident_tensors,
    "torch": torch_eager,
    "torch-compiled": torch_compiled,
    "numpyro": numpyros_way,
    "pyrovae": eager,
    "pyrovae-compiled": compiled,
    "pyrovae-bf16": bfloat16,
    "floor": floor,
}
