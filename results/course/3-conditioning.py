# %% [markdown]
# # 3. Conditioning
#
# A VAE draws *some* digit. Often one wants a certain one: a seven, or the rest of an image of which a part is seen. In
# this lesson you will
#
# 1. give the model a label, and see that the code then holds what the label does not say: the style,
# 2. turn the generative model into a classifier by Bayes' rule,
# 3. complete images from one quadrant, and find out when that needs a code at all.
#
# You need lessons 1 and 2. All cells together take under a minute.

# %%
# %matplotlib inline
import math

import torch
from checks import check
from torch import nn
from torch.nn import functional as F

from pyrovae import Config, build, figures, fit, load
from pyrovae.evaluation.importance import log_weights
from pyrovae.evaluation.latents import report
from pyrovae.figures.style import image_figure


def train(**settings):
    """A trained model, and the record of its last epoch on the test set."""
    defaults = {"pixels": "threshold", "epochs": 60, "batch_size": 64, "lr": 0.002, "device": "cpu"}
    config = Config(**(defaults | settings))
    vae = build(config, data.shape, len(data.classes))
    for epoch in fit(vae, data, config):
        pass
    return vae, epoch["test"]


# %% [markdown]
# The pixels of this lesson are black or white: `threshold` takes those for ink that are darker than half.

# %%
data = load(Config(pixels="threshold"))
x_train, labels_train = data.batch(data.train, slice(None))
x_test, labels = data.batch(data.test, slice(None))
image_figure(x_test[:20], 10, "Twenty test images")

# %% [markdown]
# ## Given the label
#
# Write $y$ for what is given, and condition everything on it:
#
# $$ z \sim p(z \mid y), \qquad x \sim p(x \mid z, y), \qquad\text{inferred by}\quad z \sim q(z \mid x, y), $$
#
# $$ \log p(x \mid y) \ge \mathbb E_{q}[\log p(x \mid z, y)] - \mathrm{KL}\big(q(z \mid x, y)\,\|\,p(z \mid y)\big). $$
#
# Nothing is derived anew: it is lesson 2 with a bar and a $y$ everywhere. In the networks, the label enters as ten
# numbers, one of them 1 and the others 0, beside the image in the encoder and beside the code in the decoder. The prior
# stays $\mathcal N(0, I)$ for every label.
#
# **Question.** Will the KL be larger or smaller than without the label? And the loss?

# %%
plain, plain_scores = train()
given, given_scores = train(condition="label")
for name, found in {"unconditional": plain_scores, "given the label": given_scores}.items():
    print(f"{name:16}", {key: round(score, 2) for key, score in found.items()})

# %% [markdown]
# Smaller, both. The code need no longer say *which* digit it is, only how it was written. A label can say at most
# $\log 10 = 2.3$ nats; the loss fell by more, as the plain VAE of two dimensions did not have room for everything.
#
# Where are the codes?

# %%
figures.latent(given, data)

# %% [markdown]
# All labels lie on top of each other: the code is (nearly) independent of the label. And one dimension was enough: in
# the other all means are near 0, the prior's. Measure it: from the codes of one half of the test images, can five
# nearest neighbours tell the label of the other half? Guessing is right in 10 %.

# %%
for name, vae in {"unconditional": plain, "given the label": given}.items():
    print(f"{name:16} label read from the code: {report(vae, data)['knn_accuracy']:.0%}")

# %% [markdown]
# **Question.** Nobody asked the code to forget the label. Why does it?
#
# Because the KL is paid for every nat, and the decoder knows the label anyway: to say it twice costs and buys nothing.
#
# One code, decoded with every label, is one style. Each row is a label, each column a code drawn from the prior:

# %%
torch.manual_seed(0)
figures.conditions(given, data)

# %% [markdown]
# ## A classifier, for free
#
# The model scores an image under every label: $p(x \mid y)$. Bayes' rule turns that round,
#
# $$ p(y \mid x) = \frac{p(x \mid y)\, p(y)}{\sum_{y'} p(x \mid y')\, p(y')}, $$
#
# with $p(y) = \tfrac1{10}$. We estimate $\log p(x \mid y)$ by importance sampling with $K = 50$ codes, as in lesson 2.

