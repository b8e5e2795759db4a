# %% [markdown]
# # 2. The generative program and its bound
#
# Lesson 1 trained a VAE with a loss that it did not explain: reconstruction plus KL. In this lesson you will
#
# 1. write a program that generates images, and see that such a program *is* a probability density,
# 2. derive the loss from it, and compute it by hand, with Pyro and with pyrovae: you get the same number three times,
# 3. compute $\log p(x)$ exactly, which is possible with two latent dimensions, and see how far below it the bound is,
# 4. learn why training draws codes in the way it does, and train the program with a loop of your own.
#
# You need lesson 1, Bayes' rule, and gradients in PyTorch. All cells together take under a minute.

# %%
# %matplotlib inline
import math

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch
from checks import check
from pyro import poutine
from pyro.infer import Trace_ELBO
from torch import nn

from pyrovae import Config, build, fit, load

# %% [markdown]
# ## Pixels as coin tosses
#
# In this lesson all pixels are 0 or 1, so that $p(x \mid z)$ is a true probability. For each pixel, the grey value was
# taken as the probability of ink and a coin was tossed once. pyrovae calls these pixels `static`. We flatten each image
# to 64 numbers.

# %%
data = load(Config(pixels="static"))
x_train = data.batch(data.train, slice(None)).x.flatten(1)
x_test = data.batch(data.test, slice(None)).x.flatten(1)
print(x_train.shape, x_test.shape, "values", x_train.unique().tolist())

# %% [markdown]
# ## The model is a program
#
# How is an image generated? First a code is drawn, then the decoder turns the code into a probability of ink for each
# pixel, and each pixel is drawn with its probability:
#
# $$ z \sim \mathcal N(0, I), \qquad x_i \sim \mathrm{Bernoulli}(\pi_i(z)) \quad\text{for } i = 1, \dots, 64. $$
#
# In Pyro this is a function with one `pyro.sample` for each $\sim$. The places named `"z"` and `"x"` are called
# *sites*. `pyro.plate` says that the images of a batch are independent; `to_event(1)` says that the numbers in the last
# dimension belong together, as one code or one image. With `obs=x` the site is not drawn but fixed to the observed
# image.

# %%
torch.manual_seed(0)
decoder = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 64))


def model(x=None, n=1):
    with pyro.plate("images", n if x is None else len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        return pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)


model(n=3).shape

# %% [markdown]
# Called without `x`, the program draws images. Called with `x`, it can be *scored*: `poutine.trace` runs the program
# and records, at each site, the value, the distribution that it comes from, and its log probability.

# %%
trace = poutine.trace(model).get_trace(x_test)
trace.compute_log_prob()
for name in ("z", "x"):
    site = trace.nodes[name]
    print(name, tuple(site["value"].shape), "log probability of each image:", tuple(site["log_prob"].shape))

# %% [markdown]
# The sum over the sites is the log of the joint density, $\log p(x, z) = \log p(z) + \log p(x \mid z)$.
#
# **Question.** Which two formulas do you have to write to get the same number without Pyro?

# %%
z = trace.nodes["z"]["value"]
log_p_z = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
log_pi, log_not_pi = nn.functional.logsigmoid(decoder(z)), nn.functional.logsigmoid(-decoder(z))
log_p_x_z = (x_test * log_pi + (1 - x_test) * log_not_pi).sum(1)
print(f"by hand {(log_p_z + log_p_x_z).sum():.3f}, by the trace {trace.log_prob_sum():.3f}")

# %% [markdown]
# The second formula, `log_p_x_z`, is minus the cross-entropy of lesson 1: *reconstruction* is $-\log p(x \mid z)$.
#
# ## What we would like to maximise
#
# A good decoder gives the images of the data a high probability, summed over all codes:
#
# $$ \log p(x) = \log \int p(x \mid z)\, p(z)\, dz. $$
#
# The integral runs over all codes. In two dimensions we can compute it on a grid, and we do so below; in twenty
# dimensions a grid is impossible. Averaging over codes from the prior does not help much, because nearly all of them
# decode to other digits.
#
# The solution is a second program that proposes codes that fit the image: the *guide* $q(z \mid x)$. For each
# unobserved site of the model, the guide has a site of the same name.

# %%
encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 4))


def posterior(x):
    loc, log_variance = encoder(x).chunk(2, -1)
    return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)


def guide(x):
    with pyro.plate("images", len(x)):
        return pyro.sample("z", posterior(x))


