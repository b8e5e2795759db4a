"""The codecs of the distributions that the sites of programs have."""

import math
from typing import Any

import numpy as np
import torch
from pyro.distributions.torch_distribution import ExpandedDistribution
from torch import Tensor
from torch.distributions import (
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    constraints,
)

from pyrovae.errors import InputError
from pyrovae.inference.codecs import FAMILIES, Bins, Codec, Correlated, Elementwise, Mixture, Stack, Table

MOST_VALUES = 2**16  # of a pixel, or of a symbol: each has a probability of 2^-24 or more


def codec_of(name: str, fn: Any, bins: Bins, values: int) -> Codec:
    """Return the codec of a site's distribution, of batch shape (1,); counts without a largest one are below `values`.

    Raises `InputError` for a family that has none.
    """
    fn = fn.base_dist if isinstance(fn, ExpandedDistribution) else fn
    element = elements_of(fn)
    if isinstance(fn, MultivariateNormal | LowRankMultivariateNormal):
        return Correlated(bins, _array(fn.loc)[0], _array(fn.scale_tril)[0])
    if isinstance(fn, MixtureSameFamily) and isinstance(elements_of(fn.component_distribution), Normal):
        parts, weights = elements_of(fn.component_distribution), fn.mixture_distribution.logits.log_softmax(-1)
        loc, scale = (_array(each).reshape(-1, *fn.event_shape) for each in (parts.loc, parts.scale))
        return Mixture(bins, _array(weights).reshape(-1), loc, scale)
    if getattr(fn.support, "base_constraint", fn.support) is constraints.one_hot:
        probabilities = _array(fn.mean)[0]
        return Table(probabilities.reshape(-1, probabilities.shape[-1]), probabilities.shape[:-1], one_hot=True)
    if (family := type(element).__name__) in FAMILIES:
        names = ("loc", "scale", "df") if family == "StudentT" else ("loc", "scale")
        parameters = (_array(getattr(element, each).expand(element.batch_shape))[0].ravel() for each in names)
        return Elementwise(bins, family, *parameters, shape=tuple(fn.event_shape))
    if element is not None and fn.event_shape and element.support.is_discrete:
        most = most_of(fn)
        return Pixels(element, values if most is None else most + 1)
    raise InputError(
        f"compress: expected the site {name!r} to be independently normal, laplace or student_t, a Gaussian, a mixture"
        f" of independent ones, or symbols, got {type(fn if element is None else element).__name__}"
    )


def most_of(fn: Any) -> int | None:
    """Return the largest value that an element of the image's distribution may take, None if there is no largest one.

    Raises `InputError` unless it is a mass function of independent elements.
    """
    element = elements_of(fn)
    support = None if element is None else element.support
    if support is None or not support.is_discrete:
        raise InputError(
            "compress: expected a likelihood that is a mass function of each pixel, got"
            f" {type(fn if element is None else element).__name__}: a density, or a relaxed score, does not say how"
            " many bits an image takes; --pixels bytes, dynamic, static and threshold have such, and tables of counts"
        )
    if isinstance(support, type(constraints.boolean)):
        return 1
    most = float(torch.as_tensor(getattr(support, "upper_bound", math.inf)).max())
    return int(most) if most < MOST_VALUES else None


def elements_of(fn: Any) -> Any:
    """Return the distribution of the elements of a number, a vector or an image; None if they are not independent."""
    base = fn.base_dist if isinstance(fn, Independent) else fn
    return None if base.event_shape or isinstance(base, MixtureSameFamily) else base


class Pixels:
    """The codec of an image by the distribution of its pixels, (1, *shape), each with the `values` 0, 1, ....

    If channels depend on one another, as those of a `LinkedMixture` do, each is coded given those before it.
    """

    def __init__(self, pixels: Any, values: int) -> None:
        self.pixels, self.values, self.shape = pixels, values, tuple(pixels.batch_shape[1:])
        linked = getattr(pixels, "links", None) is not None
        self.parts = [slice(c, c + 1) for c in range(self.shape[0])] if linked else [slice(None)]

    def push(self, stack: Stack, symbols: np.ndarray) -> None:
        for part in reversed(self.parts):
            self._table(symbols, part).push(stack, symbols[part])

    def pop(self, stack: Stack) -> np.ndarray:
        symbols = np.zeros(self.shape, np.int32)
        for part in self.parts:
            symbols[part] = self._table(symbols, part).pop(stack)
        return symbols

    def value(self, symbols: np.ndarray) -> np.ndarray:
        return symbols.astype(float)

    def _table(self, symbols: np.ndarray, part: slice) -> Table:
        """Return the codec of a part of the pixels, of which those before it are known."""
        ones = [1] * len(self.shape)
        each = torch.from_numpy(symbols).double().repeat(self.values, *ones)  # (values, *shape)
        each[:, part] = torch.arange(self.values, dtype=torch.float64).view(-1, *ones)
        log_p: Tensor = self.pixels.log_prob(each)[:, part]
        probabilities = (log_p - log_p.max(0).values).exp()
        return Table(_array(probabilities.flatten(1).T), tuple(log_p.shape[1:]))


def _array(values: Tensor) -> np.ndarray:
    array: np.ndarray = values.detach().double().numpy()
    return array
