"""Priors: p(z | y), distributions over codes. One member a file.

A prior is a module whose `forward(y=None)` takes the context, or None in an unconditional model, and returns a Pyro
distribution with event shape (latent,). Its batch shape is () if it is the same for every y, else (n,).

Its constructor may ask, by the names of its parameters, for `latent_dim`, `shape` (C, H, W), `context` (the shape of a
y, or ()), `encoder`, `posterior` and `network` (those of the same model), and any setting of `Config`. It raises
`ValueError` for what it cannot be made of. For example:

    class Wide(nn.Module):
        def __init__(self, latent_dim: int, components: int) -> None:
            super().__init__()
            self.latent_dim, self.scale = latent_dim, float(components)

        def forward(self, y: Tensor | None = None) -> dist.TorchDistribution:
            return dist.Normal(0.0, self.scale).expand([self.latent_dim]).to_event(1)

Add it to `PRIORS` below, or use it from your own file: `--prior FILE.py:Wide`.

A prior may have more than this:

- `initialise(x, y)`: receives `components` training images and their contexts before the first step, to start from.
- `numbers`: about how many numbers scoring one code holds in memory, if they are many, so that evaluation scores fewer
  codes at a time.
- `formula`, `log_density` and `moments`, which `pyrovae explain` reads: see `pyrovae.parts.densities`.
"""

from torch import nn

from pyrovae.parts.priors.conditional import Conditional
from pyrovae.parts.priors.exemplar import Exemplar
from pyrovae.parts.priors.flow import Flow
from pyrovae.parts.priors.mixture import Mixture
from pyrovae.parts.priors.standard import Laplace, Normal, StudentT
from pyrovae.parts.priors.vamp import Vamp

PRIORS: dict[str, type[nn.Module]] = {
    "normal": Normal,
    "laplace": Laplace,
    "student_t": StudentT,
    "mixture": Mixture,
    "vamp": Vamp,
    "exemplar": Exemplar,
    "flow": Flow,
    "conditional": Conditional,
}