# %% [markdown]
# ## The bound
#
# For any density $q$, because the logarithm is concave (Jensen's inequality),
#
# $$ \log p(x) = \log \mathbb E_{q(z \mid x)}\!\left[ \frac{p(x, z)}{q(z \mid x)} \right] \;\ge\;
# \mathbb E_{q(z \mid x)}\big[ \log p(x, z) - \log q(z \mid x) \big] = \mathrm{ELBO}(x), $$
#
# the *evidence lower bound*. Split $\log p(x, z)$ into its two terms, and you get minus the loss of lesson 1:
#
# $$ \mathrm{ELBO}(x) = \underbrace{\mathbb E_q[\log p(x \mid z)]}_{-\text{reconstruction}} -
# \underbrace{\mathrm{KL}\big(q(z \mid x)\,\|\,p(z)\big)}_{\text{KL}}. $$
#
# Now compute the ELBO in three ways. Each starts from the same seed, so that all three use the same codes.

# %%
from pyrovae.inference.objectives import OBJECTIVES

with torch.no_grad():
    torch.manual_seed(1)
    q = posterior(x_test)
    z = q.rsample()
    by_hand = (dist.Bernoulli(logits=decoder(z)).to_event(1).log_prob(x_test) - q.log_prob(z)).sum()
    by_hand = by_hand + dist.Normal(torch.zeros(2), 1.0).to_event(1).log_prob(z).sum()

    torch.manual_seed(1)
    by_pyro = -Trace_ELBO().loss(model, guide, x_test)

    torch.manual_seed(1)
    by_pyrovae = -OBJECTIVES["elbo"]().differentiable_loss(model, guide, x_test)

    loc, scale = q.base_dist.loc, q.base_dist.scale
    kl = 0.5 * (loc.square() + scale.square() - 1 - 2 * scale.log()).sum(1)  # exercise 1.2
    exact_kl = (dist.Bernoulli(logits=decoder(z)).to_event(1).log_prob(x_test) - kl).sum()

    torch.manual_seed(1)
    analytic = -OBJECTIVES["analytic"]().differentiable_loss(model, guide, x_test)

n = len(x_test)
print(f"log p(x, z) - log q(z | x), one draw:  by hand {by_hand / n:.4f}  Pyro {by_pyro / n:.4f}", end="  ")
print(f"pyrovae {by_pyrovae / n:.4f}")
print(f"the KL in closed form:                 by hand {exact_kl / n:.4f}  pyrovae {analytic / n:.4f}")

# %% [markdown]
# The two lines differ because the first one estimates the KL from one draw. Both are right on average. `Trace_ELBO`
# needs only the two programs, so it works for any model and guide; the closed form exists only for some distributions.
#
# ## Gradients through a draw
#
# To train the guide we need the gradient of an expectation over codes *with respect to the parameters of the
# distribution that the codes are drawn from*. There are two ways:
#
# - **Reparameterisation.** Draw $\varepsilon \sim \mathcal N(0, I)$ and set $z = \mu + \sigma\,\varepsilon$. The random
#   part no longer depends on $\mu$ and $\sigma$, and the gradient flows through $z$: it says *in which direction* to
#   look for a better code. `rsample` does this, and Pyro uses it wherever it can.
# - **Score function.** Use $\nabla\, \mathbb E_q[f] = \mathbb E_q[f\, \nabla \log q]$. This needs only the value of
#   $f$ and no gradient of the model. Here $f = \log p(x, z) - \log q(z \mid x)$ itself contains $q$; the term that
#   this adds, $-\mathbb E_q[\nabla \log q]$, is 0.
#
# **Question.** Both gradients have the right mean. Which one is noisier?

# %%
x, draws = x_test[:1].expand(2000, -1), 2000
loc = posterior(x).base_dist.loc.detach().requires_grad_()
scale = posterior(x).base_dist.scale.detach()


def log_weight(z, q):
    """Return log p(x, z) − log q(z) for each draw."""
    p = dist.Normal(torch.zeros(2), 1.0).to_event(1)
    return dist.Bernoulli(logits=decoder(z)).to_event(1).log_prob(x) + p.log_prob(z) - q.log_prob(z)


torch.manual_seed(0)
q = dist.Normal(loc, scale).to_event(1)
(reparameterised,) = torch.autograd.grad(log_weight(q.rsample(), q).sum(), loc)
z = q.sample()  # no gradient goes through it
(score,) = torch.autograd.grad((log_weight(z, q).detach() * q.log_prob(z)).sum(), loc)
for name, gradient in {"reparameterised": reparameterised, "score function": score}.items():
    error = gradient.std(0) / draws**0.5
    print(f"{name:16} mean {gradient[:, 0].mean():6.2f} ± {error[0]:.2f}   spread {gradient[:, 0].std():.2f}")

