# %% [markdown]
# # 4. Likelihoods, priors, collapse, and how to compare
#
# Every part of a VAE can be swapped: what a pixel is, how it is scored, where codes come from. Each choice changes the
# number at the end. In this lesson you will
#
# 1. swap likelihoods, and learn which numbers may stand in one table,
# 2. make a posterior collapse, and mend it in three ways,
# 3. swap priors, and find out whether a difference is one.
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
    """A trained model, its data, and the record of its last epoch."""
    config = Config(epochs=epochs, batch_size=64, lr=0.002, device="cpu", **settings)
    data = load(config)
    vae = build(config, data.shape)
    for epoch in fit(vae, data, config):
        pass
    return vae, data, epoch


# %% [markdown]
# ## One model, five numbers
#
# The likelihood $p(x \mid z)$ says how the decoder's output becomes a distribution over pixels. Which ones make sense
# depends on what a pixel *is*; pyrovae calls that the pixel protocol, and stamps it on every result. Five models of the
# same networks and the same 1,797 images:

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
# The table does not say. Three reasons, one after the other.
#
# ### A density is no probability
#
# The discretized logistic gives each of the 256 byte values a probability: its sum over all values is 1, each term at
# most 1, so the loss, $-\log p$, is never negative. The Gaussian gives a *density*: where pixels are predictable it is
# much larger than 1, and the loss falls below 0. A density also depends on the unit of length. `standardized` pixels
# are grey ones, minus their mean and divided by their standard deviation $s$; so the same prediction has a density that
# is $s$ times as large, in each of the 64 pixels:

# %%
s = load(Config(pixels="standardized")).pixels.std
difference = losses["Gaussian, standardized"] - losses["Gaussian, grey"]
print(f"expected difference: -64 log s = {-64 * math.log(s):.2f}   found: {difference:.2f}")

# %% [markdown]
# The sixty nats between the two Gaussians are a change of units, and nearly nothing else. (The rest is training: the
# two start from other weights and scales.)
#
# ### The relaxed Bernoulli is no density either
#
# On grey pixels, $x \log \pi + (1 - x) \log (1 - \pi)$ is a fine loss, but nothing normalises it:

# %%
x = (torch.arange(1000) + 0.5) / 1000
for pi in (0.5, 0.1, 0.01):
    relaxed = (x * math.log(pi) + (1 - x) * math.log(1 - pi)).exp().mean()
    proper = torch.distributions.ContinuousBernoulli(torch.tensor(pi)).log_prob(x).exp().mean()
    print(f"π = {pi:4}: the integral over [0, 1] is {relaxed:.3f}; of the continuous Bernoulli, {proper:.3f}")

# %% [markdown]
# The continuous Bernoulli is the same score divided by that integral, hence a density. Most tutorials report the
# relaxed number: it may be compared with other relaxed numbers, and with nothing else.
#
# ### Bits per dimension
#
# For bytes there is a number that is comparable between image sizes and papers: the loss as *bits per dimension*,
# nats divided by $\log 2$ and by the number of pixels. It is the length, in bits per pixel, of the file into which a
# perfect coder could compress the images with this model.

# %%
bits = losses["discretized logistic, bytes"] / math.log(2) / 64
print(f"{bits:.2f} bits per dimension; a file of bytes has 8, one of numbers from 0 to 16 has {math.log2(17):.2f}")

# %% [markdown]
# Scikit-learn's digits have only 17 grey levels, spread over the 256 bytes, and this likelihood, a smooth bump over the
# bytes, cannot know that. `categorical`, a free probability for each byte, can: add it as a sixth row. Before you call
# it the better model of *digits*, ask what it has learned.
#
# **The rule.** Numbers compare if the pixels are the same (protocol, size, data, split) and the likelihoods are all
# densities or all probabilities over those pixels; and if they estimate the same thing: the ELBO, or $\log p(x)$ with
# the same number of samples.
#
# ## Collapse, made and mended
#
# A deeper network: four layers in the encoder and four in the decoder, eight latent dimensions.

# %%
deep = {"hidden": (64, 64, 64, 64), "latent_dim": 8, "epochs": 60}
collapsed, data, epoch = train(**deep)
print({key: round(score, 2) for key, score in epoch["test"].items()}, "active dimensions:", epoch["active_units"])
torch.manual_seed(0)
figures.samples(collapsed, data)

# %% [markdown]
# Every sample is the same: the mean of all images. The KL is 0, so the posterior is the prior whatever the image, and
# the code says nothing. This is *posterior collapse*. The loss has a second, better optimum, but the way there is
# uphill: at first the decoder cannot read codes, so the encoder earns nothing by sending any, and makes them noise;
# then the decoder has nothing to learn to read.
#
# **Question.** Which changes of the loss would make sending codes worth while at the beginning?

# %%
cures = {
    "none": {},
    "warm-up: the KL's weight rises from 0 over 30 epochs": {"warmup": 30},
    "free bits: 0.25 nats of each dimension cost nothing": {"free_bits": 0.25},
    "beta: the KL counts half, throughout": {"beta": 0.5},
}
patients = {"none": (collapsed, data, epoch)}
for cure, settings in cures.items():
    if settings:
        patients[cure] = train(**deep, **settings)
    test, active = patients[cure][2]["test"], patients[cure][2]["active_units"]
    print(f"loss {test['loss']:.2f} = {test['reconstruction']:.2f} + {test['kl']:4.2f}   active {active}   {cure}")

