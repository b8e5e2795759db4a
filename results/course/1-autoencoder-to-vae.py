# %% [markdown]
# # 1. From the autoencoder to the variational autoencoder
#
# An autoencoder squeezes an image through a few numbers and draws it again. It is good at that, and bad at one thing:
# drawing images that nobody gave it. A variational autoencoder (VAE) is what becomes of it when the few numbers get a
# probability distribution. In this lesson you will
#
# 1. train an autoencoder on handwritten digits and look at its two-dimensional *latent plane*,
# 2. see why random points of that plane do not draw digits,
# 3. add the one term that mends this, the KL divergence, and see what it costs.
#
# You need Python, tensors in PyTorch, and the normal distribution. Every cell runs on a laptop: all of them together
# take under a minute. Before a cell that answers a question, write down your own answer.

# %%
# %matplotlib inline
import matplotlib.pyplot as plt
import torch
from checks import check
from sklearn.neighbors import KNeighborsClassifier

from pyrovae import Config, build, figures, fit, load
from pyrovae.evaluation.latents import report
from pyrovae.figures.style import image_figure

# %% [markdown]
# ## The data
#
# Scikit-learn holds 1,797 handwritten digits of 8×8 pixels. A `Config` holds all settings of an experiment, and `load`
# reads the images that it names. Four fifths of them are for training, the rest for testing. `batch` returns pixels as
# the model sees them, here grey values from 0 (paper) to 1 (ink).

# %%
data = load(Config(dataset="digits"))
x_train, y_train = data.batch(data.train, slice(None))
x_test, y_test = data.batch(data.test, slice(None))
print(x_train.shape, x_test.shape, "grey values from", x_train.min().item(), "to", x_train.max().item())
image_figure(x_test[:20], 10, "Twenty test images")

# %% [markdown]
# ## The autoencoder
#
# An image $x$ has 64 pixels. The *encoder* is a neural network that turns it into a *code* $z = \mu(x)$ of two numbers.
# The *decoder* is another one, which turns a code into 64 numbers between 0 and 1, an image $\pi(z)$ again. Both are
# trained together, so that $\pi(\mu(x))$ comes close to $x$. How close is measured by the cross-entropy
#
# $$ -\sum_{i=1}^{64} \big[\, x_i \log \pi_i + (1 - x_i) \log (1 - \pi_i) \,\big], $$
#
# a sum over the pixels, in *nats* (units of the natural logarithm). Where all pixels are 0 or 1, it is minus the log
# probability of the image if each pixel is the toss of a coin that falls on ink with probability $\pi_i$. Grey pixels
# are no coin tosses; lesson 4 comes back to that.
#
# In pyrovae, an encoder that returns one code and no distribution is the posterior `delta`: all mass on one point. The
# function below is the way of every experiment: settings, data, model, epochs.


# %%
def train(**settings):
    """A trained model, and the record of its last epoch on the test set."""
    config = Config(epochs=80, batch_size=64, lr=0.002, device="cpu", **settings)  # the plain CPU: numbers repeat
    vae = build(config, data.shape)
    for epoch in fit(vae, data, config):
        pass
    return vae, epoch["test"]


autoencoder, scores = train(posterior="delta", latent_dim=2)
print(f"reconstruction: {scores['reconstruction']:.2f} nats per test image")
figures.reconstructions(autoencoder, data)

# %% [markdown]
# Sixty-four pixels went through two numbers, and most digits came back.
#
# **Question.** Principal component analysis also turns each image into two numbers and back, by straight lines instead
# of networks. Which mean squared error do you expect to be lower, and by how much?

# %%
from sklearn.decomposition import PCA

pca = PCA(2).fit(x_train.flatten(1))
lines = torch.tensor(pca.inverse_transform(pca.transform(x_test.flatten(1)))).view_as(x_test)
networks = autoencoder.reconstruct(x_test)
print(f"mean squared error per pixel: PCA {(lines - x_test).square().mean():.4f}", end=", ")
print(f"autoencoder {(networks - x_test).square().mean():.4f}")

# %% [markdown]
# ## The latent plane
#
# Each test image has a place in the plane. The colour is its label, which the autoencoder never saw.

# %%
figures.latent(autoencoder, data)

# %% [markdown]
# Equal digits lie together: to draw well from two numbers, the decoder needs similar images at similar places. But look
# at the axes. Nothing says where the codes should lie or how wide they should spread, and there is empty space between
# the islands.
#
# **Question.** Suppose you want a *new* digit: draw $z$ at random from a normal distribution with mean 0 and standard
# deviation 1, and decode it. What will come out?