# %% [markdown]
# The means agree within their errors. Square the ratio of the two spreads (standard deviations): that is how many times
# as many draws the score function needs for the same precision.
#
# ## Training with your own loop
#
# Stochastic variational inference (SVI) repeats three things: take a batch, estimate the ELBO, and take a gradient step
# on decoder and encoder together. The step on the decoder makes the images more probable; the step on the encoder makes
# the bound tighter.

# %%
from torch.optim import Adam

optimizer = Adam([*decoder.parameters(), *encoder.parameters()], lr=0.003)
elbo = Trace_ELBO()
torch.manual_seed(0)
for epoch in range(1, 51):
    for batch in x_train[torch.randperm(len(x_train))].split(64):
        loss = elbo.differentiable_loss(model, guide, batch) / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch in (1, 5, 20, 50):
        print(f"epoch {epoch:2}: test loss {elbo.loss(model, guide, x_test) / len(x_test):.2f} nats per image")

# %% [markdown]
# Now train with pyrovae, whose `VAE.model` and `VAE.guide` are the same two programs, with networks of the same sizes:

# %%
config = Config(pixels="static", hidden=(128,), epochs=50, batch_size=64, lr=0.003, device="cpu")
vae = build(config, data.shape)
for record in fit(vae, data, config):
    pass
print(f"epoch {record['epoch']}: test loss {record['test']['loss']:.2f} nats per image")

# %% [markdown]
# The two losses differ only because the random starts differ. Read `pyrovae/vae.py` now: it contains the two programs.
#
# ## How good is the bound?
#
# With two latent dimensions we can compute the integral on a fine grid: $p(x) \approx \sum_j p(x, z_j)\, \Delta$, where
# $\Delta$ is the area of a cell. The same grid gives the *true* posterior $p(z \mid x) = p(x, z) / p(x)$. For both we
# need only the decoder; the guide enters only in the bound and its gap.

# %%
steps = torch.linspace(-5, 5, 201)
grid = torch.cartesian_prod(steps, steps)  # (40401, 2)
area = (steps[1] - steps[0]) ** 2
with torch.no_grad():
    pixels = dist.Bernoulli(logits=decoder(grid)[:, None]).to_event(1)  # one row for each point of the grid
    prior = dist.Normal(torch.zeros(2), 1.0).to_event(1).log_prob(grid)
    some = x_test[:60]
    log_joint = torch.stack([pixels.log_prob(x[None])[:, 0] + prior for x in some[:, None]], 1)  # (40401, 60)
    log_p = torch.logsumexp(log_joint, 0) + area.log()
    log_q = torch.stack([posterior(x).log_prob(grid) for x in some[:, None]], 1)
    bound = (log_q.exp() * (log_joint - log_q)).sum(0) * area  # the ELBO, on the same grid
    gap = (log_q.exp() * (log_q - (log_joint - log_p))).sum(0) * area  # KL(q(z | x) ‖ p(z | x))
print(f"log p(x) = {log_p.mean():.3f}   ELBO = {bound.mean():.3f}   difference {(log_p - bound).mean():.3f}")
print(f"KL from the guide to the true posterior: {gap.mean():.3f}")

# %% [markdown]
# The two differences agree, and this is no accident. Write $p(x, z) = p(z \mid x)\, p(x)$ in the definition of the
# ELBO, and you get
#
# $$ \log p(x) - \mathrm{ELBO}(x) = \mathrm{KL}\big(q(z \mid x)\,\|\,p(z \mid x)\big) \ge 0. $$
#
# The bound is tight exactly where the guide is the true posterior. The next cell plots three images: those with the
# smallest gap, a middle one, and the largest. The colours show the true posterior, the lines the guide's Gaussian.

# %%
order = gap.argsort()
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for panel, i in zip(axes, order[[0, 30, 59]].tolist()):
    truth, guess = ((values[:, i].exp()).view(201, 201).T for values in (log_joint - log_p, log_q))
    panel.contourf(steps, steps, truth, 12, cmap="Blues")
    panel.contour(steps, steps, guess, 4, colors="#E45756", linewidths=1)
    (left, low), reach = posterior(some[i : i + 1]).mean[0].tolist(), 1.3
    panel.set(xlim=(left - reach, left + reach), ylim=(low - reach, low + reach), aspect="equal")
    panel.set_title(f"a {data.classes[data.test.labels[i]]}: gap {gap[i]:.2f} nats", fontsize=10)
plt.show()

