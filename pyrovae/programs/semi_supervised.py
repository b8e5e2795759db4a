"""Labels that are known for some images: model M2."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.config.settings import as_text
from pyrovae.parts.contexts import Label
from pyrovae.parts.likelihoods import Likelihood
from pyrovae.parts.networks.network import Network
from pyrovae.parts.priors.encoded_mixture import EncodedMixture
from pyrovae.program import Program

IMPOSSIBLE = -1000.0  # a log-probability: its exponential is 0, and unlike −inf it can be multiplied by a weight of 0


def draw_label(logits: Tensor, y: Tensor | None, classifier_weight: float) -> Tensor:
    """Draw the site y (n, K), which is summed over; where y is known, it is certain, and the classifier learns.

    To be called in a guide, inside its plate. Rows of y are one-hot, or all 0 where the label is not known.
    """
    label = dist.OneHotCategorical(logits=logits)
    if y is not None:
        known = y.sum(-1) > 0
        log_q = torch.where(known, (label.logits * y).sum(-1), 0.0)
        # Terms of the guide count in the ELBO with a minus.
        pyro.factor("classifier", -classifier_weight * log_q, has_rsample=True)
        certain = IMPOSSIBLE * (1 - y)
        label = dist.OneHotCategorical(logits=torch.where(known[:, None], certain, label.logits))
    drawn: Tensor = pyro.sample("y", label, infer={"enumerate": "parallel"})
    return drawn


class SemiSupervised(Program):
    r"""A VAE that infers the label of an image where it is not known.

        model:  y ~ 1/K,         z ~ p(z),            x ~ p(x | z, y)
        guide:  y ~ q(y | x),    z ~ q(z | x, y)

    The ELBO sums over all K labels of an image, each with its q(y | x). Where the label is known, q(y | x) is certain
    of it, and the classifier learns from it: the loss has a further term, −α log q(y | x), with α =
    `classifier_weight`. Evaluation does not use labels. Kingma et al. (2014), Semi-supervised learning with deep
    generative models, arXiv:1406.5298, model M2.

    `model` and `guide` take y as rows (n, K): one-hot, or all 0 where the label is not known. -1 is no label.

    >>> config = Config(program="semi_supervised", hidden=(16,))
    >>> program = build(config, (1, 8, 8), classes=3)
    >>> program.classify(torch.rand(5, 1, 8, 8)).shape, program.generate(y=torch.tensor([0, 2])).shape
    (torch.Size([5, 3]), torch.Size([2, 1, 8, 8]))
    """

    label, supervised = "y", True
    reads = ("labelled", "labelled_batch")  # the data hide the other labels, and batches hold more of the known ones

    def __init__(
        self,
        network: Network,
        likelihood: Likelihood,
        make_posterior: Callable[[int, int], nn.Module],
        make_prior: Callable[[int, nn.Module, nn.Module], nn.Module],
        latent_dim: int,
        classes: int,
        classifier_weight: float = 50.0,
    ) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"program semi_supervised: expected images with two classes or more, got {classes}")
        if not isinstance(latent_dim, int):
            raise ValueError(f"latent_dim: expected one number for program semi_supervised, got {as_text(latent_dim)}")
        self.encoder = network.encoder((classes,))
        self.decoder = network.decoder(latent_dim, likelihood.features, (classes,))
        body = network.encoder()
        self.classifier = nn.Sequential(body, nn.Linear(body.features, classes))
        self.posterior = make_posterior(self.encoder.features, latent_dim)
        self.prior = make_prior(latent_dim, self.encoder, self.posterior)
        if isinstance(self.prior, EncodedMixture):
            raise ValueError(
                "prior: expected one that encodes no images, as program semi_supervised encodes with labels"
            )
        self.likelihood, self.features = likelihood, likelihood.features
        self.has_kl = getattr(self.posterior, "density", True)
        self.classes, self.classifier_weight = classes, classifier_weight
        self.register_buffer("equal", torch.full((classes,), 1 / classes), persistent=False)

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None. The guide sets y where it is known."""
        with pyro.plate("images", n if x is None else len(x)):
            y = pyro.sample("y", dist.OneHotCategorical(self.equal))
            z = pyro.sample("z", self.prior())
            return pyro.sample("x", self.likelihood(self.decoder(z, y)), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the label, which is summed over, and the code of each image."""
        with pyro.plate("images", len(x)):
            y = draw_label(self.classifier(x), y, self.classifier_weight)
            return pyro.sample("z", self.posterior(self.encoder(x, y)))

    def learned_from(self, x: Tensor, labels: Tensor | None) -> Tensor | None:
        return None if labels is None else Label(self.classes)(labels.to(self.device))