# %%
K = 50
torch.manual_seed(0)
scores = []  # log p(x | y) for each label
for label in range(10):
    y = given.given(x_test, torch.full((len(x_test),), label))  # as the networks read it: (n, 10)
    log_w = log_weights(given.model, given.guide, K, x_test, y)  # (K, n)
    scores.append(torch.logsumexp(log_w, 0) - math.log(K))
scores = torch.stack(scores, 1)  # (n, 10)
guess = scores.argmax(1)
print(f"right for {(guess == labels).double().mean():.1%} of the test images")

# %%
wrong = (guess != labels).nonzero()[:, 0][:10]
probability = torch.softmax(scores, 1)[wrong, guess[wrong]]
heads = [f"{data.classes[i]}→{data.classes[j]}" for i, j in zip(labels[wrong], guess[wrong])]
print("it is sure of its errors by", [f"{p:.0%}" for p in probability.tolist()])
image_figure(x_test[wrong], len(wrong), "Wrong ones: label → guess", column_labels=heads)

# %% [markdown]
# A classifier trained for nothing else does better (the nearest neighbours of lesson 1 were right for 98.6 %, on grey
# pixels). But this one can also say $p(x)$: how unusual an image is, whatever its label.
#
# ## Given a quadrant
#
# Now $y$ is a part of the image: its lower left quadrant. The rest is to be completed. Two things change:
#
# - the likelihood counts only the pixels that are *not* seen,
# - the prior becomes a network of what is seen, $p(z \mid y) = \mathcal N(z;\, \mu(y), \mathrm{diag}\,\sigma^2(y))$, as
#   different quadrants leave different things open.
#
# First a **baseline**, without any code: a network from the seen pixels to the probability of each of the others.

# %%
config = Config(pixels="threshold", condition="quadrant1", device="cpu")
seen = build(config, data.shape).context.seen  # (1, 8, 8), true for what is seen
torch.manual_seed(0)
baseline = nn.Sequential(
    *[nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()],
    *[nn.Linear(128, 64), nn.Unflatten(1, (1, 8, 8))],
)


def baseline_loss(x):
    """−log p(unseen pixels | seen pixels) for each image, if the pixels are independent."""
    cross_entropy = F.binary_cross_entropy_with_logits(baseline(x * seen), x, reduction="none")
    return (cross_entropy * ~seen).flatten(1).sum(1)


optimizer = torch.optim.Adam(baseline.parameters(), lr=0.002)
for _ in range(60):
    for batch in x_train[torch.randperm(len(x_train))].split(64):
        optimizer.zero_grad()
        baseline_loss(batch).mean().backward()
        optimizer.step()
with torch.no_grad():
    print(f"baseline: {baseline_loss(x_test).mean():.2f} nats per test image")

# %% [markdown]
# And the conditional VAE, with layers of the same widths. In its first 30 epochs the weight of the KL rises from 0 to 1
# (`warmup`), so that a code is of use before it costs.

# %%
completer, completer_scores = train(condition="quadrant1", warmup=30)


def log_p(vae, samples=100):
    """log p(x | y) of each test image, by importance sampling."""
    torch.manual_seed(0)
    log_w = log_weights(vae.model, vae.guide, samples, x_test, vae.given(x_test))
    return torch.logsumexp(log_w, 0) - math.log(samples)


print({key: round(score, 2) for key, score in completer_scores.items()})
print(f"conditional VAE: {-log_p(completer).mean():.2f} nats per test image")

# %% [markdown]
# The two last numbers compare: both are $-\log p(\text{unseen} \mid \text{seen})$ in nats over the same pixels.
#
# **Question.** The baseline knows everything that the decoder knows. What can it not express?

# %%
torch.manual_seed(1)
rows = torch.tensor([0, 2, 5, 8])
x = x_test[rows]
with torch.no_grad():
    probability = torch.where(seen, x, baseline(x * seen).sigmoid())
blue = torch.tensor((0.80, 0.87, 0.94))[:, None, None]
columns = [torch.where(seen, x, blue), x.expand(-1, 3, -1, -1), probability.expand(-1, 3, -1, -1)]
columns += [torch.where(seen, x, torch.bernoulli(probability)).expand(-1, 3, -1, -1) for _ in range(3)]
columns += [completer.complete(x).expand(-1, 3, -1, -1) for _ in range(4)]
heads = ["seen", "truth", "base", "draw", "draw", "draw", *["VAE"] * 4]
image_figure(torch.stack(columns, 1).flatten(0, 1), len(heads), "Completions", column_labels=heads)