# %% [markdown]
# A gap can have two causes. First, the true posterior may be tilted, bent, or split into two islands. A Gaussian whose
# axes are parallel to those of the plane cannot have that shape; other posteriors can (`full` can tilt, `flow` can
# bend). Second, one encoder serves all images, and for an unusual image it may propose the wrong place although a
# better Gaussian exists.
#
# ## A tighter bound with many codes
#
# Average $K$ weights $w = p(x, z) / q(z \mid x)$ *inside* the logarithm:
#
# $$ \log p(x) \;\ge\; \mathbb E\Big[\log \tfrac1K \sum_{k=1}^K w_k\Big], \qquad z_k \sim q(z \mid x). $$
#
# With $K = 1$ this is the ELBO. It rises with $K$ and reaches $\log p(x)$ in the limit. This is *importance sampling*.
# `pyrovae evaluate` uses it with $K = 5{,}000$; as a training objective it is called IWAE.

# %%
from pyrovae.evaluation.importance import log_weights

torch.manual_seed(0)
log_w = log_weights(model, guide, 5000, some)  # (5000, 60)
for k in (1, 10, 100, 1000, 5000):
    bound_k = torch.logsumexp(log_w.view(-1, k, 60), 1) - math.log(k)  # (5000 / k estimates, 60 images)
    print(f"K = {k:5,}: {bound_k.mean():.3f}")
print(f"on the grid: {log_p.mean():.3f}")

# %% [markdown]
# ## Exercises
#
# ### Exercise 2.1: the importance-weighted bound
#
# Compute $\log \frac1K \sum_k w_k$ from `log_w` of shape `(K, n)`; the result has shape `(n,)`. The weights of larger
# images are about $e^{-1000}$, which a computer rounds to 0, so you cannot simply take `exp`, then `mean`, then `log`.


# %%
def importance_weighted(log_w):
    return ...


check("2.1", importance_weighted)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def importance_weighted(log_w):
#     return torch.logsumexp(log_w, 0) - math.log(len(log_w))
# ```
#
# `logsumexp` subtracts the largest log weight before it exponentiates, so that the sum becomes neither 0 nor infinite.
#
# </details>
#
# ### Exercise 2.2: another prior
#
# Write the model with a Laplace prior, $p(z) = \prod_j \tfrac12 e^{-|z_j|}$ (location 0, scale 1). Keep everything else
# as above.


# %%
def laplace_model(x=None, n=1):
    return ...


check("2.2", laplace_model)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def laplace_model(x=None, n=1):
#     with pyro.plate("images", n if x is None else len(x)):
#         z = pyro.sample("z", dist.Laplace(torch.zeros(2), 1.0).to_event(1))
#         return pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)
# ```
#
# Nothing else changes: guide, ELBO and loop are the same. In pyrovae you write `Config(prior="laplace")`.
#
# </details>
#
# ### Exercise 2.3: reparameterise a Laplace variable
#
# To train a guide with a Laplace distribution, draw $u$ uniformly from $(-\tfrac12, \tfrac12)$ and turn it into a draw
# from the Laplace distribution with location $\mu$ (`loc`) and scale $b$ (`scale`). The inverse distribution function
# does this: the draw is $\mu - b\, \mathrm{sign}(u) \log(1 - 2|u|)$. Gradients must reach `loc` and `scale`.


# %%
def laplace_draw(loc, scale, u):
    return ...


check("2.3", laplace_draw)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def laplace_draw(loc, scale, u):
#     return loc - scale * u.sign() * (1 - 2 * u.abs()).log()
# ```
#
# </details>
#
# ### Exercise 2.4: the posterior on a grid
#
# `log_joint` of shape `(points, n)` contains the values of $\log p(x, z)$ on a grid whose cells have the area `area`.
# Return the posterior density $p(z \mid x)$ at each point; the result has shape `(points, n)`.


# %%
def grid_posterior(log_joint, area):
    return ...


check("2.4", grid_posterior)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def grid_posterior(log_joint, area):
#     return torch.softmax(log_joint, 0) / area
# ```
#
# `softmax` divides by the sum over the points. For a density, divide also by the area of a cell, so that its integral
# is 1.
#
# </details>
#
# ## What you know now
#
# - A model is a program that draws codes and images. If its draws are recorded, it gives the density $p(x, z)$.
# - The ELBO is a lower bound of $\log p(x)$; the gap is the KL from the guide to the true posterior.
# - A draw is written as a function of noise, so that gradients pass through it. SVI trains model and guide together.
# - More codes per image make the bound tighter. This is how $\log p(x)$ is estimated for reports.
#
# Next: [3. Conditioning](3-conditioning.ipynb).
