# %% [markdown]
# # 4. Likelihoods, priors, collapse, and how to compare
#
# You can swap every part of a VAE: what a pixel is, how it is scored, which prior the codes come from. Each choice
# changes the number at the end. In this lesson you will
#
# 1. swap likelihoods, and learn which numbers you may put into one table,
# 2. make a posterior collapse, and repair it in three ways,
# 3. swap priors, and find out whether a difference is real.
#
# You need lessons 1 and 2. All cells together take about a minute.

# %%
# %matplotlib inline
import math

import matplotlib.pyplot as plt
import torch
from checks import check

from pyrovae import Config, build, figures, fit, load
from pyrovae.evaluation.importance import log_likelihoods
from pyrovae.evaluation.latents import kl_per_dimension


def train(epochs=40, **settings):
    """Train a model; return it, its data, and the record of its last epoch."""
    config = Config(epochs=epochs, batch_size=64, lr=0.002, device="cpu", **settings)
    data = load(config)
    vae = build(config, data.shape)
    for epoch in fit(vae, data, config):
        pass
    return vae, data, epoch


# %% [markdown]
# ## One model, five numbers
#
# The likelihood $p(x \mid z)$ says how the decoder's output becomes a distribution over pixels. Which likelihoods make
# sense depends on what a pixel *is*. pyrovae calls that the pixel protocol, and records it with every result. The next
# cell trains five models with the same networks on the same 1,797 images:

# %%
choices = {
    "Bernoulli, grey": {"likelihood": "bernoulli", "pixels": "grey"},
    "continuous Bernoulli, grey": {"likelihood": "continuous_bernoulli", "pixels": "grey"},
    "Gaussian, grey": {"likelihood": "gaussian", "scale": "optimal", "pixels": "grey"},
    "Gaussian, standardized": {"likelihood": "gaussian", "scale": "optimal", "pixels": "standardized"},
    "discretized logistic, bytes": {"likelihood": "discretized_logistic", "pixels": "bytes"},
}
losses = {}
for name, settings in choices.items():
    vae, data, epoch = train(latent_dim=4, **settings)
    losses[name] = epoch["test"]["loss"]
    print(f"{name:28} {losses[name]:8.2f} nats per image")

# %% [markdown]
# **Question.** Which one is the best model?
#
# The table cannot tell you, for the three reasons that follow.
#
# ### A density is not a probability
#
# The discretized logistic gives each of the 256 byte values a probability. The probabilities sum to 1, so each is at
# most 1, and the loss, $-\log p$, is never negative. The Gaussian gives a *density*: where pixels are predictable it is
# much larger than 1, and the loss falls below 0. A density also depends on the unit of measurement. `standardized`
# pixels are grey pixels minus their mean, divided by their standard deviation $s$. So the same prediction has a density
# that is $s$ times as large, in each of the 64 pixels:

# %%
s = load(Config(pixels="standardized")).pixels.std
difference = losses["Gaussian, standardized"] - losses["Gaussian, grey"]
print(f"expected difference: -64 log s = {-64 * math.log(s):.2f}   actual: {difference:.2f}")

# %% [markdown]
# The sixty nats between the two Gaussians come almost entirely from the change of units. (The rest comes from training:
# the two models start from different weights and scales.)
#
# ### The relaxed Bernoulli is not a density either
#
# On grey pixels, $x \log \pi + (1 - x) \log (1 - \pi)$ is a useful score, but it is not normalised:

# %%
x = (torch.arange(1000) + 0.5) / 1000
for pi in (0.5, 0.1, 0.01):
    relaxed = (x * math.log(pi) + (1 - x) * math.log(1 - pi)).exp().mean()
    proper = torch.distributions.ContinuousBernoulli(torch.tensor(pi)).log_prob(x).exp().mean()
    print(f"π = {pi:4}: the integral over [0, 1] is {relaxed:.3f}; of the continuous Bernoulli, {proper:.3f}")

# %% [markdown]
# The continuous Bernoulli divides the same score by that integral, so it is a density. Most tutorials report the
# relaxed number. You may compare it with other relaxed numbers, and with nothing else.
#
# ### Bits per dimension
#
# For bytes there is a number that you can compare between image sizes and papers: *bits per dimension*, which is the
# loss in nats divided by $\log 2$ and by the number of pixels. A perfect coder that uses this model could compress the
# images to a file of that many bits per pixel.

# %%
bits = losses["discretized logistic, bytes"] / math.log(2) / 64
print(f"{bits:.2f} bits per dimension; a file of bytes has 8, one of numbers from 0 to 16 has {math.log2(17):.2f}")

