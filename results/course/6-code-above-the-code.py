# %% [markdown]
# # 6. A code above the code
#
# The prior of a VAE is simple, and the codes have to fit it. A second code $z_2$ above the first can make the prior of
# $z_1$ as rich as you like: what the decoder is for the pixels, one more network is for $z_1$. In this lesson you will
#
# 1. write a program with two codes, and split its ELBO into a term for each layer,
# 2. train it, see the top layer die, and find out why,
# 3. try five remedies, of which some help the top code, and some help the model,
# 4. look at what the top code holds, and measure whether the model is better for it.
#
# You need lessons 1, 2 and 4. All cells together take about a minute.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch
from checks import check
from pyro import poutine
from pyro.infer import Trace_ELBO
from sklearn.mixture import GaussianMixture
from torch import nn

from pyrovae import Config, build, figures, fit, load
from pyrovae.evaluation.importance import log_likelihoods
from pyrovae.evaluation.latents import report
from pyrovae.figures.style import image_figure

data = load(Config(pixels="threshold"))
x_train = data.batch(data.train, slice(None)).x
x_test = data.batch(data.test, slice(None)).x

# %% [markdown]
# ## Two codes, one program
#
# The model draws the top code, from it the code below, and from that the image. The guide goes the other way; it is
# called *bottom-up*:
#
# $$ z_2 \sim \mathcal N(0, I), \quad z_1 \sim p(z_1 \mid z_2), \quad x \sim p(x \mid z_1),
# \qquad\text{inferred by}\quad z_1 \sim q(z_1 \mid x), \quad z_2 \sim q(z_2 \mid z_1). $$
#
# Every arrow is a network that returns the mean and the scale of a diagonal Gaussian, but for the last one, which
# returns the probability of ink for each pixel. Here $z_1$ has eight dimensions and $z_2$ four.

# %%
torch.manual_seed(0)


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, outputs))


decoder, prior_1 = network(8, 64), network(4, 16)  # p(x | z1), p(z1 | z2)
posterior_1, posterior_2 = network(64, 16), network(8, 8)  # q(z1 | x), q(z2 | z1)


def gaussian(h):
    loc, log_variance = h.chunk(2, -1)
    return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)


def model(x=None, n=1):
    with pyro.plate("images", n if x is None else len(x)):
        z2 = pyro.sample("z2", dist.Normal(torch.zeros(4), 1.0).to_event(1))
        z1 = pyro.sample("z1", gaussian(prior_1(z2)))
        return pyro.sample("x", dist.Bernoulli(logits=decoder(z1)).to_event(1), obs=x)


def guide(x):
    with pyro.plate("images", len(x)):
        z1 = pyro.sample("z1", gaussian(posterior_1(x)))
        return pyro.sample("z2", gaussian(posterior_2(z1)))


# %% [markdown]
# ## The ELBO, layer by layer
#
# The bound of lesson 2 holds for both codes together: take the expectation of $\log p(x, z_1, z_2) - \log q(z_1, z_2
# \mid x)$. Both are products over the arrows, so the bound is a sum with a term for each site:
#
# $$ \mathrm{ELBO}(x) = \mathbb E_q\big[\log p(x \mid z_1)\big]
# - \underbrace{\mathbb E_q\big[\log q(z_1 \mid x) - \log p(z_1 \mid z_2)\big]}_{\text{term of } z_1}
# - \underbrace{\mathbb E_q\big[\log q(z_2 \mid z_1) - \log p(z_2)\big]}_{\text{term of } z_2}. $$
#
# **Question.** For one of the two last terms, lesson 2's closed form of the KL would be wrong. For which, and why?

# %%
x = x_test.flatten(1)
with torch.no_grad():
    torch.manual_seed(1)
    q1 = gaussian(posterior_1(x))
    z1 = q1.rsample()
    q2 = gaussian(posterior_2(z1))
    z2 = q2.rsample()
    pixels = dist.Bernoulli(logits=decoder(z1)).to_event(1).log_prob(x)
    term_1 = q1.log_prob(z1) - gaussian(prior_1(z2)).log_prob(z1)
    term_2 = q2.log_prob(z2) - dist.Normal(torch.zeros(4), 1.0).to_event(1).log_prob(z2)
    by_hand = (pixels - term_1 - term_2).sum()

    torch.manual_seed(1)
    by_pyro = -Trace_ELBO().loss(model, guide, x)
print(f"by hand {by_hand / len(x):.4f}, by Pyro {by_pyro / len(x):.4f} nats per image")
print(f"pixels {pixels.mean():.2f}, term of z1 {term_1.mean():.2f}, term of z2 {term_2.mean():.2f}")

