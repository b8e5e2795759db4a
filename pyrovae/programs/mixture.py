"""Codes that come from one of several clusters: classes are found without labels."""

import warnings

import pyro
import pyro.distributions as dist
import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn

from pyrovae.errors import InputError
from pyrovae.parts.likelihoods import Likelihood
from pyrovae.program import Program

STARTS = 5  # runs of EM
SMALLEST = 1e-4  # added to the variances, so that no cluster shrinks to a point


class Cluster(dist.OneHotCategorical):
    """A one-hot choice whose log-probability is a sum over logits: torch compiles no look-up in those of a cluster."""

    def log_prob(self, value: Tensor) -> Tensor:
        return (self.logits * value).sum(-1)


class Mixture(Program):
    r"""A VAE that sorts images into clusters.

        model:  c ~ π,              z ~ N(z; μ_c, L_c L_cᵀ),                            x ~ p(x | z)
        guide:  z ~ q(z | x),       c ~ p(c | z) = π_c N(z; μ_c, L_c L_cᵀ) / Σ_k π_k N(z; μ_k, L_k L_kᵀ)

    The guide's c is the model's own posterior, and the ELBO sums over it: no better q(c | z) exists. Jiang et al.
    (2017), Variational deep embedding, arXiv:1611.05148; there L_c is diagonal.

    Clusters that are learned from the start find few classes. So all of them are N(0, I) for `pretraining` epochs, as
    in a VAE; then they are set to those of a mixture that is fitted to codes of training images (`fit_codes`), and
    from then on they are learned.

    >>> program = build(Config(program="mixture", clusters=3, hidden=(16,)), (1, 8, 8))
    >>> program.classify(torch.rand(5, 1, 8, 8)).shape, program.generate(y=torch.tensor([0, 2])).shape
    (torch.Size([5, 3]), torch.Size([2, 1, 8, 8]))
    """

    fitted: Tensor
    label = "c"
    reads = ("pretraining",)

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        posterior: nn.Module,
        likelihood: Likelihood,
        latent_dim: int,
        clusters: int = 10,
    ) -> None:
        super().__init__()
        if not getattr(posterior, "density", True):
            raise ValueError("posterior: expected one that is a density for program mixture")
        self.encoder, self.decoder = encoder, decoder
        self.posterior, self.likelihood = posterior, likelihood
        self.features, self.classes = likelihood.features, clusters
        self.register_buffer("fitted", torch.zeros(()))  # 1 after `fit_codes`; until then clusters are N(0, I)
        self.logits = nn.Parameter(torch.zeros(clusters))
        self.loc = nn.Parameter(torch.zeros(clusters, latent_dim))
        self.lower = nn.Parameter(torch.zeros(clusters, latent_dim, latent_dim))  # L, with the log of its diagonal

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None."""
        with pyro.plate("images", n if x is None else len(x)):
            c = pyro.sample("c", Cluster(logits=self.log_weights))
            z = pyro.sample("z", self.gaussians(c))
            return pyro.sample("x", self.likelihood(self.decoder(z)), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the code of each image, and its cluster, which is summed over."""
        with pyro.plate("images", len(x)):
            z: Tensor = pyro.sample("z", self.posterior(self.encoder(x)))
            logits = self.log_weights + self.gaussians().log_prob(z[..., None, :])  # (..., n, clusters)
            pyro.sample("c", Cluster(logits=logits), infer={"enumerate": "parallel"})
            return z

    @property
    def log_weights(self) -> Tensor:
        """Return log π, up to a constant."""
        return self.fitted * self.logits

    def gaussians(self, c: Tensor | None = None) -> TorchDistribution:
        """Return p(z | c) for one-hot rows c (..., clusters), or for each of the clusters."""
        loc, lower = self.fitted * self.loc, self.fitted * self.lower
        lower = lower.tril(-1) + torch.diag_embed(lower.diagonal(dim1=-2, dim2=-1).exp())
        if c is not None:  # summed, not indexed, which torch does not compile; nor multiplied, in bfloat16 for instance
            loc, lower = (c[..., None] * loc).sum(-2), (c[..., None, None] * lower).sum(-3)
        return dist.MultivariateNormal(loc, scale_tril=lower)

    def code_distributions(self, x: Tensor, y: Tensor | None = None) -> tuple[TorchDistribution, TorchDistribution]:
        """Return q(z | x), and p(z) = Σ_c π_c N(z; μ_c, L_c L_cᵀ), without a cluster being chosen."""
        with torch.no_grad():
            prior = dist.MixtureSameFamily(dist.Categorical(logits=self.log_weights), self.gaussians())
            return self.code_distribution(x, y), prior.expand([len(x)])

    @property
    def numbers(self) -> int:
        """About how many numbers scoring one code takes: evaluation needs to know, to stay in memory."""
        return self.lower.numel()

    @torch.no_grad()
    def fit_codes(self, z: Tensor) -> None:
        """Set the clusters to a mixture of Gaussians, fitted to codes z (n, latent) by EM: the best of several starts.

        Raises `InputError` if there are fewer codes than clusters.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
        from threadpoolctl import threadpool_limits

        if len(z) < self.classes:
            raise InputError(f"clusters: expected at most {len(z)}, one for each training image, got {self.classes}")
        seed = int(torch.randint(2**31, ()))
        mixture = GaussianMixture(self.classes, n_init=STARTS, reg_covar=SMALLEST, random_state=seed)
        with threadpool_limits(1), warnings.catch_warnings():  # sums of several threads differ from run to run
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(z.double().cpu().numpy())
        lower = torch.linalg.cholesky(torch.from_numpy(mixture.covariances_))
        self.fitted.fill_(1.0)
        self.logits.copy_(torch.from_numpy(mixture.weights_).log())
        self.loc.copy_(torch.from_numpy(mixture.means_))
        self.lower.copy_(lower.tril(-1) + torch.diag_embed(lower.diagonal(dim1=-2, dim2=-1).log()))
