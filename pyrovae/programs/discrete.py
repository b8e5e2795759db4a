"""A code of symbols."""

import math

import pyro
import torch
from pyro.poutine.runtime import InferDict
from torch import Tensor, nn

from pyrovae.parts.contexts import Context
from pyrovae.parts.likelihoods import Likelihood
from pyrovae.parts.networks.network import Network
from pyrovae.program import Program
from pyrovae.programs.symbols import RELAXATIONS, OneHotSymbols

MOST_CODES = 1024  # that are summed over


class Discrete(Program):
    r"""A VAE whose code is V symbols out of K each: V = `variables`, K = `symbols`.

        model:  z_v ~ 1/K,                        x ~ p(x | z, y)
        guide:  z_v ~ Categorical(π_v(x, y)),     v = 1, ..., V

    `gradient` says how the loss reaches π through a draw of z in training:

    - straight_through: ∂z/∂π = 1. Bengio, Léonard & Courville (2013), arXiv:1308.3432.
    - gumbel_softmax: z = softmax((log π + g) / τ), with Gumbel noise g. Jang, Gu & Poole (2017), arXiv:1611.01144.
    - straight_through_gumbel: the largest entry of that z becomes 1 and the others 0, with the gradient of before.
    - score_function: (log p(x, z) − log q(z)) ∂ log q(z), Pyro's; without bias, but with much noise.
    - enumeration: the sum over all K^V codes, in evaluation, too; exact, for at most 1,024 of them.

    τ goes from `temperature` to `temperature_end` by the same factor in each epoch. The KL is that of the categoricals,
    as in Jang et al., and not of relaxed densities, because the model has no others: in closed form by default where
    draws are relaxed, and at the draw with `--objective elbo`. Evaluation draws symbols, whatever the training, so that
    its ELBO and log p(x) are this model's.

    >>> program = build(Config(program="discrete", variables=4, symbols=3), (1, 8, 8))
    >>> program.sites(torch.rand(2, 1, 8, 8))["z"].event_shape, program.generate(5).shape
    ((4, 3), torch.Size([5, 1, 8, 8]))
    """

    code = None

    def __init__(
        self,
        network: Network,
        likelihood: Likelihood,
        variables: int = 20,
        symbols: int = 10,
        gradient: str = "gumbel_softmax",
        temperature: float = 1.0,
        temperature_end: float = 0.5,
        objective: str = "elbo",
        context: Context | None = None,
    ) -> None:
        super().__init__()
        few = variables * math.log2(symbols) <= math.log2(MOST_CODES)
        if gradient == "enumeration" and not few:
            raise ValueError(f"gradient: expected at most {MOST_CODES:,} codes to sum over, got {symbols}^{variables}")
        fitting = ("elbo",) if gradient in ("score_function", "enumeration") else ("elbo", "analytic")
        if objective not in fitting:
            raise ValueError(f"objective: expected {' or '.join(fitting)} for --gradient {gradient}, got {objective!r}")
        y = () if context is None else context.shape
        self.encoder = network.encoder(y)
        self.head = nn.Linear(self.encoder.features, variables * symbols)
        self.decoder = network.decoder(variables * symbols, likelihood.features, y)
        self.likelihood, self.context = likelihood, context
        self.gradient, self.gradients = gradient, (*RELAXATIONS, "score_function", *(["enumeration"] if few else []))
        self.features = likelihood.features * (symbols**variables if gradient == "enumeration" else 1)
        self.variables, self.symbols, self.temperatures = variables, symbols, (temperature, temperature_end)
        self.register_buffer("temperature", torch.tensor(temperature), persistent=False)

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None."""
        with pyro.plate("images", n if x is None else len(x)):
            log_p = self.head.weight.new_full((self.variables, self.symbols), -math.log(self.symbols))
            z = pyro.sample("z", OneHotSymbols(log_p))  # (n, V, K)
            return pyro.sample("x", self.likelihood(self.decoder(z.flatten(-2), y)), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the symbols of each image: in training as `gradient` says, else one-hot; or sum over them."""
        relaxation = self.gradient if self.training and self.gradient in RELAXATIONS else None
        infer: InferDict = {"enumerate": "parallel"} if self.gradient == "enumeration" else {}
        with pyro.plate("images", len(x)):
            logits = self.head(self.encoder(x, y)).unflatten(-1, (self.variables, self.symbols))
            q = OneHotSymbols(logits.log_softmax(-1), relaxation, self.temperature)
            return pyro.sample("z", q, infer=infer)

    def anneal(self, progress: float) -> None:
        start, end = self.temperatures
        self.temperature.fill_(start * (end / start) ** progress)