# %% [markdown]
# It would be wrong for $z_1$. In the closed form, $z_1$ is averaged over $q(z_1 \mid x)$ while $p(z_1 \mid z_2)$ stays
# where it is. But here $z_2$ was inferred from this very $z_1$, so the two move together. The term of $z_2$ is the mean
# of a true KL, which you may compute in closed form for each $z_1$.
#
# From here on we use pyrovae's `hierarchical` program, which is this one, with two hidden layers between the codes. We
# keep the term of each site after every epoch. To compare, we also train a VAE that has only $z_1$.


# %%
def train(**settings):
    """Train a model; return it and the records of all its epochs."""
    both = {"program": "hierarchical", "latent_dim": (8, 4), "upper_hidden": (64, 64), "hidden": (64,)}
    rest = {"pixels": "threshold", "epochs": 40, "batch_size": 128, "lr": 0.003, "device": "cpu"}
    config = Config(**(both | rest | settings))
    vae = build(config, data.shape)
    return vae, [*fit(vae, data, config)]


def line(records):
    """Summarise the last of these records."""
    last = records[-1]
    kl = last["test"].get("sites", {"z1": last["test"]["kl"]})
    active = last.get("active_units_by_site", {"z1": last["active_units"]})
    # at one draw for each image, a KL of 0 may come out below 0
    terms = [f"{name}: {max(0.0, kl[name]):4.2f} nats, {active[name]} active" for name in sorted(kl)]
    return "   ".join([f"loss {last['test']['loss']:5.2f}", *terms])


one_code, one_records = train(program="vae", latent_dim=8, upper_hidden=())
bottom_up, records = train()
print("one code    ", line(one_records))
print("two codes   ", line(records))

# %% [markdown]
# The top layer is dead: its KL is 0, and none of its dimensions is active. The loss does not show it. It is even lower
# than that of one code, although $z_2$ says nothing: $p(z_1 \mid z_2)$ has at least learned a mean and a scale, where
# the prior of one code is $\mathcal N(0, I)$. When did the top layer die?

# %%
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for name in ("z1", "z2"):
    axes.plot(range(1, 41), [record["test"]["sites"][name] for record in records], label=f"$z_{name[1]}$")
axes.set(xlabel="epoch", ylabel="nats per image", title="The terms of both codes, on test images")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# It never lived.
#
# ## Why the top layer dies
#
# Collect all that $z_2$ adds to the ELBO. The decoder reads $z_1$ alone, so the pixels are not in it:
#
# $$ \mathbb E_{q(z_1)}\Big[\, \mathbb E_{q(z_2 \mid z_1)}\big[\log p(z_1 \mid z_2)\big] -
# \mathrm{KL}\big(q(z_2 \mid z_1)\,\|\,p(z_2)\big) \Big], \qquad q(z_1) = \mathbb E_x\big[q(z_1 \mid x)\big]. $$
#
# This is the ELBO of another VAE, whose data are the codes $z_1$. It is a bound on $\log p(z_1)$. If the codes of all
# images together have the shape of one diagonal Gaussian, $p(z_1 \mid z_2)$ can match them without $z_2$, and the top
# code has nothing to say.
#
# **Question.** The decoder of this inner VAE is the network behind $p(z_1 \mid z_2)$. How can you tell from it that
# $z_2$ is not read?


# %%
def spread(vae, n=2000):
    """Return how far the mean of p(z1 | z2) moves with z2, and the scale of p(z1 | z2), both over the dimensions."""
    torch.manual_seed(0)
    with torch.no_grad():
        p = vae.lower_priors[0](torch.randn(n, 4)).base_dist
    return p.loc.std(0), p.scale.square().mean(0).sqrt()


moves, scale = spread(bottom_up)
print(f"z2 moves the mean of z1 by {moves.mean():.2f}, while z1 has a scale of {scale.mean():.2f} around it")

# %% [markdown]
# How much could a top code gain here? At most, the inner VAE describes $q(z_1)$ perfectly. We fit two densities to
# codes of the training images, a diagonal Gaussian and a mixture of ten of them, and score codes of the test images:


# %%
def codes(vae, x):
    """Draw z1 for each image."""
    torch.manual_seed(0)
    with torch.no_grad():
        return poutine.trace(vae.guide).get_trace(x).nodes["z1"]["value"].numpy()


def mixture_gain(vae):
    """Return by how many nats a mixture of ten Gaussians describes the codes z1 better than one."""
    one, ten = (
        GaussianMixture(k, covariance_type="diag", random_state=0).fit(codes(vae, x_train)).score(codes(vae, x_test))
        for k in (1, 10)
    )
    return ten - one


