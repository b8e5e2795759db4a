"""Whole programs: a model and its guide. One kind a file; the VAE, with which to begin, is `pyrovae.vae`.

A program is a subclass of `pyrovae.Program` with the methods `model` and `guide`. Its constructor asks for what it is
made of by the names of its parameters:

- any setting of `Config`; `shape` (C, H, W); `classes`, how many there are; `context`, what the program is given (a
  module, or None);
- `likelihood`, `encoder`, `decoder`, `posterior` and `prior`, which are made for one code of `latent_dim` dimensions,
  `network`, which makes encoders and decoders, and `missingness`;
- for several codes, or codes of another size, functions that make further parts of the kinds that the settings name:
  `make_hidden(inputs, widths)` for hidden layers, `make_posterior(features, latent_dim)`, and
  `make_prior(latent_dim, encoder, posterior)`.

Parts and programs with a method `initialise(x, y)` are shown training images before the first epoch, as many as there
are `components`; a program with a method `fit_codes(z)` is shown codes of training images after `pretraining` epochs.

It raises `ValueError` for what it cannot be made of. A setting of the group *Program*, and a part, that it does not ask
for is refused. Add it to `PROGRAMS` below, or use it from your own file: `--program FILE.py:Class`.
"""

from pyrovae.program import Program
from pyrovae.programs.discrete import Discrete
from pyrovae.programs.hierarchical import Hierarchical
from pyrovae.programs.mixture import Mixture
from pyrovae.programs.not_at_random import NotAtRandom
from pyrovae.programs.semi_supervised import SemiSupervised
from pyrovae.programs.stacked import Stacked
from pyrovae.vae import VAE

PROGRAMS: dict[str, type[Program]] = {
    "vae": VAE,
    "hierarchical": Hierarchical,
    "semi_supervised": SemiSupervised,
    "stacked": Stacked,
    "mixture": Mixture,
    "discrete": Discrete,
    "not_at_random": NotAtRandom,
}
