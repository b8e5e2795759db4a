# %% [markdown]
# # 3. Conditioning
#
# A VAE draws *some* digit. Often you want a particular one: a seven, or the rest of an image of which you see a part.
# In this lesson you will
#
# 1. give the model a label, and see that the code then describes what the label leaves open: the style,
# 2. turn the generative model into a classifier by Bayes' rule,
# 3. complete images from one quadrant, and find out when a code is of use for that.
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
    """Train a model; return it and its scores on the test set after the last epoch."""
    defaults = {"pixels": "threshold", "epochs": 60, "batch_size": 64, "lr": 0.002, "device": "cpu"}
    config = Config(**(defaults | settings))
    vae = build(config, data.shape, len(data.classes))
    for epoch in fit(vae, data, config):
        pass
    return vae, epoch["test"]


# %% [markdown]
# In this lesson all pixels are black or white: `threshold` takes a pixel for ink if it is darker than half-way.

# %%
data = load(Config(pixels="threshold"))
x_train, labels_train = data.batch(data.train, slice(None))
x_test, labels = data.batch(data.test, slice(None))
image_figure(x_test[:20], 10, "Twenty test images")

# %% [markdown]
# ## Conditioning on the label
#
# Write $y$ for what is given, and condition every distribution on it:
#
# $$ z \sim p(z \mid y), \qquad x \sim p(x \mid z, y), \qquad\text{inferred by}\quad z \sim q(z \mid x, y), $$
#
# $$ \log p(x \mid y) \ge \mathbb E_{q}[\log p(x \mid z, y)] - \mathrm{KL}\big(q(z \mid x, y)\,\|\,p(z \mid y)\big). $$
#
# There is nothing new to derive: this is lesson 2 with a $y$ behind every bar. The networks read the label as ten
# numbers, one of them 1 and the others 0; the encoder reads them beside the image, the decoder beside the code. The
# prior stays $\mathcal N(0, I)$ for every label.
#
# **Question.** Will the KL be larger or smaller than without the label? And the loss?

# %%
plain, plain_scores = train()
given, given_scores = train(condition="label")
for name, test in {"unconditional": plain_scores, "given the label": given_scores}.items():
    print(f"{name:16}", {key: round(score, 2) for key, score in test.items()})

# %% [markdown]
# Both are smaller. The code no longer has to say *which* digit it is, only how it was written. A label carries at most
# $\log 10 = 2.3$ nats. The loss fell by more than that, because two dimensions were not enough for everything that the
# unconditional VAE had to encode.
#
# Where are the codes now?

# %%
figures.latent(given, data)

# %% [markdown]
# The codes of all labels overlap: the code is (nearly) independent of the label. One dimension was enough; in the
# other, all means are near 0, the mean of the prior. Let us measure how much the code still says about the label: from
# the codes of one half of the test images, the five nearest neighbours predict the labels of the other half. Guessing
# would be right for 10 % of them.

# %%
for name, vae in {"unconditional": plain, "given the label": given}.items():
    print(f"{name:16} label read from the code: {report(vae, data)['knn_accuracy']:.0%}")

# %% [markdown]
# **Question.** Nobody asked the code to forget the label. Why does it?
#
# Each nat in the code costs a nat of KL, and the decoder gets the label anyway. To encode the label as well would cost
# something and gain nothing.
#
# Decode one code with every label, and you get ten digits in one style. In the next figure, each row is a label and
# each column a code drawn from the prior:

# %%
torch.manual_seed(0)
figures.conditions(given, data)

# %% [markdown]
# ## A classifier for free
#
# The model can score an image under every label: $p(x \mid y)$. Bayes' rule turns these scores into a classifier,
#
# $$ p(y \mid x) = \frac{p(x \mid y)\, p(y)}{\sum_{y'} p(x \mid y')\, p(y')}, $$
#
# with $p(y) = \tfrac1{10}$. As in lesson 2, we estimate $\log p(x \mid y)$ by importance sampling, here with $K = 50$
# codes.

# %%
K = 50
torch.manual_seed(0)
scores = []  # log p(x | y) for each label
for label in range(10):
    y = given.given(x_test, torch.full((len(x_test),), label))  # one-hot, as the networks read it: (n, 10)
    log_w = log_weights(given.model, given.guide, K, x_test, y)  # (K, n)
    scores.append(torch.logsumexp(log_w, 0) - math.log(K))
scores = torch.stack(scores, 1)  # (n, 10)
guess = scores.argmax(1)
print(f"right for {(guess == labels).double().mean():.1%} of the test images")

# %%
wrong = (guess != labels).nonzero()[:, 0][:10]
probability = torch.softmax(scores, 1)[wrong, guess[wrong]]
heads = [f"{data.classes[i]}→{data.classes[j]}" for i, j in zip(labels[wrong], guess[wrong])]
print("probability of the wrong guesses:", [f"{p:.0%}" for p in probability.tolist()])
image_figure(x_test[wrong], len(wrong), "Wrong guesses: label → guess", column_labels=heads)

