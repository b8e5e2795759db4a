"""Codecs: push and pop undo each other, cost −log₂ of a probability, and draw from random bits."""

import sys

import numpy as np
import pytest
from scipy import stats

from pyrovae import InputError
from pyrovae.inference.codecs import Bins, Correlated, Elementwise, Mixture, Stack, Table, mixed

pytest.importorskip("constriction")
BINS, RANDOM = Bins(14), np.random.default_rng(0)
LOWER = np.array([[0.5, 0, 0], [0.3, 0.2, 0], [-0.7, 0.4, 0.1]])
LOC, SCALE = np.array([0.3, -1.0, 2.0]), np.array([0.5, 0.05, 1.5])
PARTS = (np.log([0.2, 0.8]), np.stack([LOC, LOC + 3]), np.stack([SCALE, SCALE]))


def log_mixture(z):
    each = [stats.norm(loc, SCALE).logpdf(z).sum(-1) for loc in PARTS[1]]
    return np.logaddexp(*(weight + log_p for weight, log_p in zip(PARTS[0], each)))


CODECS = {  # of vectors, with their log-densities
    "normal": (Elementwise(BINS, "Normal", LOC, SCALE), lambda z: stats.norm(LOC, SCALE).logpdf(z).sum(-1)),
    "laplace": (Elementwise(BINS, "Laplace", LOC, SCALE), lambda z: stats.laplace(LOC, SCALE).logpdf(z).sum(-1)),
    "student_t": (
        Elementwise(BINS, "StudentT", LOC, SCALE, np.full(3, 5.0)),
        lambda z: stats.t(5, LOC, SCALE).logpdf(z).sum(-1),
    ),
    "correlated": (Correlated(BINS, LOC, LOWER), stats.multivariate_normal(LOC, LOWER @ LOWER.T).logpdf),
    "mixture": (Mixture(BINS, *PARTS), log_mixture),
}


def random_stack(words=4000):
    return Stack(RANDOM.integers(1, 2**32, words, dtype=np.uint32))


def bits(stack):
    return stack._coder.num_valid_bits()


@pytest.mark.parametrize("name", CODECS)
def test_push_undoes_pop_and_costs_what_the_density_says(name):
    codec, log_density = CODECS[name]
    stack = random_stack()
    before, start, drawn = stack.words, bits(stack), []
    for _ in range(300):
        drawn.append(codec.pop(stack))
    cost = (start - bits(stack)) / 300
    z = np.stack([codec.value(symbols) for symbols in drawn])
    expected = -np.mean(log_density(z)) / np.log(2) - 3 * np.log2(BINS.width)  # of a bin: its density times its width
    assert cost == pytest.approx(expected, abs=0.03)
    for symbols in reversed(drawn):
        codec.push(stack, symbols)
    np.testing.assert_array_equal(stack.words, before)


@pytest.mark.parametrize(("family", "law"), [("Normal", stats.norm), ("Laplace", stats.laplace)])
def test_random_bits_pop_draws(family, law):
    codec = Elementwise(BINS, family, np.full(3000, 0.7), np.full(3000, 0.3))
    z = codec.value(codec.pop(random_stack()))
    assert stats.kstest(z, law(0.7, 0.3).cdf).pvalue > 0.01


@pytest.mark.parametrize("loc", [-1e6, -16.0, 15.999, 40.0, 1e6])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_what_lies_far_out_is_coded_too(loc, scale):
    codec = Elementwise(BINS, "Normal", np.full(4, loc), np.full(4, scale))
    stack, symbols = random_stack(), np.array([0, 1, 8000, 2**14 - 1], np.int32)
    codec.push(stack, symbols)
    np.testing.assert_array_equal(codec.pop(stack), symbols)


def test_a_table_costs_its_probabilities():
    probabilities = RANDOM.random((2000, 5))
    table = Table(probabilities, (40, 50))
    stack, symbols = random_stack(), RANDOM.integers(0, 5, (40, 50), dtype=np.int32)
    start = bits(stack)
    table.push(stack, symbols)
    chosen = (probabilities / probabilities.sum(-1, keepdims=True))[np.arange(2000), symbols.ravel()]
    assert bits(stack) - start == pytest.approx(-np.log2(chosen).sum(), rel=1e-3)
    np.testing.assert_array_equal(table.pop(stack), symbols)


def test_a_table_in_another_order_of_memory_is_the_same():
    probabilities = RANDOM.random((200, 5))
    stack, other = Stack(np.arange(1, 99, dtype=np.uint32)), Stack(np.arange(1, 99, dtype=np.uint32))
    symbols = np.zeros(200, np.int32)
    Table(probabilities, (200,)).push(stack, symbols)
    Table(np.asfortranarray(probabilities), (200,)).push(other, symbols)
    np.testing.assert_array_equal(stack.words, other.words)


def test_mixed_bits_are_mixed_back():
    stack = Stack(np.full(50, 2**31, np.uint32))
    mixed(stack, 20, b"a")
    assert len({*stack.words[-11:].tolist()}) > 5
    mixed(stack, 20, b"a")
    np.testing.assert_array_equal(stack.words, np.full(50, 2**31, np.uint32))


def test_probabilities_that_are_not_finite_are_an_error():
    with pytest.raises(FloatingPointError, match="expected finite probabilities"):
        Table(np.array([[np.nan, 1.0]]), (1,))


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(InputError, match=r"^compress: expected the package constriction.* 'pyrovae\[compress\]'$"):
        Stack(np.ones(3, np.uint32))
