"""Codecs: ways to write what a distribution draws in about as many bits as −log₂ of its probability.

A codec has `push`, which puts symbols, whole numbers, onto a stack of bits; `pop`, which takes bits off and returns the
symbols that they stand for; and `value`, what the symbols stand for in the distribution. Each of `push` and `pop`
undoes the other bit for bit, so that to pop random bits is to draw.

Who pops must compute the very numbers by which the other pushed. All are computed in float64 and `rounded`, so that
their last digits, which depend on the machine and the number of threads, make no difference.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from scipy.special import ndtr, stdtr

from pyrovae.errors import InputError

DIGITS = 16  # binary digits of each number that are kept
PRECISION = 24  # no symbol has a probability below 2^-24
RANGE = 16.0  # of the bins, to both sides of 0; the outermost go on to infinity


def constriction() -> Any:
    """Return the package of that name; raises `InputError` if it is not installed."""
    try:
        import constriction as package
    except ImportError:
        raise InputError(
            "compress: expected the package constriction, got none; pip install 'pyrovae[compress]'"
        ) from None
    return package


class Stack:
    """A stack of bits, as words of uint32 of which the last is on top: asymmetric numeral systems.

    Duda (2013), arXiv:1311.2540, by the package constriction: Bamler (2022), arXiv:2201.01741. `untouched` says how
    many words at the bottom were on it all the time.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._coder = constriction().stream.stack.AnsCoder(words)
        self.untouched = len(words)

    def push(self, symbols: np.ndarray, model: Any, *parameters: np.ndarray) -> None:
        self._coder.encode_reverse(symbols.ravel(), model, *parameters)

    def pop(self, model: Any, *parameters: Any) -> np.ndarray:
        symbols: np.ndarray = self._coder.decode(model, *parameters)
        self.untouched = min(self.untouched, self._coder.num_words() - 2)  # the two on top are the coder's state
        return symbols

    @property
    def words(self) -> np.ndarray:
        words: np.ndarray = self._coder.get_compressed()
        return words


def mixed(stack: Stack, count: int, key: bytes) -> None:
    """Mix `count` times 16 bits on top of the stack with random ones that follow from `key`; twice undoes it.

    What lies there has been pushed by one distribution. Popped by another, it would be no draw from that.
    """
    uniform = constriction().stream.model.Uniform(2**16)
    mask = np.frombuffer(hashlib.shake_256(key).digest(2 * count), "<u2").astype(np.int32)
    stack.push(stack.pop(uniform, count) ^ mask, uniform)


class Codec(Protocol):
    """What is said above; symbols are int32, of any shape."""

    def push(self, stack: Stack, symbols: np.ndarray) -> None: ...
    def pop(self, stack: Stack) -> np.ndarray: ...
    def value(self, symbols: np.ndarray) -> np.ndarray: ...


def rounded(values: np.ndarray) -> np.ndarray:
    """Return float64 numbers with 16 binary digits of each, whatever its size, in C order.

    >>> rounded(np.array([1 / 3, 1e-9 / 3])).tolist() == rounded(np.array([1 / 3, 1e-9 / 3]) * (1 + 1e-12)).tolist()
    True
    """
    mantissa, exponent = np.frexp(values)
    result = np.ldexp(np.round(mantissa * 2**DIGITS), exponent - DIGITS)
    return np.ascontiguousarray(result)  # constriction reads other orders as if they were this one


class Table:
    """The codec of n symbols 0, 1, ..., K − 1 by their probabilities (n, K), which need not be normalised.

    They are shaped as `shape` says. If `one_hot`, the value of a symbol is a vector (K,) with one 1.
    """

    def __init__(self, probabilities: np.ndarray, shape: tuple[int, ...], one_hot: bool = False) -> None:
        if not (np.isfinite(probabilities).all() and probabilities.any(-1).all()):
            raise FloatingPointError("compress: expected finite probabilities, got others; the weights may be damaged")
        self.shape, self.one_hot, self._probabilities = shape, one_hot, rounded(probabilities)
        self._model = constriction().stream.model.Categorical(perfect=False)

    def push(self, stack: Stack, symbols: np.ndarray) -> None:
        stack.push(symbols, self._model, self._probabilities)

    def pop(self, stack: Stack) -> np.ndarray:
        return stack.pop(self._model, self._probabilities).reshape(self.shape)

    def value(self, symbols: np.ndarray) -> np.ndarray:
        value: np.ndarray = np.eye(self._probabilities.shape[-1])[symbols] if self.one_hot else symbols.astype(float)
        return value


def _laplace(t: np.ndarray) -> np.ndarray:
    masses: np.ndarray = np.where(t < 0, 0.5 * np.exp(np.minimum(t, 0)), 1 - 0.5 * np.exp(-np.maximum(t, 0)))
    return masses


# Distribution functions of families with a location and a scale, symmetric about 0, of the standard one.
FAMILIES: dict[str, Callable[..., np.ndarray]] = {
    "Normal": ndtr,
    "Laplace": _laplace,
    "StudentT": lambda t, df: stdtr(df, t),
}