# %%
torch.manual_seed(0)
figures.samples(autoencoder, data)

# %% [markdown]
# They look like digits, but not like the data: some digits come again and again, others never. Count them: a
# nearest-neighbour classifier, which is right for almost all test images, tells which digit each of 1,000 samples is.

# %%
judge = KNeighborsClassifier(5).fit(x_train.flatten(1), y_train)
print(f"the judge is right for {judge.score(x_test.flatten(1), y_test):.1%} of the test images")


def counts(vae, n=1000):
    """How many of n samples are each digit, as the judge sees it."""
    torch.manual_seed(0)
    return torch.bincount(torch.tensor(judge.predict(vae.generate(n).flatten(1))), minlength=10)


print(dict(enumerate(counts(autoencoder).tolist())))

# %% [markdown]
# The normal distribution covers only a part of the plane, and the codes were never told to lie there. That is the hole
# in the autoencoder: it has a way from codes to images, but no distribution over codes. It is no *generative* model.
#
# ## The variational autoencoder
#
# Two changes:
#
# - The encoder returns a distribution instead of a point,
#   $q(z \mid x) = \mathcal N(z;\, \mu(x), \mathrm{diag}\, \sigma^2(x))$: a small cloud around $\mu(x)$. In training the
#   code that is decoded is drawn from it. This is the posterior `diagonal`.
# - The loss gets a second term, which pulls each cloud towards the *prior* $p(z) = \mathcal N(z;\, 0, I)$, the
#   distribution that we want to draw codes from:
#
# $$ \text{loss}(x) = \underbrace{\mathbb E_{q(z \mid x)}\big[-\log p(x \mid z)\big]}_{\text{reconstruction}} +
# \underbrace{\mathrm{KL}\big(q(z \mid x)\,\|\,p(z)\big)}_{\text{price of the code}}. $$
#
# The Kullback-Leibler divergence $\mathrm{KL}(q\,\|\,p) = \mathbb E_q[\log q(z) - \log p(z)]$ is 0 if $q = p$, and
# greater else: the price, in nats, of saying more exactly than the prior does where the code is. Why just this sum is
# the right loss is the subject of lesson 2; here we watch what it does.

# %%
vae, scores = train(posterior="diagonal", latent_dim=2)
print({name: round(score, 2) for name, score in scores.items()})
figures.latent(vae, data)

# %% [markdown]
# The dotted circles are the prior's 1, 2 and 3 standard deviations. The codes moved there, close together:
# nearly wherever the prior puts a code, the cloud of some image is.
#
# **Question.** The reconstruction got worse, by one or two nats. Why must it?

# %%
autoencoder_counts, vae_counts = counts(autoencoder), counts(vae)
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for shift, (name, found) in enumerate({"autoencoder": autoencoder_counts, "VAE": vae_counts}.items()):
    axes.bar([digit + 0.4 * shift - 0.2 for digit in range(10)], found.tolist(), width=0.38, label=name)
axes.axhline(100, color="0.4", linestyle=":", label="all alike")
axes.set(xticks=range(10), xlabel="digit, by the judge", ylabel="of 1,000 samples", title="What the prior's codes draw")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The VAE draws all ten digits. It pays in the reconstruction: a code that is only known up to a cloud says less about
# the image, and the clouds must share the space that the prior allows. The plane, decoded on a grid, has no holes:

# %%
figures.manifold(vae, data)

# %% [markdown]
# ## How much KL?
#
# Give the KL a weight $\beta$: $\;\text{reconstruction} + \beta \cdot \mathrm{KL}$. With $\beta = 1$ this is the VAE.
#
# **Question.** What happens to the width of the clouds as $\beta$ goes to 0? And to the samples from the prior? What
# happens if $\beta$ is large? (The last column is the KL to the prior of the mixture of all clouds: 0 if codes drawn
# from the prior are just like codes of test images.)

# %%
family = {0.01: train(beta=0.01), 0.1: train(beta=0.1), 1.0: (vae, scores), 2.0: train(beta=2.0)}
print(" beta   reconstruction      KL   mean width of a cloud   KL of all clouds together")
for beta, (model, found) in family.items():
    torch.manual_seed(0)
    width, together = model.encode(x_test).stddev.mean(), report(model, data)["marginal_kl"]
    print(f"{beta:5}   {found['reconstruction']:14.2f}   {found['kl']:5.2f}   {width:21.2f}   {together:25.2f}")

# %%
figure, axes = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
for beta, (_, found) in family.items():
    axes.scatter(found["kl"], found["reconstruction"], s=40, zorder=3)
    axes.annotate(f"β = {beta:g}", (found["kl"], found["reconstruction"]), (6, 6), textcoords="offset points")