# %% [markdown]
# The baseline gives each pixel a probability ("base"), and draws them independently ("draw"): when several digits fit
# the quadrant, it draws a bit of each. The conditional VAE first decides which ("VAE": the means for four codes), and
# then draws pixels that belong together. The decision is the code, and the KL is what it says beyond the quadrant.
#
# ## When the code is not used
#
# The same with a deeper network, four layers of 64 units, and without the warm-up:

# %%
collapsed, collapsed_scores = train(condition="quadrant1", hidden=(64, 64, 64, 64))
print({key: round(score, 2) for key, score in collapsed_scores.items()})
print(f"deep, without a warm-up: {-log_p(collapsed).mean():.2f} nats per test image")

# %% [markdown]
# The KL is 0: whatever the code, this model completes an image in one way only. It has become the baseline, and its
# score is about that of the baseline. Early in training the code is noise; a decoder that learns to ignore it saves the
# KL, and never looks back. **Always look at the KL of a conditional model**: its pictures of means look smooth and
# fine. Lesson 4 tells more about collapse.
#
# ## Exercises
#
# ### Exercise 3.1: as many sevens as you like
#
# Return `n` images of the digit `label` from a model that is given labels. `vae.generate(y=...)` draws one image for
# each label in a tensor of integers.


# %%
def draw_label(vae, label, n):
    return ...


check("3.1", draw_label)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def draw_label(vae, label, n):
#     return vae.generate(y=torch.full((n,), label))
# ```
#
# </details>
#
# ### Exercise 3.2: the same hand
#
# How would the writer of an image write another digit? Encode the images `x` with their own labels `y` (to the mean of
# the posterior), and decode with the labels `other`. You need `vae.encode(x, y)` and `vae.decode(z, y)`.


# %%
def same_hand(vae, x, y, other):
    return ...


check("3.2", same_hand)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def same_hand(vae, x, y, other):
#     return vae.decode(vae.encode(x, y).mean, other)
# ```
#
# Try it: `image_figure(torch.cat([same_hand(given, x_test[i : i + 1].expand(10, -1, -1, -1), labels[i].expand(10),
# torch.arange(10)) for i in range(5)]), 10, "Five hands")`.
#
# </details>
#
# ### Exercise 3.3: Bayes' rule
#
# From `scores` of shape `(n, 10)`, the values of $\log p(x \mid y)$, and `prior` of shape `(10,)`, the probabilities
# $p(y)$, return $p(y \mid x)$ of shape `(n, 10)`.


# %%
def bayes(scores, prior):
    return ...


check("3.3", bayes)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def bayes(scores, prior):
#     return torch.softmax(scores + prior.log(), 1)
# ```
#
# </details>
#
# ### Exercise 3.4: only what was not seen
#
# The log probability of each pixel, `log_prob` of shape `(n, 1, 8, 8)`, is known, and `seen` of shape `(1, 8, 8)` says
# which pixels the model was given. Return $\log p(\text{unseen} \mid \text{seen})$ in *bits per unseen pixel*, shape
# `(n,)`. One bit is $\log 2$ nats.


# %%
def bits_per_unseen_pixel(log_prob, seen):
    return ...


check("3.4", bits_per_unseen_pixel)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def bits_per_unseen_pixel(log_prob, seen):
#     return (log_prob * ~seen).flatten(1).sum(1) / (~seen).sum() / math.log(2)
# ```
#
# Numbers per pixel let you compare one, two and three seen quadrants (`quadrant2`, `quadrant3`): try it.
#
# </details>
#
# ## What you know now
#
# - A conditional VAE is the same two programs, given $y$; its code says what $y$ leaves open.
# - $\log p(x \mid y)$ for every $y$ makes a classifier.
# - Against a deterministic network of the same size, a code pays where several answers are right, and only if it is
#   used.
#
# Next: [4. Comparing honestly](4-comparing-honestly.ipynb).
