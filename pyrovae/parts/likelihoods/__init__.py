"""p(x | z, y): decoder features become a distribution over images. One member a file.

A likelihood declares `features`, the decoder's outputs per pixel, and `domain`, the pixel protocols over which it is a
density or a mass function. `relaxed` are protocols that it scores although it is neither there. Its constructor may ask
by name for `shape` (C, H, W) and for any setting of `Config`; its `forward` takes features (..., features, C, H, W).
It may write itself out in plain PyTorch, too: `log_density` and `formula`, in `pyrovae.parts.densities`.
"""

from typing import Any

from pyrovae.parts.likelihoods.bernoulli import Bernoulli
from pyrovae.parts.likelihoods.beta import Beta
from pyrovae.parts.likelihoods.categorical import Categorical
from pyrovae.parts.likelihoods.continuous_bernoulli import ContinuousBernoulli
from pyrovae.parts.likelihoods.counts import NegativeBinomial, Poisson
from pyrovae.parts.likelihoods.discretized_logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from pyrovae.parts.likelihoods.likelihood import Likelihood
from pyrovae.parts.likelihoods.location_scale import Gaussian, Laplace, StudentT
from pyrovae.parts.likelihoods.unseen import Unseen

__all__ = ["LIKELIHOODS", "Likelihood", "Unseen"]

LIKELIHOODS: dict[str, Any] = {
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
}