to_gain = mixture_gain(bottom_up)
print(f"a mixture of ten Gaussians is better by {to_gain:.2f} nats per image")

# %% [markdown]
# That is little, even if another density may find more than these ten. And it is no accident: while $p(z_1 \mid z_2)$
# was a Gaussian that ignores $z_2$, the encoder was paid to make $q(z_1)$ look like that Gaussian. The layers have
# settled with each other.
#
# The other half of the reason is how it began. The guide infers $z_2$ from a draw of $z_1$, not from the image. How
# much of such a draw is signal before training? We compare the variance of the means of $q(z_1 \mid x)$, over the
# images, with the variance of a draw:


# %%
def signal(vae):
    """Return the share of the variance of z1 that comes from the image, for each dimension."""
    with torch.no_grad():
        q = poutine.trace(vae.guide).get_trace(x_test).nodes["z1"]["fn"].base_dist
    return q.loc.var(0) / (q.loc.var(0) + q.scale.square().mean(0))


untrained = build(Config(program="hierarchical", latent_dim=(8, 4), upper_hidden=(64, 64), hidden=(64,)), data.shape)
for name, vae in {"before training": untrained, "after training": bottom_up}.items():
    print(f"{name:15} {signal(vae).mean():.1%} of the variance of z1 comes from the image")

# %% [markdown]
# In the first epochs $z_2$ encodes noise, and the network above learns to ignore it, as in lesson 4. When $z_1$ has
# learned something, $q(z_2 \mid z_1)$ already equals the prior, whatever $z_1$.
#
# ## Five remedies
#
# - **Warm-up**, as in lesson 4: the weight of both KL terms rises from 0 to 1, here over 20 epochs.
# - **Free bits**, as in lesson 4: 0.25 nats of each dimension cost nothing, in both layers.
# - **Both together.**
# - **The ladder** (Sønderby et al., 2016): the guide infers the top code from the image, and $z_1$ from the image *and*
#   the top code. It multiplies what the encoder says of $z_1$ by what the model says, $q(z_1 \mid x, z_2) \propto
#   \mathcal N(z_1; \mu(x), \mathrm{diag}\,\sigma^2(x))\; p(z_1 \mid z_2)$.
# - **Top-down with skip connections**: the guide infers the top code from the image and $z_1$ from both, by a network;
#   and the decoder reads both codes, so that $z_2$ is of use for the pixels, too.
#
# **Question.** In a program in which the decoder reads only $z_1$, which of warm-up and free bits changes the price of
# $z_2$, compared with what $z_2$ gains? Look at the terms that each of them multiplies.

# %%
remedies = {
    "none": {},
    "warm-up": {"warmup": 20},
    "free bits": {"free_bits": 0.25},
    "free bits, warm-up": {"free_bits": 0.25, "warmup": 20},
    "ladder, warm-up": {"inference": "ladder", "warmup": 20},
    "ladder, free bits, warm-up": {"inference": "ladder", "free_bits": 0.25, "warmup": 20},
    "top-down, skip, warm-up": {"inference": "top_down", "skip": "yes", "warmup": 20},
}
patients = {"none": (bottom_up, records)}
for remedy, settings in remedies.items():
    if settings:
        patients[remedy] = train(**settings)
    print(f"{remedy:27}", line(patients[remedy][1]))

# %% [markdown]
# - *Warm-up* makes the model better, but the top code stays dead. Everything that $z_2$ adds to the ELBO, its gain
#   $\log p(z_1 \mid z_2)$ as well as its price, has the weight of the KL. So the weight changes what $z_1$ costs
#   compared with the pixels, but not what $z_2$ costs compared with what it gains. It can help $z_2$ only indirectly,
#   by a $z_1$ that leaves more to describe. With some other seeds one dimension of $z_2$ wakes up.
# - *Free bits* wake it up: the first quarter of a nat of each dimension has no price. All four dimensions are active,
#   each a little above its quarter. Whether the data need them is another question.
# - *The ladder* does not help here. Its $q(z_1 \mid x, z_2)$ contains the prior as a factor: where the encoder says
#   nothing of a dimension, $q$ is the prior, and costs nothing. With a warm-up alone, four dimensions of $z_1$ have
#   died as well. Free bits wake the top code up here, too, but the loss stays above that of the bottom-up guide.
#   Sønderby et al. trained the ladder on larger images, with batch normalisation, more layers and many more epochs.
# - *Top-down with skip connections* brings the top code to life without free bits, as the decoder now reads it.
#
# ## What the top code holds
#
# To see it, fix $z_2$, draw $z_1$ from $p(z_1 \mid z_2)$ many times, and decode. `poutine.condition` fixes a site of
# the model. In the next two figures each row has a $z_2$ of its own, drawn from the prior; its first image is the mean
# of 400 draws, and the others are nine of these.