class Bins:
    """2^`bits` bins of the line, of equal width from −16 to 16, the outermost open; each stands for its middle.

    They are the same for every distribution, so that a latent may have one in the model and another in the guide.
    A bin is coded in two steps, first the half of its digits that says about where it is, and then the rest: of so many
    bins at once, those that are all but impossible would have too much probability together, each 2^-24.
    """

    def __init__(self, bits: int) -> None:
        self.fine, self.coarse, self.width = 2 ** (bits // 2), 2 ** (bits - bits // 2), 2 * RANGE / 2**bits

    def middles(self, bins: np.ndarray) -> np.ndarray:
        middles: np.ndarray = (bins + 0.5) * self.width - RANGE
        return middles

    def edges(self, bins: np.ndarray) -> np.ndarray:
        """Return the lower edges of these bins, from −∞; there is one more bin than there are, from ∞."""
        inner = (bins > 0) & (bins < self.fine * self.coarse)
        return np.where(inner, bins * self.width - RANGE, np.where(bins > 0, np.inf, -np.inf))


class Elementwise:
    """The codec of D independent numbers, by a family and its parameters, each (D,); shaped by `shape`, or (D,)."""

    def __init__(self, bins: Bins, family: str, *parameters: np.ndarray, shape: tuple[int, ...] = (-1,)) -> None:
        self.bins, self.cdf, self.shape = bins, FAMILIES[family], shape
        self.loc, self.scale, *self.more = (rounded(each)[:, None] for each in parameters)

    def push(self, stack: Stack, symbols: np.ndarray) -> None:
        coarse, fine = np.divmod(symbols, self.bins.fine)
        self._fine(coarse).push(stack, fine)
        self._coarse().push(stack, coarse)

    def pop(self, stack: Stack) -> np.ndarray:
        coarse = self._coarse().pop(stack)
        symbols: np.ndarray = coarse * np.int32(self.bins.fine) + self._fine(coarse).pop(stack)
        return symbols

    def value(self, symbols: np.ndarray) -> np.ndarray:
        return self.bins.middles(symbols).reshape(self.shape)

    def _coarse(self) -> Table:
        return self._table(np.arange(self.bins.coarse + 1)[None] * self.bins.fine)

    def _fine(self, coarse: np.ndarray) -> Table:
        return self._table(coarse[:, None] * self.bins.fine + np.arange(self.bins.fine + 1))

    def _table(self, bins: np.ndarray) -> Table:
        """Return the codec of intervals between the edges of these bins (D or 1, K + 1), by their masses."""
        t = (self.bins.edges(bins) - self.loc) / self.scale
        low, high = t[:, :-1], t[:, 1:]
        upper = low > 0  # there the distribution function is near 1 and has few digits: take the mirror image
        masses = self.cdf(np.where(upper, -low, high), *self.more) - self.cdf(np.where(upper, -high, low), *self.more)
        masses = np.where(masses.any(-1, keepdims=True), masses, 1.0)  # all too far out to tell
        return Table(masses, (len(masses),))


class Correlated:
    """The codec of a vector (D,) by N(μ, L Lᵀ), each dimension given those before it; `lower` is L.

    z_j given those is normal with mean μ_j + Σ_{i<j} L_ji ε_i and scale L_jj, where ε_j = (z_j − mean) / L_jj.
    """

    def __init__(self, bins: Bins, loc: np.ndarray, lower: np.ndarray) -> None:
        self.bins, self.loc, self.lower = bins, loc, lower

    def push(self, stack: Stack, symbols: np.ndarray) -> None:
        noise = np.zeros_like(self.loc)
        dimensions = []
        for j in range(len(noise)):
            dimensions.append(self._given(j, noise))
            noise[j] = self._noise(dimensions[j], symbols[j])
        for j in reversed(range(len(noise))):
            dimensions[j].push(stack, symbols[j : j + 1])

    def pop(self, stack: Stack) -> np.ndarray:
        symbols, noise = np.zeros(len(self.loc), np.int32), np.zeros_like(self.loc)
        for j in range(len(noise)):
            dimension = self._given(j, noise)
            symbols[j : j + 1] = dimension.pop(stack)
            noise[j] = self._noise(dimension, symbols[j])
        return symbols

    def value(self, symbols: np.ndarray) -> np.ndarray:
        return self.bins.middles(symbols)

    def _given(self, j: int, noise: np.ndarray) -> Elementwise:
        mean = self.loc[j] + self.lower[j, :j] @ noise[:j]
        return Elementwise(self.bins, "Normal", np.array([mean]), self.lower[j, j : j + 1])

    def _noise(self, dimension: Elementwise, symbol: np.ndarray) -> float:
        return float((self.bins.middles(symbol) - dimension.loc[0, 0]) / dimension.scale[0, 0])


class Mixture:
    """The codec of a vector (D,) by Σₖ πₖ N(μₖ, diag σₖ²): bits back again, with the part k as the latent.

    `weights` are log πₖ (K,), `loc` and `scale` (K, D). As p(k | z) is exact, this costs −log₂ p(z) and no more.
    """

    def __init__(self, bins: Bins, weights: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> None:
        self.bins, self.weights, self.loc, self.scale = bins, weights, loc, scale

    def push(self, stack: Stack, symbols: np.ndarray) -> None:
        k = self._given(symbols).pop(stack)
        self._part(k).push(stack, symbols)
        self._parts.push(stack, k)

    def pop(self, stack: Stack) -> np.ndarray:
        k = self._parts.pop(stack)
        symbols = self._part(k).pop(stack)
        self._given(symbols).push(stack, k)
        return symbols

    def value(self, symbols: np.ndarray) -> np.ndarray:
        return self.bins.middles(symbols)

    @property
    def _parts(self) -> Table:
        return Table(np.exp(self.weights)[None], (1,))

    def _part(self, k: np.ndarray) -> Elementwise:
        return Elementwise(self.bins, "Normal", self.loc[k[0]], self.scale[k[0]])

    def _given(self, symbols: np.ndarray) -> Table:
        noise = (self.bins.middles(symbols) - self.loc) / self.scale
        log_p = self.weights - (0.5 * noise**2 + np.log(self.scale)).sum(-1)
        return Table(np.exp(log_p - log_p.max())[None], (1,))
