"""The exemplar prior: a mixture around the codes of training images."""

import contextlib
import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, TransformedDistribution

from pyrovae.errors import InputError
from pyrovae.parts.densities import log_equal_mixture, log_normal
from pyrovae.parts.kinds import Kind
from pyrovae.parts.networks.network import Encoder
from pyrovae.parts.priors.encoded_mixture import EncodedMixture
from pyrovae.parts.priors.equal_mixture import EqualMixture
from pyrovae.parts.priors.levels import Levels, Values


class Exemplar(EncodedMixture):
    r"""p(z) = 1/N Σ N(z; μ(x_n), σ² I): μ the mean of the guide's posterior, x_n `components` training images.

    The prior itself learns only σ, one scalar. A training step encodes `subset` exemplars, drawn anew. Their mixture
    has a log-density that is, in expectation, below that of the mixture of all, so the objective stays a bound. In
    evaluation mode all exemplars count, without gradient, and their means are computed once for as long as the weights
    stay the same. The images are part of the weights, so a saved model draws without the dataset.

    The paper leaves an image out of its own prior. Here an exemplar may meet itself in a training step, with
    probability `subset`/N; as one component of `subset` it then saves at most KL − log `subset` nats. Test images are
    never exemplars, so their scores gain nothing. Norouzi, Fleet & Norouzi (2020), Exemplar VAE, arXiv:2004.04795.
    """

    formula = "1/K Σₖ N(z; μ(xₖ), σ² I)\nμ(xₖ) the mean of q at training image xₖ"
    about = (
        "The prior is the average of equal normal distributions around the codes of training images: other"
        " codes gather near those."
    )
    subset = 500

    def __init__(
        self,
        shape: tuple[int, ...],
        context: tuple[int, ...],
        components: int,
        encoder: Encoder,
        posterior: nn.Module,
        missing: bool = False,
        conditions: Sequence[Kind] = (),
    ) -> None:
        super().__init__(encoder, posterior)
        self.images = (Levels if len(shape) == 3 and not missing else Values)(components, shape)
        self.contexts = (Values if conditions else Levels)(components, context) if context else None
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.cache: tuple[list[Tensor], Tensor] | None = None  # weights, and the means of all exemplars under them

    def stored(self) -> tuple[Levels | Values, Levels | Values | None]:
        return self.images, self.contexts

    def forward(self, y: Tensor | None = None) -> EqualMixture:
        return EqualMixture(self._some_means() if self.training else self._all_means(), self.log_scale.exp())

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        """Return the log-density under all exemplars, as in evaluation mode."""
        means, scale = self._all_means(), self.log_scale.exp()
        return log_equal_mixture(lambda code: log_normal(code, means, scale).sum(-1), len(means), z)

    def _some_means(self) -> Tensor:
        n = len(self.images)
        if n <= self.subset:
            return self._means(slice(None))
        return self._means(torch.randperm(n, device=self.log_scale.device)[: self.subset])

    @torch.no_grad()
    def _all_means(self) -> Tensor:
        with _tracing_off():  # a graph that is being traced takes the means as a constant
            weights = self._weights()
            if self.cache is None or not all(map(_same, self.cache[0], weights)):
                n = len(self.images) if self.started else 1  # before the start all images are blank: one is enough
                parts = [self._means(slice(i, min(i + self.subset, n))) for i in range(0, n, self.subset)]
                self.cache = ([tensor.clone() for tensor in weights], torch.cat(parts))
            return self.cache[1]

    def _weights(self) -> list[Tensor]:
        """Return the tensors that the means depend on.

        They are compared by value, because a fused optimizer does not raise a tensor's version counter.
        """
        return [tensor for part in self.shared for tensor in part.state_dict().values()] + [self.started]

    def _means(self, rows: Tensor | slice) -> Tensor:
        return _mean(self.encoded(self.images[rows], self.contexts[rows] if self.contexts else None))

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        self.cache = None  # the exemplars may be others under the same weights
        super()._load_from_state_dict(*args, **kwargs)


def _mean(q: Distribution) -> Tensor:
    """Return the mean of a posterior; for a flow, the point to which it moves the mean of its base."""
    base, transforms = (q.base_dist, q.transforms) if isinstance(q, TransformedDistribution) else (q, [])
    try:
        z = base.mean
    except NotImplementedError:
        raise InputError(
            "prior exemplar: expected a posterior whose mean is known, as diagonal, lowrank, full or flow,"
            f" got {type(base).__name__}"
        ) from None
    for transform in transforms:
        z = transform(z)
    return z


def _tracing_off() -> contextlib.AbstractContextManager[object]:
    """Keep operations inside the block out of a traced graph. If the tracing module is not imported, nothing traces."""
    tracing = sys.modules.get("torch.fx.experimental.proxy_tensor")  # slow to import, so not imported here
    return tracing.disable_proxy_modes_tracing() if tracing else contextlib.nullcontext()


def _same(a: Tensor, b: Tensor) -> bool:
    return a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
