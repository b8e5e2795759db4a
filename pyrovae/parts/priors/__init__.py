"""p(z | y): a distribution over codes with event shape (latent,). One member a file.

A prior's `forward` takes the context `y`, or None. Its constructor may ask by name for `latent_dim`, `shape`,
`encoder`, `posterior`, `network`, `context` (the shape of y, or ()) and any setting of `Config`. A prior that starts
from data has a method `initialise(x, y)`, which is given `components` training images before the first step.
One that holds many numbers for each code it scores says how many, as `numbers`, so that evaluation takes fewer at once.
It may write itself out in plain PyTorch, too: `log_density` and `formula`, in `pyrovae.parts.densities`.
"""

from pyrovae.parts.priors.conditional import Conditional
from pyrovae.parts.priors.exemplar import Exemplar
from pyrovae.parts.priors.flow import Flow
from pyrovae.parts.priors.mixture import Mixture
from pyrovae.parts.priors.standard import Laplace, Normal, StudentT
from pyrovae.parts.priors.vamp import Vamp

PRIORS = {
    "normal": Normal,
    "laplace": Laplace,
    "student_t": StudentT,
    "mixture": Mixture,
    "vamp": Vamp,
    "exemplar": Exemplar,
    "flow": Flow,
    "conditional": Conditional,
}