# %%
def below(vae, z2):
    """Draw z1 for each z2, and return the images."""
    with torch.no_grad():
        trace = poutine.trace(poutine.condition(vae.model, {"z2": z2})).get_trace(n=len(z2))
    return trace.nodes["x"]["fn"].mean


def families(vae, title, rows=6, draws=400):
    """Draw images that share their top code, row by row."""
    torch.manual_seed(0)
    z2 = torch.randn(rows, 4)
    images = below(vae, z2.repeat_interleave(draws, 0)).unflatten(0, (rows, draws))
    images = torch.cat([images.mean(1, keepdim=True), images[:, :9]], 1).flatten(0, 1)
    return image_figure(images, 10, title, column_labels=["mean", *["draw"] * 9])


families(bottom_up, "A dead top code: one z2 in each row")

# %%
awake = patients["free bits, warm-up"][0]
families(awake, "A top code with free bits: one z2 in each row")

# %% [markdown]
# With a dead top code the rows have the same mean: every $z_2$ stands for the same collection of digits. With free bits
# the means differ. The top code says roughly what kind of image it is, and leaves much to $z_1$.
#
# We measure it in two ways: how well the label of an image can be read from the mean of its $z_2$ (by the five nearest
# neighbours, as in lesson 3), and which share of the variance of $z_1$, in the model, is due to $z_2$:

# %%
holds = {}
for remedy, (vae, _) in patients.items():
    moves, scale = spread(vae)
    share = (moves.square() / (moves.square() + scale.square())).mean().item()
    holds[remedy] = {"label": report(vae, data)["knn_accuracy"], "share": share}
    print(f"{remedy:27} label {holds[remedy]['label']:4.0%}   share of the variance of z1 {share:4.0%}")

# %% [markdown]
# Neither number is safe to read alone. From a dead code, too, the neighbours read more than the 10 % of guessing. Its
# means differ by one or two hundredths, and neighbours do not care how small a difference is; but a draw of $z_2$ has
# the scale 1, so nothing of this arrives in the model. And the ladder's dead top code moves $z_1$ a lot: where
# $q(z_1 \mid x, z_2)$ is the prior, a dimension of $z_1$ may follow $z_2$ at no cost, although neither says anything
# about the image.
#
# Now that a top code describes them, do the codes $z_1$ still look like one Gaussian?

# %%
gain_awake = mixture_gain(awake)
print(f"a mixture of ten Gaussians is better than one by {gain_awake:.2f} nats; it was {to_gain:.2f}")

# %% [markdown]
# They do so less. The encoder is no longer paid to make them alike.
#
# `figures.traversals` moves one dimension of the top code at a time, with $z_1$ at the mean of $p(z_1 \mid z_2)$. The
# names of its rows are those of the four dimensions of $z_2$:

# %%
figures.traversals(awake, data)

# %% [markdown]
# ## Is the model better for it?
#
# Active units are no aim in themselves. The honest question is lesson 4's: is $\log p(x)$ of test images higher? We
# estimate it with $K = 500$ draws of both codes, for all models, and compare in pairs, on the same images:


# %%
def log_p(vae, samples=500):
    """Estimate log p(x) of each test image by importance sampling."""
    torch.manual_seed(0)
    batches = log_likelihoods(vae, data, data.test, samples=samples)
    return torch.cat([batch["log_likelihood"] for batch in batches])


n = len(data.test)
score = {"one code": log_p(one_code), **{remedy: log_p(vae) for remedy, (vae, _) in patients.items()}}
for remedy, each in score.items():
    gain = each - score["none"]
    print(f"{remedy:27} log p(x) = {each.mean():.2f}   compared with none: {gain.mean():+.2f} ± ", end="")
    print(f"{gain.std() / n**0.5:.2f}")

# %% [markdown]
# Warm-up alone, with a dead top code, gains more than the top-down guide with a living one. Warm-up with free bits is a
# little better still. But the error bars are those of lesson 4 over *images*, for these very models. With another seed
# the number of one remedy may differ by three or four tenths. So we train these two with two more seeds:

# %%
gains = []
for seed in (0, 1, 2):
    both = {}
    for remedy in ("warm-up", "free bits, warm-up"):
        vae, of_run = train(**remedies[remedy], seed=seed) if seed else patients[remedy]
        both[remedy] = score[remedy] if seed == 0 else log_p(vae)
        print(f"seed {seed}   {remedy:18} log p(x) = {both[remedy].mean():.2f}   {line(of_run)}")
    gains.append((both["free bits, warm-up"] - both["warm-up"]).mean())
gains = torch.stack(gains)
print(f"free bits beside a warm-up gain {gains.mean():+.2f} ± {gains.std() / 3**0.5:.2f} nats in log p(x)")

# %% [markdown]
# In each of three pairs the living top code gains between one and two tenths of a nat. That is about what there was to
# gain: a better description of $q(z_1)$ was worth a few tenths. On larger images, and with many layers, hierarchies
# gain much more. But find out by $\log p(x)$, not by counting units. To wake the top code and to improve the model are
# two things: warm-up alone did the second without the first.
#
# ## Exercises
#
# ### Exercise 6.1: the KL to a prior that moves
#
# Return $\mathrm{KL}(\mathcal N(m_q, s_q^2)\,\|\,\mathcal N(m_p, s_p^2))$, summed over the dimensions. All arguments
# have the shape `(n, latent)`, and the result has the shape `(n,)`. In one dimension it is
# $\log \frac{s_p}{s_q} + \frac{s_q^2 + (m_q - m_p)^2}{2 s_p^2} - \frac12$.


# %%
def gaussian_kl(m_q, s_q, m_p, s_p):
    return ...


check("6.1", gaussian_kl)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def gaussian_kl(m_q, s_q, m_p, s_p):
#     return ((s_p / s_q).log() + (s_q**2 + (m_q - m_p) ** 2) / (2 * s_p**2) - 0.5).sum(1)
# ```
#
# With $m_p = 0$ and $s_p = 1$ this is exercise 1.2. A top-down guide may use it for $z_1$: there $z_2$ comes first.
#
# </details>
#
# ### Exercise 6.2: free bits
#
# `kl` of shape `(n, latent)` contains the KL of each image and dimension. Free bits replace the KL of each dimension,
# *averaged over the images*, by `free` nats if it is lower. Return the sum over the dimensions, a single number.


# %%
def with_free_bits(kl, free):
    return ...


check("6.2", with_free_bits)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def with_free_bits(kl, free):
#     return kl.mean(0).clamp(min=free).sum()
# ```
#
# Below `free` the gradient of a dimension is 0: it costs nothing to say more. The limit is on the average, so that an
# unusual image may say more than others.
#
# </details>
#
# ### Exercise 6.3: the product in the ladder
#
# The product of the densities $\mathcal N(m_1, s_1^2)$ and $\mathcal N(m_2, s_2^2)$ is, up to a factor, again a
# Gaussian. Precisions $1/s^2$ add up, and they are the weights of the means. Return the mean and the *scale* of the
# product, as a pair.


# %%
def product(m_1, s_1, m_2, s_2):
    return ..., ...


check("6.3", product)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def product(m_1, s_1, m_2, s_2):
#     precision = s_1**-2 + s_2**-2
#     return (m_1 * s_1**-2 + m_2 * s_2**-2) / precision, precision**-0.5
# ```
#
# The product is narrower than either factor. So in a ladder $q(z_1 \mid x, z_2)$ is never wider than $p(z_1 \mid z_2)$.
#
# </details>
#
# ### Exercise 6.4: how much comes from above
#
# For `n` draws of $z_2$, `loc` and `scale` of shape `(n, latent)` are the mean and the scale of $p(z_1 \mid z_2)$.
# Return the share of the variance of $z_1$ that is due to $z_2$, for each dimension: a tensor of shape `(latent,)`,
# between 0 and 1. Exercise 1.4 helps.


# %%
def share_from_above(loc, scale):
    return ...


check("6.4", share_from_above)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def share_from_above(loc, scale):
#     return loc.var(0) / (loc.var(0) + scale.square().mean(0))
# ```
#
# </details>
#
# ## What you know now
#
# - The ELBO of a hierarchy is a sum over its sites, and each layer is a VAE of the codes below it.
# - A top code dies if a plain Gaussian describes the codes below well enough, or does so at the moment when it matters.
#   Where the decoder reads only the lowest code, a warm-up changes the gain of the top code as much as its price. Free
#   bits change the price alone, and skip connections the gain.
# - A living code need not make a better model. Compare $\log p(x)$, in pairs and over seeds.
#
# This was the last lesson. From here, try `pyrovae list`, look at the presets on real data in
# [`results/`](../README.md), or write a likelihood of your own: the [README](../../README.md#components) shows one in
# ten lines.
