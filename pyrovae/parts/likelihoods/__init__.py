"""Likelihoods: p(x | z, y), distributions over images given what the decoder returns. One member a file.

A likelihood is a module whose `forward(h)` takes the decoder's features (..., features, C, H, W) and returns a Pyro
distribution with batch shape (...) and event shape (C, H, W), of which samples and figures take `sample` and `mean`. It
must end in `.to_event(3)`, so that `Unseen` can leave pixels out. Two class attributes say what it takes:

- `features`: how many numbers the decoder returns for each value of a pixel, such as 2 for a location and a scale.
- `domain`: the pixel protocols over which it is a density or a mass function (`--pixels`: grey, dynamic, static,
  threshold, bytes, standardized, and of tables real, counts, binary, columns).

Its constructor may ask, by the names of its parameters, for `shape` (C, H, W) and any setting of `Config`. It raises
`ValueError` for what it cannot be made of. For example:

    class Narrow(nn.Module):
        features = 1
        domain = ("grey", "standardized")

        def forward(self, h: Tensor) -> dist.TorchDistribution:
            return dist.Normal(h.squeeze(-4), 0.1).to_event(3)

Add it to `LIKELIHOODS` below, or use it from your own file: `--likelihood FILE.py:Narrow`.

A likelihood may have more than this:

- `relaxed`: pixel protocols that it scores although it is no density over them.
- `log_mean`: true if the first feature is the logarithm of the mean of a count, to which `--library-size` may add.
- `formula` and `log_density`, which `pyrovae explain` reads: see `pyrovae.parts.densities`.
"""

from pyrovae.parts.likelihoods.bernoulli import Bernoulli
from pyrovae.parts.likelihoods.beta import Beta
from pyrovae.parts.likelihoods.categorical import Categorical
from pyrovae.parts.likelihoods.columns import Columns
from pyrovae.parts.likelihoods.continuous_bernoulli import ContinuousBernoulli
from pyrovae.parts.likelihoods.counts import NegativeBinomial, Poisson
from pyrovae.parts.likelihoods.discretized_logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from pyrovae.parts.likelihoods.given_total import GivenTotal
from pyrovae.parts.likelihoods.likelihood import Elementwise, Likelihood
from pyrovae.parts.likelihoods.location_scale import Gaussian, Laplace, StudentT
from pyrovae.parts.likelihoods.seen import Seen
from pyrovae.parts.likelihoods.unseen import Unseen

__all__ = ["LIKELIHOODS", "Elementwise", "GivenTotal", "Likelihood", "Seen", "Unseen"]

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous_bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "student_t": StudentT,
    "beta": Beta,
    "categorical": Categorical,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
    "columns": Columns,
}