# %% [markdown]
# A classifier that is trained for this task alone does better (the nearest neighbours of lesson 1 were right for 98.6
# %, on grey pixels). But this model can also compute $p(x)$, which says how unusual an image is, whatever its label.
#
# ## Conditioning on a quadrant
#
# Now $y$ is a part of the image, its lower left quadrant, and the model completes the rest. Two things change:
#
# - the likelihood counts only the pixels that are *not* seen,
# - the prior becomes a network that reads the seen pixels, with
#   $p(z \mid y) = \mathcal N(z;\, \mu(y), \mathrm{diag}\,\sigma^2(y))$, because different quadrants leave different
#   things open.
#
# First we train a **baseline** that has no code: a network that reads the seen pixels and returns the probability of
# ink for each of the others.

# %%
config = Config(pixels="threshold", condition="quadrant1", device="cpu")
seen = build(config, data.shape).context.seen  # (1, 8, 8), true where a pixel is seen
torch.manual_seed(0)
baseline = nn.Sequential(
    *[nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()],
    *[nn.Linear(128, 64), nn.Unflatten(1, (1, 8, 8))],
)


def baseline_loss(x):
    """Return −log p(unseen pixels | seen pixels) of each image, taking the unseen pixels as independent."""
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
# Then we train the conditional VAE, with layers of the same widths. In its first 30 epochs the weight of the KL rises
# from 0 to 1 (`warmup`), so that the decoder can learn to use the code before the code costs anything.

# %%
completer, completer_scores = train(condition="quadrant1", warmup=30)


def log_p(vae, samples=100):
    """Estimate log p(x | y) of each test image by importance sampling."""
    torch.manual_seed(0)
    log_w = log_weights(vae.model, vae.guide, samples, x_test, vae.given(x_test))
    return torch.logsumexp(log_w, 0) - math.log(samples)


print({key: round(score, 2) for key, score in completer_scores.items()})
print(f"conditional VAE: {-log_p(completer).mean():.2f} nats per test image")

# %% [markdown]
# You may compare the baseline's number with the last one: both are $-\log p(\text{unseen} \mid \text{seen})$, in nats,
# over the same pixels.
#
# **Question.** The baseline reads the same seen pixels as the conditional VAE. What can it not express?

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
# The baseline gives each pixel a probability ("base") and draws the pixels independently ("draw"). When several digits
# fit the quadrant, it draws a bit of each. The conditional VAE first decides which digit it is ("VAE" shows the mean
# images of four codes), and then draws pixels that belong together. The code makes this decision, and the KL measures
# how much the code says beyond the quadrant.
#
# ## When the code is not used
#
# Now train the same model with a deeper network, four layers of 64 units, and without the warm-up:

# %%
collapsed, collapsed_scores = train(condition="quadrant1", hidden=(64, 64, 64, 64))
print({key: round(score, 2) for key, score in collapsed_scores.items()})
print(f"deep, without a warm-up: {-log_p(collapsed).mean():.2f} nats per test image")

# %% [markdown]
# The KL is 0: whatever the code, this model completes an image in only one way. It has become a baseline, and its score
# is about the same. Early in training the code is noise, so the decoder learns to ignore it; then the encoder saves the
# KL by sending nothing, and the decoder has no reason to read the code again. **Always look at the KL of a conditional
# model**: its mean images look smooth and fine even when the code is not used. Lesson 4 says more about this collapse.
#
# ## Exercises
#
# ### Exercise 3.1: as many sevens as you like
#
# Return `n` images of the digit `label` from a model that is conditioned on labels. `vae.generate(y=...)` draws one
# image for each label in a tensor of integers.


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
# ### Exercise 3.2: another digit by the same hand
#
# How would the person who wrote an image write another digit? Encode the images `x` with their own labels `y` (take the
# mean of the posterior), and decode with the labels `other`. You need `vae.encode(x, y)` and `vae.decode(z, y)`.


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
# `scores` of shape `(n, 10)` contains the values of $\log p(x \mid y)$, and `prior` of shape `(10,)` the probabilities
# $p(y)$. Return $p(y \mid x)$, of shape `(n, 10)`.


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
# ### Exercise 3.4: only the unseen pixels
#
# `log_prob` of shape `(n, 1, 8, 8)` contains the log probability of each pixel, and `seen` of shape `(1, 8, 8)` says
# which pixels the model was given. Return $\log p(\text{unseen} \mid \text{seen})$ in *bits per unseen pixel*; the
# result has shape `(n,)`. One bit is $\log 2$ nats.


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
# With numbers per pixel you can compare one, two and three seen quadrants. Try it with `quadrant2` and `quadrant3`.
#
# </details>
#
# ## What you know now
#
# - A conditional VAE consists of the same two programs, given $y$. Its code describes what $y$ leaves open.
# - If you compute $\log p(x \mid y)$ for every $y$, you have a classifier.
# - Compared with a deterministic network of the same size, a code helps where several answers are right, and only if
#   the model uses it.
#
# Next: [4. Comparing honestly](4-comparing-honestly.ipynb).