# %% [markdown]
# Scikit-learn's digits have only 17 grey levels, spread over the 256 bytes. This likelihood, a smooth bump over the
# bytes, cannot express that. `categorical`, which has a free probability for each byte, can: add it as a sixth row.
# Before you call it the better model of *digits*, ask what it has learned.
#
# **The rule.** You may compare numbers if the pixels are the same (protocol, size, data, split), if the likelihoods are
# all densities or all probabilities over those pixels, and if the numbers estimate the same quantity: the ELBO, or
# $\log p(x)$ with the same number of samples.
#
# ## How a posterior collapses, and what helps
#
# Now we train a deeper network, with four layers in the encoder, four in the decoder, and eight latent dimensions.

# %%
deep = {"hidden": (64, 64, 64, 64), "latent_dim": 8, "epochs": 60}
collapsed, data, epoch = train(**deep)
print({key: round(score, 2) for key, score in epoch["test"].items()}, "active dimensions:", epoch["active_units"])
torch.manual_seed(0)
figures.samples(collapsed, data)

# %% [markdown]
# Every sample is the same: the mean of all images. The KL is 0, so the posterior equals the prior for every image, and
# the code says nothing. This is *posterior collapse*. The loss has a second, better optimum, but training does not get
# there. At first the decoder makes no use of the code, so the encoder gains nothing by encoding the image and turns the
# code into noise. Then there is nothing in the code that the decoder could learn to use.
#
# **Question.** How could you change the loss so that using the code pays off from the beginning?

# %%
cures = {
    "none": {},
    "warm-up: the KL's weight rises from 0 to 1 over 30 epochs": {"warmup": 30},
    "free bits: 0.25 nats of each dimension cost nothing": {"free_bits": 0.25},
    "beta: the KL has weight 1/2 in all epochs": {"beta": 0.5},
}
patients = {"none": (collapsed, data, epoch)}
for cure, settings in cures.items():
    if settings:
        patients[cure] = train(**deep, **settings)
    test, active = patients[cure][2]["test"], patients[cure][2]["active_units"]
    print(f"loss {test['loss']:.2f} = {test['reconstruction']:.2f} + {test['kl']:4.2f}   active {active}   {cure}")

# %% [markdown]
# All losses in this table are the plain negative ELBO (weight 1), whatever the model was trained with. The model with
# warm-up minimises exactly that loss in the end. Free bits keep all eight dimensions active, whether the data need them
# or not, and that costs something. With $\beta$ below 1 the model is trained on a different objective, so its ELBO
# measures it by a price of the KL for which it was not trained.
#
# The next figure shows how the KL is spread over the dimensions:

# %%
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for shift, (cure, (vae, data, _)) in enumerate(patients.items()):
    kl = kl_per_dimension(vae, data, data.test).sort(descending=True).values
    places = [dimension + 0.2 * shift - 0.3 for dimension in range(1, 9)]
    axes.bar(places, kl.tolist(), width=0.19, label=cure.split(":")[0])
axes.set(xlabel="latent dimension, by its KL", xticks=range(1, 9), ylabel="nats per image", title="Where the KL goes")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# A collapse can also be the optimum. If the likelihood assumes that pixels are very noisy (try `likelihood="gaussian",
# scale=1.0`), the code costs more than it gains, and the best model does not use it. Then a warm-up does not help, but
# a better scale does.
#
# ## Is one prior better than another?
#
# The standard normal prior is chosen for convenience. A `vamp` prior is a mixture of the posteriors at learned
# pseudo-images, so it can take the shape of the distribution of the codes. We train both on black and white pixels.

# %%
priors = {"normal": {"prior": "normal"}, "vamp": {"prior": "vamp", "components": 20}}
runs = {
    (prior, seed): train(pixels="threshold", seed=seed, **settings)
    for prior, settings in priors.items()
    for seed in (0, 1, 2)
}
for prior in priors:
    print(f"{prior:7}", [round(runs[prior, seed][2]["test"]["loss"], 2) for seed in (0, 1, 2)])

# %% [markdown]
# **Question.** Suppose that a paper shows one number for each prior, to two decimals. What would it say with seed 0?
# With seed 1? Where do the differences between seeds come from?
#
# ### Two kinds of error bars
#
# - **Over seeds.** Another random start gives another model. The standard deviation over seeds says how much its score
#   differs.
# - **Over images.** Another test set of the same kind would give another mean. For this one model, the standard error,
#   $\text{sd over images} / \sqrt n$, says how much the mean would differ.
#
# If two models are scored *on the same images*, compare them in pairs: a hard image is hard for both, and this cancels
# in the difference. The next cell scores the models of seed 0, by $\log p(x)$ of each test image with $K = 200$
# samples:

