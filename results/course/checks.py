"""Checks the answers to the exercises. If you read on, you will see the solutions."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class Hint(Exception):
    """Says what is wrong with an answer."""


class Unanswered(Exception):
    """Raised while the three dots of an exercise are still there."""


def check(exercise: str, answer: Any) -> None:
    """Print whether an answer is right and, if it is not, what is wrong with it."""
    try:
        CHECKS[exercise](answer)
    except Unanswered:
        print(f"{exercise}: no answer yet")
    except Hint as hint:
        print(f"{exercise}: not yet: {hint}")
    except Exception as error:
        print(f"{exercise}: not yet: your code stops with {type(error).__name__}: {error}")
    else:
        print(f"{exercise}: right")


def tensor(answer: Any, shape: tuple[int, ...]) -> Tensor:
    """Return the answer if it is a tensor of that shape; raise `Hint` or `Unanswered` otherwise."""
    if answer is ... or (isinstance(answer, tuple) and ... in answer):
        raise Unanswered
    if not isinstance(answer, Tensor):
        raise Hint(f"expected a tensor of shape {shape}, got {type(answer).__name__}")
    if tuple(answer.shape) != shape:
        raise Hint(f"expected the shape {shape}, got {tuple(answer.shape)}")
    return answer


def number(answer: Any) -> float:
    if answer is ...:
        raise Unanswered
    try:
        return float(answer)
    except (TypeError, ValueError):
        raise Hint(f"expected a number, got {type(answer).__name__}") from None


def same(result: Any, expected: Any, tolerance: float = 1e-4) -> bool:
    result, expected = torch.as_tensor(result).double(), torch.as_tensor(expected).double()
    return bool(torch.allclose(result, expected, rtol=tolerance, atol=tolerance))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Lesson 1


def check_cross_entropy(answer: Callable[..., Any]) -> None:
    x, pi = torch.rand(3, 1, 8, 8, generator=seeded()), 0.1 + 0.8 * torch.rand(3, 1, 8, 8, generator=seeded(1))
    result = tensor(answer(x, pi), (3,))
    each = -(x * pi.log() + (1 - x) * (1 - pi).log()).flatten(1)
    if same(result, each.mean(1)):
        raise Hint("this is the mean over the pixels; expected their sum")
    if same(result, -each.sum(1)):
        raise Hint("the sign is wrong: a loss is minus the log probability")
    if same(result, -(x * pi.log()).flatten(1).sum(1)):
        raise Hint("the paper counts too: where is (1 − x) log(1 − π)?")
    if not same(result, each.sum(1)):
        raise Hint(f"expected {each.sum(1).tolist()}, got {result.tolist()}")


def check_kl(answer: Callable[..., Any]) -> None:
    loc, scale = torch.randn(4, 3, generator=seeded()), 0.1 + torch.rand(4, 3, generator=seeded(1))
    result = tensor(answer(loc, scale), (4,))
    expected = 0.5 * (loc.square() + scale.square() - 1 - 2 * scale.log()).sum(1)
    if same(result, 0.5 * (loc.square() + scale.square() - 1 - scale.log()).sum(1)):
        raise Hint("log σ² is 2 log σ")
    if same(result, 0.5 * (loc.square() + scale - 1 - scale.log()).sum(1)):
        raise Hint("`scale` is σ, the formula has σ²")
    if (result < 0).any():
        raise Hint("a KL is never negative, and this one is")
    if not same(result, expected):
        raise Hint(f"expected {expected.tolist()}, got {result.tolist()}")


def check_path(answer: Callable[..., Any]) -> None:
    x0, x1 = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    x0[..., 3:5], x1[..., 1, :], x1[..., 6, :] = 1.0, 1.0, 1.0
    line = tensor(answer(x0, x1, 5), (5, 1, 8, 8))
    there, back = tensor(answer(x0, x1, 2), (2, 1, 8, 8)), answer(x1, x0, 5)
    again = tensor(answer(x0, x0, 2), (2, 1, 8, 8))[:1]
    t = torch.linspace(0, 1, 5)[:, None, None, None]
    if not same(line[0], line[-1]) and same(line, line[0].lerp(line[-1], t)):
        raise Hint("this blends the two decoded images; expected a line between the codes, decoded")
    if not (same(line[:1], again) and same(line[[0, -1]], there)):
        raise Hint("the ends are not the two reconstructions: take the means of the clouds, not draws from them")
    if not same(line, back.flip(0)):
        raise Hint("the path back from x1 to x0 is another one: expected evenly spaced codes on a straight line")


def check_mixture(answer: Callable[..., Any]) -> None:
    loc, scale = 1 + torch.randn(50, 2, generator=seeded()), 0.1 + torch.rand(50, 2, generator=seeded(1))
    result = answer(loc, scale)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Hint("expected a pair: mean, variance")
    mean, variance = (tensor(part, (2,)) for part in result)
    inside, between = scale.square().mean(0), loc.var(0, correction=0)
    if not same(mean, loc.mean(0)):
        raise Hint(f"mean: expected {loc.mean(0).tolist()}, got {mean.tolist()}")
    if same(variance, inside):
        raise Hint("this is the mean of the variances, but the clouds are also at different places")
    if same(variance, between, 0.03):
        raise Hint("this is the variance of the means, but each cloud also has a width")
    if not same(variance, inside + between, 0.03):  # with N or N − 1
        raise Hint(f"variance: expected {(inside + between).tolist()}, got {variance.tolist()}")


# Lesson 2


def check_importance_weighted(answer: Callable[..., Any]) -> None:
    log_w = 3 * torch.randn(5, 4, generator=seeded())
    result, expected = tensor(answer(log_w), (4,)), torch.logsumexp(log_w, 0) - math.log(5)
    if same(result, log_w.mean(0)):
        raise Hint("this is the mean of log w, the ELBO; expected the log of the mean of w")
    if same(result, torch.logsumexp(log_w, 0)):
        raise Hint("this is the log of the sum; you left out 1/K")
    if not same(result, expected):
        raise Hint(f"expected {expected.tolist()}, got {result.tolist()}")
    if not same(answer(log_w - 1000), expected - 1000):
        raise Hint("this is right for large weights, but weights of about exp(−1000) become 0: try torch.logsumexp")


def check_laplace_model(answer: Callable[..., Any]) -> None:
    import pyro.distributions as dist
    from pyro import poutine

    x = torch.ones(3, 64)
    trace = poutine.trace(answer).get_trace(x)
    if trace.nodes["_RETURN"]["value"] is ...:
        raise Unanswered
    trace.compute_log_prob()
    if missing := {"z", "x"} - trace.nodes.keys():
        raise Hint(f"expected sites 'z' and 'x', got no {min(missing)!r}")
    for name in ("z", "x"):
        if tuple(trace.nodes[name]["log_prob"].shape) != (3,):
            raise Hint(f"site {name!r}: expected one log probability for each image: use pyro.plate and to_event(1)")
    if not trace.nodes["x"]["is_observed"]:
        raise Hint("site 'x': expected the observed image: obs=x")
    if not isinstance(getattr(trace.nodes["x"]["fn"], "base_dist", None), dist.Bernoulli):
        raise Hint("site 'x': expected the likelihood from above, Bernoulli with to_event(1)")
    z = trace.nodes["z"]["value"]
    if not same(trace.nodes["z"]["log_prob"], dist.Laplace(torch.zeros(2), 1.0).to_event(1).log_prob(z)):
        raise Hint("site 'z': expected a Laplace distribution of location 0 and scale 1 in both dimensions")
    if tuple(poutine.trace(answer).get_trace(n=5).nodes["x"]["value"].shape) != (5, 64):
        raise Hint("called with n=5 and no x: expected five images")


def check_laplace_draw(answer: Callable[..., Any]) -> None:
    loc, scale = torch.tensor([0.0, 1.0, -2.0]).requires_grad_(), torch.tensor([1.0, 0.5, 2.0]).requires_grad_()
    u = torch.tensor([0.3, -0.2, -0.49])
    result = tensor(answer(loc, scale, u), (3,))
    expected = torch.distributions.Laplace(loc, scale).icdf(u + 0.5)
    if not same(result.detach(), expected.detach()):
        raise Hint(f"expected {expected.tolist()}, got {result.tolist()}")
    if not result.requires_grad:
        raise Hint("no gradient reaches loc and scale: did you use .detach(), .item() or no_grad()?")
    for name, parameter in {"loc": loc, "scale": scale}.items():
        gradient, right = (
            torch.autograd.grad(part.sum(), parameter, retain_graph=True, allow_unused=True)[0]
            for part in (result, expected)
        )
        if gradient is None or not same(gradient, right):
            raise Hint(f"the gradient in {name} is not that of the formula")


def check_grid_posterior(answer: Callable[..., Any]) -> None:
    log_joint, area = 5 * torch.randn(30, 4, generator=seeded()) - 40, 0.2
    result = tensor(answer(log_joint, area), (30, 4))
    if same(result.sum(0), torch.ones(4)):
        raise Hint("these are the probabilities of the cells; a density is probability divided by area")
    if same(result * area, torch.softmax(log_joint, 1)):
        raise Hint("take the sum over the points of the grid (dimension 0), not over the images")
    if not same(result * area, torch.softmax(log_joint, 0)):
        raise Hint(f"expected an integral of 1 over the grid for each image, got {(result.sum(0) * area).tolist()}")
    if not same(answer(log_joint - 1000, area) * area, torch.softmax(log_joint, 0)):
        raise Hint("this is right for large values, but exp(−1000) becomes 0: try torch.softmax or torch.logsumexp")


# Lesson 3


def small_model() -> Any:
    """Build an untrained model that is conditioned on labels; its images depend on label and code even so."""
    from pyrovae import Config, build

    return build(Config(condition="label", hidden=(16,), device="cpu", seed=1), (1, 8, 8), 10)


def check_draw_label(answer: Callable[..., Any]) -> None:
    vae = small_model()
    torch.manual_seed(0)
    result = tensor(answer(vae, 7, 5), (5, 1, 8, 8))
    torch.manual_seed(0)
    if same(result[1:], result[:1].expand(4, -1, -1, -1)):
        raise Hint("all five images are the same: expected a different code for each")
    if not same(result, vae.generate(y=torch.full((5,), 7))):
        raise Hint("these are not sevens: expected y = 7 for every image")


def check_same_hand(answer: Callable[..., Any]) -> None:
    vae, x = small_model(), torch.rand(4, 1, 8, 8, generator=seeded())
    y, other = torch.tensor([0, 1, 2, 3]), torch.tensor([5, 6, 7, 8])
    result = tensor(answer(vae, x, y, other), (4, 1, 8, 8))
    z = vae.encode(x, y).mean
    if same(result, vae.decode(z, y)):
        raise Hint("these are reconstructions: expected other labels when decoding")
    if same(result, vae.decode(vae.encode(x, other).mean, other)):
        raise Hint("encode with the labels that the images have; with wrong labels the code describes a wrong style")
    if not same(result, vae.decode(z, other)):
        raise Hint("expected the mean of the posterior, decoded with the other labels")


def check_bayes(answer: Callable[..., Any]) -> None:
    scores, prior = 3 * torch.randn(6, 10, generator=seeded()) - 20, torch.arange(1.0, 11.0) / 55
    result = tensor(answer(scores, prior), (6, 10))
    if same(result, torch.softmax(scores, 1)):
        raise Hint("the prior is not used")
    if same(result, torch.softmax(scores + prior, 1)):
        raise Hint("probabilities multiply and their logarithms add: use prior.log()")
    if same(result, torch.log_softmax(scores + prior.log(), 1)):
        raise Hint("these are log probabilities")
    if not same(result.sum(1), torch.ones(6)):
        raise Hint(f"expected probabilities that add up to 1 over the labels, got {result.sum(1).tolist()}")
    if not same(result, torch.softmax(scores + prior.log(), 1)):
        raise Hint("they add up to 1, but are not p(x | y) p(y) divided by their sum")
    if not same(answer(scores - 1000, prior), result):
        raise Hint("this is right for large scores, but exp(−1000) becomes 0: try torch.softmax")


def check_bits(answer: Callable[..., Any]) -> None:
    log_prob, seen = -torch.rand(3, 1, 8, 8, generator=seeded()), torch.zeros(1, 8, 8, dtype=torch.bool)
    seen[:, 4:, :4] = True
    result, nats = tensor(answer(log_prob, seen), (3,)), (log_prob * ~seen).flatten(1).sum(1) / 48
    if same(result, nats):
        raise Hint("these are nats; one bit is log 2 nats")
    if same(result, nats * math.log(2)):
        raise Hint("a nat is more than a bit: divide by log 2")
    if same(result, nats * 48 / 64 / math.log(2)):
        raise Hint("divide by the 48 pixels that were not seen, not by all: only 48 of the 64 pixels count")
    if same(result, (log_prob * seen).flatten(1).sum(1) / 16 / math.log(2)):
        raise Hint("these are the seen pixels; expected the others: ~seen")
    if not same(result, nats / math.log(2)):
        raise Hint(f"expected {(nats / math.log(2)).tolist()}, got {result.tolist()}")


# Lesson 4


def check_bits_per_dimension(answer: Callable[..., Any]) -> None:
    result, expected = number(answer(166.0, (3, 8, 8))), 166 / math.log(2) / 192
    if same(result, 166 / 192):
        raise Hint("these are nats per dimension; one bit is log 2 nats")
    if same(result, 166 / math.log(2)):
        raise Hint("these are bits per image")
    if same(result, 166 / math.log(2) / 64):
        raise Hint("colours count as dimensions too: channels × height × width")
    if same(result, 166 * math.log(2) / 192):
        raise Hint("a nat is more than a bit: divide by log 2")
    if not same(result, expected):
        raise Hint(f"expected {expected:.4f} for 166 nats and a shape of (3, 8, 8), got {result:.4f}")


def check_in_bytes(answer: Callable[..., Any]) -> None:
    result, expected = number(answer(-24.0, (1, 8, 8))), -24 + 64 * math.log(255)
    if same(result, -24 - 64 * math.log(255)):
        raise Hint("it is the other way round: the same mass over a longer axis has a smaller density")
    if same(result, -24 + math.log(255)):
        raise Hint("every one of the 64 pixels changes its unit")
    if same(result, -24):
        raise Hint("a density depends on the unit")
    if not same(result, expected):
        raise Hint(f"expected {expected:.2f} for −24 nats and a shape of (1, 8, 8), got {result:.2f}")


def check_paired(answer: Callable[..., Any]) -> None:
    hard = 5 * torch.randn(100, generator=seeded())
    a, b = hard + torch.randn(100, generator=seeded(1)) + 1, hard + torch.randn(100, generator=seeded(2))
    result = answer(a, b)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Hint("expected a pair: mean, standard error")
    mean, error = map(number, result)
    right = (a - b).std() / 10
    if not same(mean, (a - b).mean()):
        raise Hint(f"mean: expected {(a - b).mean():.4f}, got {mean:.4f}")
    if same(error, (a - b).std(), 0.01):
        raise Hint("this is the spread over the images; divide by the root of n to get the error of their mean")
    if same(error, ((a.var() + b.var()) / 100).sqrt(), 0.01):
        raise Hint("this is for two different sets of images; both models saw the same, so use the spread of a − b")
    if not same(error, right, 0.01):  # with n or n − 1
        raise Hint(f"standard error: expected {right:.4f}, got {error:.4f}")


def check_active_units(answer: Callable[..., Any]) -> None:
    spread = torch.tensor([1.0, 0.5, 0.15, 0.05, 0.0])
    noise = torch.randn(500, 5, generator=seeded())
    means = torch.tensor([0.0, 0.0, 0.0, 3.0, 1.0]) + spread * (noise - noise.mean(0))
    result = number(answer(means))
    if result == (means.std(0) > 0.01).sum():
        raise Hint("this compares the standard deviation; expected the variance")
    if result == (means.mean(0).abs() > 0.01).sum():
        raise Hint("this uses the mean over the images; expected how much it varies over them")
    if result != 3:
        raise Hint(f"expected 3 of the five dimensions, got {result:g}")


# Lesson 5


def check_unlabelled_bound(answer: Callable[..., Any]) -> None:
    bounds, logits = 3 * torch.randn(5, 10, generator=seeded()) - 20, torch.randn(5, 10, generator=seeded(1))
    result, log_q = tensor(answer(bounds, logits), (5,)), torch.log_softmax(logits, 1)
    q = log_q.exp()
    if same(result, (q * bounds).sum(1)):
        raise Hint("the entropy of the classifier is missing")
    if same(result, (q * (bounds + log_q)).sum(1)):
        raise Hint("the sign of log q(y | x) is wrong: an uncertain classifier makes the bound larger")
    if same(result, (bounds - log_q).mean(1)):
        raise Hint("this is the mean over the labels; expected a mean with the weights q(y | x)")
    if same(result, (logits.exp() * (bounds - logits)).sum(1)):
        raise Hint("the logits are not normalised: use torch.log_softmax")
    if not same(result, (q * (bounds - log_q)).sum(1)):
        raise Hint(f"expected {(q * (bounds - log_q)).sum(1).tolist()}, got {result.tolist()}")


def check_best_classifier(answer: Callable[..., Any]) -> None:
    bounds = 2 * torch.randn(5, 10, generator=seeded()) - 20
    result, best = tensor(answer(bounds), (5, 10)), torch.softmax(bounds, 1)
    if same(result, F.one_hot(bounds.argmax(1), 10)):
        raise Hint("this is certain of the largest bound, and gives up the entropy")
    if same(result, torch.log_softmax(bounds, 1)):
        raise Hint("these are log probabilities")
    if not same(result.sum(1), torch.ones(5)):
        raise Hint(f"expected probabilities that add up to 1 over the labels, got {result.sum(1).tolist()}")
    if not same(result, best):
        raise Hint("there is a better one: set the derivative with respect to q to 0, or use Bayes' rule")
    if not same(answer(bounds - 1000), best):
        raise Hint("this is right for large bounds, but exp(−1000) becomes 0: try torch.softmax")


def check_objective(answer: Callable[..., Any]) -> None:
    bounds = 3 * torch.randn(6, 10, generator=seeded()) - 20
    log_q = torch.log_softmax(torch.randn(6, 10, generator=seeded(1)), 1)
    labels, rows, alpha = torch.tensor([3, -1, 0, 9, -1, 5]), torch.arange(6), 7.0
    result, known = tensor(answer(bounds, log_q, labels, alpha), (6,)), labels >= 0
    without = (log_q.exp() * (bounds - log_q)).sum(1)
    of_label, log_q_label = bounds[rows, labels], log_q[rows, labels]
    if same(result, of_label + alpha * log_q_label) or same(result[~known], of_label[~known]):
        raise Hint("−1 is no label: these images need the bound without a label")
    if not same(result[~known], without[~known]):
        raise Hint(f"without a label: expected {without[~known].tolist()}, got {result[~known].tolist()}")
    if same(result[known], of_label[known]):
        raise Hint("the classifier learns nothing from the labels: where is α log q(y | x)?")
    if same(result[known], (of_label - alpha * log_q_label)[known]):
        raise Hint("the objective is maximised, so the classifier's term has a plus")
    if same(result[known], (without + alpha * log_q_label)[known]):
        raise Hint("where the label is known, take its bound alone, not the mean over all labels")
    if not same(result[known], (of_label + alpha * log_q_label)[known]):
        expected = (of_label + alpha * log_q_label)[known]
        raise Hint(f"with a label: expected {expected.tolist()}, got {result[known].tolist()}")


def check_ten_digits(answer: Callable[..., Any]) -> None:
    from pyrovae import Config, build

    config = Config(program="semi_supervised", hidden=(16,), device="cpu", seed=1)
    vae, x = build(config, (1, 8, 8), 10), torch.rand(3, 1, 8, 8, generator=seeded())
    with torch.no_grad():  # untrained, it takes all images for one digit
        torch.nn.init.normal_(vae.classifier[-1].weight, generator=seeded(2))
        for part in (vae.encoder, vae.posterior):
            for weight in part.parameters():
                weight.mul_(2)
    result, y = tensor(answer(vae, x), (3, 10, 1, 8, 8)), torch.arange(10)

    def decoded(z: Tensor, y: Tensor) -> Tensor:
        return vae.decode(z.repeat_interleave(10, 0), y).unflatten(0, (3, 10))

    label = vae.classify(x).argmax(1)
    z = vae.encode(x, label).mean
    if same(result, decoded(z, label.repeat_interleave(10))):
        raise Hint("these are reconstructions: expected each code with all ten labels")
    if same(result, decoded(z, y.repeat_interleave(3))):
        raise Hint("codes and labels are in a different order: the labels repeat as 0, ..., 9, 0, ..., 9")
    by_label = [vae.encode(x, torch.full((3,), digit)).mean for digit in range(10)]
    if same(result, torch.stack([vae.decode(z, torch.full((3,), digit)) for digit, z in enumerate(by_label)], 1)):
        raise Hint("encode with the inferred label alone; with wrong labels the code describes a wrong style")
    if not same(result, decoded(z, y.repeat(3))):
        raise Hint("expected the mean of the posterior, given the most likely label, decoded with the labels 0 to 9")


# Lesson 6


def check_gaussian_kl(answer: Callable[..., Any]) -> None:
    m_q, m_p = torch.randn(4, 3, generator=seeded()), torch.randn(4, 3, generator=seeded(1))
    s_q, s_p = 0.2 + torch.rand(4, 3, generator=seeded(2)), 0.2 + torch.rand(4, 3, generator=seeded(3))
    result = tensor(answer(m_q, s_q, m_p, s_p), (4,))

    def kl(m_q: Tensor, s_q: Tensor, m_p: Tensor, s_p: Tensor) -> Tensor:
        return (s_p / s_q).log() + (s_q.square() + (m_q - m_p).square()) / (2 * s_p.square()) - 0.5

    expected = kl(m_q, s_q, m_p, s_p)
    if same(result, kl(m_p, s_p, m_q, s_q).sum(1)):
        raise Hint("this is the KL in the other direction: from p to q")
    if same(result, kl(m_q, s_q, torch.zeros(()), torch.ones(())).sum(1)):
        raise Hint("this is the KL to N(0, 1); the prior of z1 has a mean and a scale of its own")
    if same(result, expected.mean(1)):
        raise Hint("this is the mean over the dimensions; expected their sum")
    if not same(result, expected.sum(1)):
        raise Hint(f"expected {expected.sum(1).tolist()}, got {result.tolist()}")


def check_free_bits(answer: Callable[..., Any]) -> None:
    kl, free = torch.rand(50, 4, generator=seeded()) * torch.tensor([0.1, 0.4, 1.0, 3.0]), 0.25
    result, expected = number(answer(kl, free)), kl.mean(0).clamp(min=free).sum()
    if same(result, kl.clamp(min=free).mean(0).sum()):
        raise Hint("average over the images first: the limit is on the average of a dimension, not on each image")
    if same(result, (kl.mean(0) - free).clamp(min=0).sum()):
        raise Hint("this subtracts the free nats; expected the larger of the KL and `free` (the gradient is the same)")
    if same(result, kl.mean(0).clamp(max=free).sum()):
        raise Hint("this is an upper limit; expected a lower one")
    if same(result, kl.mean(0).sum().clamp(min=free)):
        raise Hint("each dimension has free nats of its own, so limit before you sum")
    if not same(result, expected):
        raise Hint(f"expected {expected:.4f}, got {result:.4f}")


def check_product(answer: Callable[..., Any]) -> None:
    m_1, m_2 = torch.randn(4, 3, generator=seeded()), torch.randn(4, 3, generator=seeded(1))
    s_1, s_2 = 0.2 + torch.rand(4, 3, generator=seeded(2)), 0.2 + torch.rand(4, 3, generator=seeded(3))
    result = answer(m_1, s_1, m_2, s_2)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Hint("expected a pair: mean, scale")
    mean, scale = (tensor(part, (4, 3)) for part in result)
    precision = s_1**-2 + s_2**-2
    expected = (m_1 * s_1**-2 + m_2 * s_2**-2) / precision
    if same(mean, (m_1 * s_1**2 + m_2 * s_2**2) / (s_1**2 + s_2**2)):
        raise Hint("the wider factor has the larger weight here; expected the narrower one to count more")
    if not same(mean, expected):
        raise Hint(f"mean: expected {expected[0].tolist()} in the first row, got {mean[0].tolist()}")
    if same(scale, precision):
        raise Hint("this is the precision; the scale is one over its root")
    if same(scale, 1 / precision):
        raise Hint("this is the variance; the scale is its root")
    if not same(scale, precision**-0.5):
        raise Hint(f"scale: expected {(precision**-0.5)[0].tolist()} in the first row, got {scale[0].tolist()}")


def check_share(answer: Callable[..., Any]) -> None:
    loc = torch.randn(200, 3, generator=seeded()) * torch.tensor([0.1, 1.0, 2.0]) + 3
    scale = 0.2 + 0.5 * torch.rand(200, 3, generator=seeded(1))
    result = tensor(answer(loc, scale), (3,))
    between, inside = loc.var(0), scale.square().mean(0)
    if same(result, between / inside, 0.02):
        raise Hint("divide by the whole variance of z1, which has both parts")
    if same(result, inside / (between + inside), 0.02):
        raise Hint("this is the share that z2 leaves open")
    if same(result, loc.std(0) / (loc.std(0) + scale.mean(0)), 0.02):
        raise Hint("variances add up, standard deviations do not")
    if same(result, between / (between + scale.mean(0)), 0.02):
        raise Hint("`scale` is a standard deviation; its square is the variance")
    if not same(result, between / (between + inside), 0.01):  # with n or n − 1
        raise Hint(f"expected {(between / (between + inside)).tolist()}, got {result.tolist()}")


CHECKS: dict[str, Callable[[Any], None]] = {
    "1.1": check_cross_entropy,
    "1.2": check_kl,
    "1.3": check_path,
    "1.4": check_mixture,
    "2.1": check_importance_weighted,
    "2.2": check_laplace_model,
    "2.3": check_laplace_draw,
    "2.4": check_grid_posterior,
    "3.1": check_draw_label,
    "3.2": check_same_hand,
    "3.3": check_bayes,
    "3.4": check_bits,
    "4.1": check_bits_per_dimension,
    "4.2": check_in_bytes,
    "4.3": check_paired,
    "4.4": check_active_units,
    "5.1": check_unlabelled_bound,
    "5.2": check_best_classifier,
    "5.3": check_objective,
    "5.4": check_ten_digits,
    "6.1": check_gaussian_kl,
    "6.2": check_free_bits,
    "6.3": check_product,
    "6.4": check_share,
}
