"""Scores in float32 are those of arithmetic with 50 digits, also where the parameters are very large or small."""

import itertools

import mpmath
import pytest
import torch

from pyrovae.parts.distributions import LogNegativeBinomial, LogPoisson, StableBeta, StudentT, stirling

mpmath.mp.dps = 50
EPS = torch.finfo(torch.float32).eps


def exact(function, *arguments):
    """Apply a function of mpmath to each row of tensors, as the float32 numbers that they are."""
    rows = zip(*(argument.double().tolist() for argument in torch.broadcast_tensors(*arguments)))
    return torch.tensor([float(function(*map(mpmath.mpf, row))) for row in rows], dtype=torch.float64)


def grid(*axes):
    return torch.tensor([*itertools.product(*axes)]).unbind(-1)


def negative_binomial(x, log_mean, log_r):
    mean, r = mpmath.exp(log_mean), mpmath.exp(log_r)
    ways = mpmath.loggamma(x + r) - mpmath.loggamma(r) - mpmath.loggamma(x + 1)
    return ways + x * mpmath.log(mean / (mean + r)) + r * mpmath.log(r / (mean + r))


def expect_close(result, expected, terms, each):
    """The error is that of rounding numbers as large as `terms` a few times, or `each`, a share of the result."""
    error = (result.double() - expected).abs()
    allowed = 20 * EPS * terms + each * expected.abs() + 1e-6
    worst = (error / allowed).argmax()
    assert error[worst] <= allowed[worst], (int(worst), float(result[worst]), float(expected[worst]))


def test_what_stirlings_formula_leaves_out():
    a = torch.logspace(-6, 12, 200, dtype=torch.float64)
    expected = exact(lambda a: mpmath.loggamma(a) - (a - 0.5) * mpmath.log(a) + a - mpmath.log(2 * mpmath.pi) / 2, a)
    torch.testing.assert_close(stirling(a), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(stirling(a.float()).double(), expected, rtol=1e-5, atol=1e-5)
    a = a.float().requires_grad_()
    stirling(a).sum().backward()
    assert a.grad.isfinite().all()


def test_a_negative_binomial_is_right_for_large_and_small_rates_and_counts():
    means, rs = (-15.0, -3.0, 0.0, 4.0, 13.0), (-15.0, -2.0, 0.0, 2.5, 9.0, 20.0)
    x, log_mean, log_r = grid((0.0, 1.0, 5.0, 60.0, 3e3, 1e6), means, rs)
    expected = exact(negative_binomial, x, log_mean, log_r)
    # Of the terms that cannot cancel before: x and μ, each but for a logarithm.
    expect_close(LogNegativeBinomial(log_mean, log_r).log_prob(x), expected, x + log_mean.exp(), 2e-6)


def test_a_negative_binomial_with_a_large_r_is_poissons():
    x = torch.arange(30.0)
    score = LogNegativeBinomial(torch.tensor(1.5), torch.tensor(20.0)).log_prob(x)
    torch.testing.assert_close(score, LogPoisson(torch.tensor(1.5)).log_prob(x), rtol=1e-5, atol=1e-5)


def test_the_gradients_of_counts_are_finite_at_the_ends():
    log_mean = torch.tensor([-104.0, -30.0, 0.0, 11.0]).requires_grad_()
    log_r = torch.tensor([[-20.0], [0.0], [20.0]]).requires_grad_()
    for x in torch.tensor([0.0, 1.0, 1000.0]):
        for score in (LogPoisson(log_mean).log_prob(x), LogNegativeBinomial(log_mean, log_r).log_prob(x)):
            assert score.isfinite().all()
            gradients = torch.autograd.grad(score.sum(), (log_mean, log_r), allow_unused=True)
            assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)
    (slope,) = torch.autograd.grad(LogPoisson(log_mean).log_prob(torch.tensor(3.0)).sum(), log_mean)
    torch.testing.assert_close(slope, 3 - log_mean.detach().exp())  # at log λ = −104 it was NaN


def test_a_beta_is_right_for_large_and_small_concentrations():
    concentrations = (1e-3, 0.5, 3.0, 200.0, 1e4, 1e6)
    alpha, beta, b = grid(concentrations, concentrations, (0.002, 0.1, 0.5, 0.97))
    density = StableBeta(alpha, beta, torch.tensor(0.0), torch.tensor(1.0))

    def log_beta(a, b, x):
        return (a - 1) * mpmath.log(x) + (b - 1) * mpmath.log(1 - x) - mpmath.log(mpmath.beta(a, b))

    expected = exact(log_beta, alpha, beta, b)
    expect_close(density.log_prob(b), expected, alpha.minimum(beta), 4e-6)


@pytest.mark.parametrize("distribution", ["poisson", "negative_binomial", "beta"])
def test_expanded_and_drawn_they_are_their_base_classes(distribution):
    one, two = torch.randn(3), torch.randn(3)
    made = {
        "poisson": lambda: LogPoisson(one),
        "negative_binomial": lambda: LogNegativeBinomial(one, two),
        "beta": lambda: StableBeta(one.exp(), two.exp(), torch.tensor(-0.5), torch.tensor(2.0)),
    }[distribution]()
    base = type(made).__mro__[1]
    x = made.expand((500, 3)).sample()
    assert x.shape == (500, 3)
    assert type(made.expand((500, 3))) is type(made)
    torch.testing.assert_close(made.expand((500, 3)).log_prob(x), base.log_prob(made, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("df", [5.0, torch.tensor([2.5, 9.0, 1.0])])
def test_students_t_is_torchs_bit_for_bit(df):
    loc, scale = torch.randn(3), torch.rand(3)
    x, draws = torch.randn(500, 3), []
    for family in (StudentT, torch.distributions.StudentT):
        made = family(df, loc, scale).expand((500, 3))
        torch.manual_seed(1)
        draws.append([made.log_prob(x), made.rsample(), made.mean, made.entropy()])
    assert all(torch.equal(mine.nan_to_num(9), torchs.nan_to_num(9)) for mine, torchs in zip(*draws))