# %%
torch.manual_seed(0)
score = {}
for prior in ("normal", "vamp"):
    vae, data, _ = runs[prior, 0]
    batches = log_likelihoods(vae, data, data.test, samples=200)
    score[prior] = torch.cat([batch["log_likelihood"] for batch in batches])
n = len(data.test)
for prior, each in score.items():
    print(f"{prior:7} log p(x) = {each.mean():.2f} ± {each.std() / n**0.5:.2f}")
gain = score["vamp"] - score["normal"]
print(f"vamp − normal, in pairs: {gain.mean():+.2f} ± {gain.std() / n**0.5:.2f}", end="; ")
print(f"on different images it would be ± {sum(each.var() / n for each in score.values()).sqrt():.2f}")

# %% [markdown]
# In pairs, the error bar of the difference is much smaller. But it is about these two *models*. We asked whether the
# *prior* is better, and to answer that you need several seeds of each:


# %%
def losses_of(prior):
    return torch.tensor([runs[prior, seed][2]["test"]["loss"] for seed in (0, 1, 2)])


normal, vamp = losses_of("normal"), losses_of("vamp")
error = ((normal.var() + vamp.var()) / 3).sqrt()
print(f"the vamp prior's loss is lower by {normal.mean() - vamp.mean():.2f} ± {error:.2f} nats (3 seeds each)")

# %% [markdown]
# With three seeds, a difference of less than about three errors may be due to chance. Say so, or train more seeds
# (`pyrovae sweep --prior normal,vamp --seed 0,1,2,3,4 --batched` does that for you).
#
# ## A checklist
#
# 1. **Compare the same pixels**: data, split, size and protocol. Say which you use.
# 2. **Compare the same quantity**: densities or probabilities, the ELBO or $\log p(x)$ with $K$ samples. Compare
#    relaxed scores only with each other.
# 3. **Choose on validation images** (`--validation N`), never on the test set. This holds for the epoch and for every
#    setting.
# 4. **Train several seeds**, and report their mean and spread, not the best one.
# 5. **Look at the KL**, and at samples. A good loss can hide a collapsed code, and good pictures can hide a bad loss.
# 6. **Spend the same effort** on the baseline as on your own model: as many epochs and as much tuning.
#
# ## Exercises
#
# ### Exercise 4.1: bits per dimension
#
# `nats` is a loss in nats per image and `shape` the shape of an image, such as `(1, 8, 8)`. Return the loss in bits per
# dimension.


# %%
def bits_per_dimension(nats, shape):
    return ...


check("4.1", bits_per_dimension)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def bits_per_dimension(nats, shape):
#     return nats / math.log(2) / math.prod(shape)
# ```
#
# </details>
#
# ### Exercise 4.2: a change of units
#
# A model scores grey pixels, from 0 to 1, and has the negative log density `nats` per image. Return the negative log
# density that it would have if the same pixels were written as numbers from 0 to 255.


# %%
def in_bytes(nats, shape):
    return ...


check("4.2", in_bytes)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def in_bytes(nats, shape):
#     return nats + math.prod(shape) * math.log(255)
# ```
#
# The axis becomes 255 times as long, so the density of each pixel becomes smaller by that factor. The result is still a
# density and not the probability of a byte.
#
# </details>
#
# ### Exercise 4.3: a paired comparison
#
# `a` and `b` of shape `(n,)` are the scores of two models on the same images. Return the mean of $a - b$ and its
# standard error, as a pair of numbers.


# %%
def paired(a, b):
    return ..., ...


check("4.3", paired)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def paired(a, b):
#     return (a - b).mean(), (a - b).std() / len(a) ** 0.5
# ```
#
# </details>
#
# ### Exercise 4.4: active units
#
# A dimension is *active* if the mean of its posterior varies over the images with a variance above 0.01. `means` of
# shape `(n, latent)` contains the posterior means of all images. Return the number of active dimensions.


# %%
def active_units(means):
    return ...


check("4.4", active_units)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def active_units(means):
#     return int((means.var(0) > 0.01).sum())
# ```
#
# </details>
#
# ## What you know now
#
# - A loss means something only if you also say what the pixels are, which likelihood was used, and what was estimated.
# - A KL of 0 is a collapse. Either training failed to use the code, and a warm-up helps, or the model needs no code.
# - A difference needs an error bar: over pairs of images to compare two models, over seeds to compare two methods.
#
# Next: [5. Labels for a hundred images](5-labels-for-a-hundred.ipynb).
