"""Labels that are known for some images, inferred from a code of the image: models M1 and M2 as one program."""

from collections.abc import Callable, Sequence

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.config.settings import as_text
from pyrovae.parts.likelihoods import Likelihood
from pyrovae.parts.networks.context import joined
from pyrovae.parts.networks.network import Network
from pyrovae.parts.posteriors.gaussian import Diagonal
from pyrovae.parts.priors.encoded_mixture import EncodedMixture
from pyrovae.program import Program
from pyrovae.programs.semi_supervised import SemiSupervised, draw_label


class Stacked(Program):
    r"""Model M2 on a code of the image, in place of the image: the label decides where z1 lies, and z1 what x is.

        model:  y ~ 1/K,        z2 ~ p(z2),          z1 ~ p(z1 | z2, y),    x ~ p(x | z1)
        guide:  z1 ~ q(z1 | x), y ~ q(y | z1),       z2 ~ q(z2 | z1, y)

    The sum over labels runs through the small networks between z1 and z2 alone, so that an epoch takes about as long
    as that of a VAE. p(z1 | z2, y) is a diagonal Gaussian. `latent_dim` are the dimensions of z1 and z2, and
    `upper_hidden` the widths of the hidden layers between them (by default `hidden`). Labels that are known, and
    `classifier_weight`, mean what they mean in `SemiSupervised`. Kingma et al. (2014), arXiv:1406.5298, trained M1
    first, and M2 on its codes (M1+M2); here all is learned together.

    >>> config = Config(program="stacked", hidden=(16,), latent_dim=(4, 2))
    >>> program = build(config, (1, 8, 8), classes=3)
    >>> program.classify(torch.rand(5, 1, 8, 8)).shape, program.generate(y=torch.tensor([0, 2])).shape
    (torch.Size([5, 3]), torch.Size([2, 1, 8, 8]))
    """

    code, label, supervised = "z2", "y", True
    reads = SemiSupervised.reads
    learned_from = SemiSupervised.learned_from

    def __init__(
        self,
        network: Network,
        likelihood: Likelihood,
        make_hidden: Callable[[int, Sequence[int]], nn.Module],
        make_posterior: Callable[[int, int], nn.Module],
        make_prior: Callable[[int, nn.Module, nn.Module], nn.Module],
        latent_dim: Sequence[int],
        hidden: Sequence[int],
        classes: int,
        upper_hidden: Sequence[int] = (),
        classifier_weight: float = 50.0,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"program stacked: expected images with two classes or more, got {classes}")
        if isinstance(latent_dim, int) or len(latent_dim) != 2:
            raise ValueError(f"latent_dim: expected two numbers for program stacked, got {as_text(latent_dim)}")
        lower, upper = latent_dim
        widths = upper_hidden or hidden
        self.encoder = network.encoder()
        self.posterior = make_posterior(self.encoder.features, lower)
        self.classifier = nn.Sequential(make_hidden(lower, widths), nn.Linear(widths[-1], classes))
        self.upper_encoder = make_hidden(lower + classes, widths)
        self.upper_posterior = make_posterior(widths[-1], upper)
        if not all(getattr(posterior, "density", True) for posterior in (self.posterior, self.upper_posterior)):
            raise ValueError("posterior: expected one that is a density for program stacked, got a point")
        self.prior = make_prior(upper, self.upper_encoder, self.upper_posterior)
        if isinstance(self.prior, EncodedMixture):
            raise ValueError("prior: expected one that encodes no images, as program stacked encodes with labels")
        self.lower_prior = nn.Sequential(
            make_hidden(upper + classes, widths[::-1]),
            Diagonal(widths[0], lower),
        )
        self.decoder = network.decoder(lower, likelihood.features)
        self.likelihood, self.features = likelihood, likelihood.features
        self.classes, self.classifier_weight = classes, classifier_weight
        self.register_buffer("equal", torch.full((classes,), 1 / classes), persistent=False)

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None. The guide sets y where it is known."""
        with pyro.plate("images", n if x is None else len(x)):
            y = pyro.sample("y", dist.OneHotCategorical(self.equal))
            z2 = pyro.sample("z2", self.prior())
            z1 = pyro.sample("z1", self.lower_prior(joined(z2, y, 1)))
            return pyro.sample("x", self.likelihood(self.decoder(z1)), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the lower code of each image, its label, which is summed over, and the upper code."""
        with pyro.plate("images", len(x)):
            z1 = pyro.sample("z1", self.posterior(self.encoder(x)))
            y = draw_label(self.classifier(z1), y, self.classifier_weight)
            return pyro.sample("z2", self.upper_posterior(self.upper_encoder(joined(z1, y, 1))))
