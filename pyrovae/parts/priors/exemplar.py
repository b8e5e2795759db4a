"""A mixture around training images' codes."""

import contextlib
import math
import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import TransformedDistribution

from pyrovae.errors import InputError
from pyrovae.parts.densities import log_normal
from pyrovae.parts.priors.equal_mixture import EqualMixture


class Exemplar(nn.Module):
    r"""p(z) = 1/N Σ N(z; μ(x_n), σ² I): μ the mean of the guide's posterior, x_n `components` training images.

    Only σ is learned here, one scalar. A training step encodes `subset` exemplars, drawn afresh: the log of their mean
    is, in expectation, below that of all, so the objective stays a bound. In evaluation mode all are used, without
    gradient, and their means are kept for as long as the weights stay the same. Given a context, each exemplar has that
    of its image, so that p(z) is the same for every y. The images are part of the weights: a saved model draws without
    the data.

    The paper leaves an image out of its own prior. Here it may meet itself in a training step, with probability
    `subset`/N if it is an exemplar at all; as one of `subset` it then saves at most KL − log `subset` nats, and of test
    images, of which none is an exemplar, nothing. Norouzi, Fleet & Norouzi (2020), Exemplar VAE, arXiv:2004.04795.
    """

    formula = "1/K Σₖ N(z; μ(xₖ), σ² I)\nμ(xₖ) the mean of q at training image xₖ"
    about = (
        "The prior is the average of equal normal distributions around the codes of training images: other"
        " codes gather near those."
    )
    subset = 500
    started: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        context: tuple[int, ...],
        components: int,
        encoder: nn.Module,
        posterior: nn.Module,
    ) -> None:
        super().__init__()
        self.images = Levels(components, shape)
        self.contexts = Levels(components, context) if context else None
        self.register_buffer("started", torch.tensor(False))
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.shared = (encoder, posterior)  # in a tuple, as they are parts of the VAE and not of its prior
        self.kept: tuple[list[Tensor], Tensor] | None = None  # means of all, and the weights they come from

    def initialise(self, x: Tensor, y: Tensor | None = None) -> None:
        """Take these images (components, C, H, W) and their contexts as exemplars; a trained prior keeps its own."""
        if self.started:
            return
        self.started.fill_(True)
        self.images.hold(x)
        if self.contexts is not None and y is not None:
            self.contexts.hold(y)
        self.kept = None

    def forward(self, y: Tensor | None = None) -> EqualMixture:
        return EqualMixture(self._drawn() if self.training else self._all(), self.log_scale.exp())

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        """With all exemplars."""
        means, scale = self._all(), self.log_scale.exp()
        scores = [log_normal(code, means, scale).sum(-1).logsumexp(-1) for code in z]
        return torch.stack(scores) - math.log(len(means))

    def _drawn(self) -> Tensor:
        n = len(self.images)
        if n <= self.subset:
            return self._means(slice(None))
        return self._means(torch.randperm(n, device=self.log_scale.device)[: self.subset])

    @torch.no_grad()
    def _all(self) -> Tensor:
        with _outside_graphs():  # a graph in which it is called takes the means as they are
            return self._kept_means()

    def _kept_means(self) -> Tensor:
        weights = self._weights()
        if self.kept is None or not all(map(_same, self.kept[0], weights)):
            n = len(self.images) if self.started else 1  # before the start all are blank, and one is as good
            parts = [self._means(slice(i, min(i + self.subset, n))) for i in range(0, n, self.subset)]
            self.kept = ([tensor.clone() for tensor in weights], torch.cat(parts))
        return self.kept[1]

    def _weights(self) -> list[Tensor]:
        """By value: a fused optimizer changes a tensor without a new version of it."""
        return [tensor for part in self.shared for tensor in part.state_dict().values()] + [self.started]

    def _means(self, rows: Tensor | slice) -> Tensor:
        encoder, posterior = self.shared
        return _centre(posterior(encoder(self.images[rows], self.contexts[rows] if self.contexts else None)))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.kept = None  # of other exemplars
        super()._load_from_state_dict(*args, **kwargs)


class Levels(nn.Module):
    """Images of at most 256 levels, whatever these are: held as bytes, exactly."""

    bytes: Tensor
    levels: Tensor

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("bytes", torch.zeros(n, *shape, dtype=torch.uint8))
        self.register_buffer("levels", torch.zeros(256))

    def __len__(self) -> int:
        return len(self.bytes)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        return self.levels[self.bytes[rows].int()]

    def hold(self, images: Tensor) -> None:
        levels = images.unique()
        if len(levels) > len(self.levels):
            raise InputError(f"prior exemplar: expected images of at most 256 levels, got {len(levels)}")
        self.levels[: len(levels)] = levels
        for held, part in zip(self.bytes.split(1000), images.split(1000)):
            held.copy_(torch.bucketize(part, levels))


def _centre(q: torch.distributions.Distribution) -> Tensor:
    """The mean; of a flow, the bent mean of its base."""
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


def _outside_graphs() -> contextlib.AbstractContextManager[Any]:
    """Nothing inside is traced. What traces is slow to import, and only then there."""
    proxies = sys.modules.get("torch.fx.experimental.proxy_tensor")
    return proxies.disable_proxy_modes_tracing() if proxies else contextlib.nullcontext()


def _same(a: Tensor, b: Tensor) -> bool:
    return a.device == b.device and a.dtype == b.dtype and torch.equal(a, b)