axes.set(xlabel="KL, nats per test image", ylabel="reconstruction, nats", title="What a code costs, and what it buys")
axes.margins(0.2)
axes.set_xlim(left=-0.8)
axes.grid(alpha=0.3)
plt.show()

# %% [markdown]
# From right to left the code gets cheaper, at first for nothing, then at the cost of the image:
#
# - $\beta \to 0$: the clouds shrink to points, and the autoencoder is back: far from the prior, with holes between.
# - $\beta = 1$: wide clouds, which together nearly fill the prior.
# - $\beta = 2$: the KL is 0. The code says nothing, and the decoder always draws the mean of all images. This is called
#   *posterior collapse*; lesson 4 makes and mends it.
#
# ## Exercises
#
# Fill in the dots and run the cell: the check says whether your answer is right, and if not, what is wrong with it.
#
# ### Exercise 1.1: the cross-entropy
#
# Write the reconstruction loss of $n$ images: `x` and `pi` have shape `(n, 1, 8, 8)`, the result has shape `(n,)`.


# %%
def cross_entropy(x, pi):
    return ...


check("1.1", cross_entropy)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def cross_entropy(x, pi):
#     return -(x * pi.log() + (1 - x) * (1 - pi).log()).flatten(1).sum(1)
# ```
#
# A sum, not a mean: each pixel is evidence of its own. With the mean over 64 pixels the KL would weigh 64 times as much
# beside it, which is the same as $\beta = 64$.
#
# </details>
#
# ### Exercise 1.2: the KL in closed form
#
# For two normal distributions the expectation can be worked out. In each dimension
#
# $$ \mathrm{KL}\big(\mathcal N(\mu, \sigma^2)\,\|\,\mathcal N(0, 1)\big) =
# \tfrac12\,(\mu^2 + \sigma^2 - 1 - \log \sigma^2), $$
#
# and the KL of a code is the sum over its dimensions. `loc` ($\mu$) and `scale` ($\sigma$) have shape `(n, latent)`,
# the result has shape `(n,)`.


# %%
def kl(loc, scale):
    return ...


check("1.2", kl)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def kl(loc, scale):
#     return 0.5 * (loc.square() + scale.square() - 1 - scale.square().log()).sum(1)
# ```
#
# Try it: `kl(q.mean, q.stddev).mean()` with `q = vae.encode(x_test)` is near the KL that training reported, which is an
# estimate from one draw of each code.
#
# </details>
#
# ### Exercise 1.3: a straight line between two images
#
# Encode two images `x0` and `x1`, each of shape `(1, 1, 8, 8)`, and decode `steps` evenly spaced codes on the straight
# line between the means of their clouds, ends included. The result has shape `(steps, 1, 8, 8)`. You need
# `vae.encode(x).mean`, `vae.decode(z)` and `torch.linspace`. Then draw `path(vae, x_test[:1], x_test[4:5], 8)` by
# `image_figure`.


# %%
def path(vae, x0, x1, steps):
    return ...


check("1.3", lambda *arguments: path(vae, *arguments))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def path(vae, x0, x1, steps):
#     z0, z1 = vae.encode(x0).mean, vae.encode(x1).mean  # (1, latent) each
#     t = torch.linspace(0, 1, steps)[:, None]
#     return vae.decode((1 - t) * z0 + t * z1)
# ```
#
# </details>
#
# ### Exercise 1.4: all clouds together
#
# Samples are good if all clouds together look like the prior. All together they are the mixture
# $q(z) = \frac1N \sum_n \mathcal N(z;\, \mu_n, \sigma_n^2)$. Return its mean and its variance in each dimension, from
# `loc` and `scale` of shape `(n, latent)`: a pair of tensors of shape `(latent,)`. (The law of total variance: the
# variance of a mixture is the mean of the variances plus the variance of the means.)


# %%
def mixture(loc, scale):
    return ..., ...


check("1.4", mixture)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def mixture(loc, scale):
#     return loc.mean(0), scale.square().mean(0) + loc.var(0, correction=0)
# ```
#
# Try it on `q = vae.encode(x_train)` of each model in `family`: for which $\beta$ is the variance near 1, as the
# prior's is?
#
# </details>
#
# ## What you know now
#
# - An autoencoder compresses, but has no distribution over codes; so it cannot tell how to draw a new image.
# - A VAE codes an image by a distribution $q(z \mid x)$, and pays its KL to the prior.
# - The two terms pull against each other, and $\beta$ says how much: no KL, no samples; too much KL, no code.
#
# Next: [2. The generative program and its bound](2-program-and-elbo.ipynb).