# %% [markdown]
# All losses here are the plain negative ELBO (weight 1), whatever was trained with. The warm-up minimises just that in
# the end. Free bits keep all eight dimensions busy, whether the data need them or not, and pay for it. With $\beta$
# below 1 the model is trained for another trade, and its ELBO is judged by a price that it was not told.
#
# Where the KL goes, dimension by dimension:

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
# A collapse can also be right. If the likelihood is told that pixels are very noisy (try `likelihood="gaussian",
# scale=1.0`), the code cannot earn its price, and the best model does not use it: no warm-up helps, only a better
# scale.
#
# ## Is one prior better than another?
#
# The standard normal prior is a convenience. A `vamp` prior is a mixture of the posteriors at learned pseudo-images,
# and can take the shape that the codes have. Train both on black and white pixels.

# %%
binary = {"pixels": "threshold", "components": 20, "epochs": 40}
runs = {(prior, seed): train(prior=prior, seed=seed, **binary) for prior in ("normal", "vamp") for seed in (0, 1, 2)}
for prior in ("normal", "vamp"):
    print(f"{prior:7}", [round(runs[prior, seed][2]["test"]["loss"], 2) for seed in (0, 1, 2)])

# %% [markdown]
# **Question.** A paper shows one number for each prior, to two decimals. What would it have said with seed 0? With seed
# 1? Where does the spread come from?
#
# ### Two kinds of error bars
#
# - **Over seeds.** Another random start gives another model. The standard deviation over seeds says how much.
# - **Over images.** Another test set of the same kind would give another mean. The standard error,
#   $\text{sd over images} / \sqrt n$, says how much, for this one model.
#
# Two models scored *on the same images* are compared in pairs: a hard image is hard for both, and that cancels in the
# difference. Here are the scores, $\log p(x)$ of each test image with $K = 200$ samples, for the models of seed 0:

# %%
torch.manual_seed(0)
score = {}
for prior in ("normal", "vamp"):
    vae, data, _ = runs[prior, 0]
    found = list(log_likelihoods(vae, data, data.test, samples=200))
    score[prior] = torch.cat([batch["log_likelihood"] for batch in found])
n = len(data.test)
for prior, each in score.items():
    print(f"{prior:7} log p(x) = {each.mean():.2f} ± {each.std() / n**0.5:.2f}")
gain = score["vamp"] - score["normal"]
print(f"vamp − normal, in pairs: {gain.mean():+.2f} ± {gain.std() / n**0.5:.2f}", end="; ")
print(f"if the images were not the same: ± {sum(each.var() / n for each in score.values()).sqrt():.2f}")

# %% [markdown]
# Pairs make the error bar of the difference much smaller. But it speaks of these two *models*. What we asked is whether
# the *prior* is better, and that takes several seeds of each:


# %%
def losses_of(prior):
    return torch.tensor([runs[prior, seed][2]["test"]["loss"] for seed in (0, 1, 2)])


normal, vamp = losses_of("normal"), losses_of("vamp")
error = ((normal.var() + vamp.var()) / 3).sqrt()
print(f"the vamp prior's loss is lower by {normal.mean() - vamp.mean():.2f} ± {error:.2f} nats (3 seeds each)")

# %% [markdown]
# With three seeds, a difference of less than some three errors may be chance: say so, or train more seeds (`pyrovae
# sweep --prior normal,vamp --seed 0,1,2,3,4 --batched` does it for you).
#
# ## A checklist
#
# 1. **Same pixels**: data, split, size, protocol. Say which.
# 2. **Same quantity**: a density or a probability, ELBO or $\log p(x)$ with $K$ samples. Relaxed scores only among
#    themselves.
# 3. **Choose on validation images** (`--validation N`), never on the test set: not the epoch, not the setting.
# 4. **Several seeds**; mean and spread, not the best one.
# 5. **Look at the KL**, and at the samples. A good loss may hide a collapsed code, and good pictures a bad loss.
# 6. **Same effort**: as many epochs, as much tuning for the baseline as for your own.
#
# ## Exercises
#
# ### Exercise 4.1: bits per dimension
#
# From a loss in nats per image and the shape of an image, such as `(1, 8, 8)`.


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
# A model scores pixels in units of 1 (grey, 0 to 1) with the negative log density `nats` per image. What would be its
# negative log density if the same pixels were written as 0 to 255?


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
# The axis gets 255 times as long, so the density falls by that factor, in each pixel. The result is still a density,
# and no probability of a byte.
#
# </details>
#
# ### Exercise 4.3: a paired comparison
#
# From the scores of two models on the same images, `a` and `b` of shape `(n,)`, return the mean of $a - b$ and its
# standard error: a pair of numbers.


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
# A dimension is *active* if the mean of its posterior varies over the images: its variance is above 0.01. Count them,
# from `means` of shape `(n, latent)`.


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
# - A loss means something only with its pixels, its likelihood and its estimate beside it.
# - A KL of 0 is a collapse: of the training, which a warm-up mends, or of a model that needs no code.
# - A difference needs an error bar: in pairs over the images for two models, over seeds for two methods.
#
# This was the last lesson. Go on with `pyrovae list`, the presets on real data in [`results/`](../README.md), and a
# likelihood of your own: the [README](../../README.md#components) shows one in ten lines.
