# %% [markdown]
# # 1. From the autoencoder to the variational autoencoder
#
# An autoencoder compresses an image to a few numbers and draws the image again from them. It does that well, but it
# cannot generate images of its own. A variational autoencoder (VAE) can: it gives the few numbers a probability
# distribution. In this lesson you will
#
# 1. train an autoencoder on handwritten digits and look at its two-dimensional *latent plane*,
# 2. see why random points of that plane do not decode to good digits,
# 3. add the one term that repairs this, the KL divergence, and see what it costs.
#
# You need to know Python, tensors in PyTorch, and the normal distribution. All cells run on a laptop, together in under
# a minute. When you meet a question, write down your own answer before you run the next cell.

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
# Scikit-learn comes with 1,797 handwritten digits of 8×8 pixels. A `Config` holds all settings of an experiment, and
# `load` reads the images that it names. Four fifths of them are for training, the rest for testing. `batch` returns the
# pixels in the form that the model reads: here grey values from 0 (paper) to 1 (ink).

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
# The *decoder* is another network; it turns a code back into an image $\pi(z)$ of 64 numbers between 0 and 1. We train
# both together, so that $\pi(\mu(x))$ comes close to $x$. We measure how close it is by the cross-entropy
#
# $$ -\sum_{i=1}^{64} \big[\, x_i \log \pi_i + (1 - x_i) \log (1 - \pi_i) \,\big], $$
#
# a sum over the pixels, in *nats* (units of the natural logarithm). If all pixels are 0 or 1, this is minus the log
# probability of an image whose pixels are coin tosses, where pixel $i$ shows ink with probability $\pi_i$. Grey pixels
# are not coin tosses; lesson 4 comes back to that.
#
# If the encoder returns a single code instead of a distribution, pyrovae calls that the posterior `delta`: all mass is
# on one point. The function below runs an experiment in the usual order: settings, data, model, epochs.


# %%
def train(**settings):
    """Train a model; return it and its scores on the test set after the last epoch."""
    config = Config(epochs=80, batch_size=64, lr=0.002, device="cpu", **settings)  # on the CPU the numbers repeat
    vae = build(config, data.shape)
    for epoch in fit(vae, data, config):
        pass
    return vae, epoch["test"]


autoencoder, scores = train(posterior="delta", latent_dim=2)
print(f"reconstruction: {scores['reconstruction']:.2f} nats per test image")
figures.reconstructions(autoencoder, data)

# %% [markdown]
# Each image of 64 pixels was reduced to two numbers, and most digits can still be recognised.
#
# **Question.** Principal component analysis (PCA) also turns each image into two numbers and back, with linear
# functions instead of networks. Which of the two has the lower mean squared error, and by how much?

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
# Each point is the code of a test image. Its colour is the label of the image, which the autoencoder never saw.

# %%
figures.latent(autoencoder, data)

# %% [markdown]
# Images of the same digit have codes close together: to draw well from two numbers, the decoder needs similar images at
# similar places. But look at the axes. Nothing in the loss says where the codes should be or how far they should
# spread, and there is empty space between the islands.
#
# **Question.** Suppose you want a *new* digit. You draw $z$ at random from a normal distribution with mean 0 and
# standard deviation 1, and decode it. What do you expect to see?

# %%
torch.manual_seed(0)
figures.samples(autoencoder, data)

# %% [markdown]
# The samples look like digits, but not like the data: some digits come again and again, others never. Let us count
# them. We ask a nearest-neighbour classifier, which is right for almost all test images, which digit each of 1,000
# samples is.

# %%
judge = KNeighborsClassifier(5).fit(x_train.flatten(1), y_train)
print(f"the judge is right for {judge.score(x_test.flatten(1), y_test):.1%} of the test images")


def counts(vae, n=1000):
    """Count how many of n samples the judge takes for each digit."""
    torch.manual_seed(0)
    return torch.bincount(torch.tensor(judge.predict(vae.generate(n).flatten(1))), minlength=10)


print(dict(enumerate(counts(autoencoder).tolist())))

# %% [markdown]
# The normal distribution covers only a part of the plane, and nothing in the loss made the codes go there. This is what
# the autoencoder lacks: it can turn codes into images, but it has no distribution over codes. So it is not a
# *generative* model.
#
# ## The variational autoencoder
#
# The VAE makes two changes:
#
# - The encoder returns a distribution instead of a point, $q(z \mid x) = \mathcal N(z;\, \mu(x), \mathrm{diag}\,
#   \sigma^2(x))$, a small cloud around $\mu(x)$. In training, the decoder gets a code drawn from this cloud. pyrovae
#   calls this the posterior `diagonal`.
# - The loss gets a second term, which pulls each cloud towards the *prior* $p(z) = \mathcal N(z;\, 0, I)$, the
#   distribution that we want to draw codes from:
#
# $$ \text{loss}(x) = \underbrace{\mathbb E_{q(z \mid x)}\big[-\log p(x \mid z)\big]}_{\text{reconstruction}} +
# \underbrace{\mathrm{KL}\big(q(z \mid x)\,\|\,p(z)\big)}_{\text{price of the code}}. $$
#
# The Kullback-Leibler divergence $\mathrm{KL}(q\,\|\,p) = \mathbb E_q[\log q(z) - \log p(z)]$ is 0 if $q = p$, and
# positive otherwise. It is the price, in nats, of saying more exactly than the prior does where the code is. Lesson 2
# explains why this sum is the right loss; here we watch what it does.

# %%
vae, scores = train(posterior="diagonal", latent_dim=2)
print({name: round(score, 2) for name, score in scores.items()})
figures.latent(vae, data)

# %% [markdown]
# The dotted circles show 1, 2 and 3 standard deviations of the prior. The codes have moved inside them and close
# together: nearly everywhere that the prior can put a code, there is the cloud of some image.
#
# **Question.** The reconstruction became one or two nats worse. Why does that have to happen?

# %%
autoencoder_counts, vae_counts = counts(autoencoder), counts(vae)
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
for shift, (name, drawn) in enumerate({"autoencoder": autoencoder_counts, "VAE": vae_counts}.items()):
    axes.bar([digit + 0.4 * shift - 0.2 for digit in range(10)], drawn.tolist(), width=0.38, label=name)
axes.axhline(100, color="0.4", linestyle=":", label="all alike")
axes.set(xticks=range(10), xlabel="digit, by the judge", ylabel="of 1,000 samples", title="What the prior's codes draw")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The VAE draws all ten digits. It pays with its reconstruction: a code that is known only up to a cloud says less about
# the image, and the clouds must share the space that the prior gives them. Decode a grid of codes, and you see that the
# plane has no holes:

# %%
figures.manifold(vae, data)

# %% [markdown]
# ## How much KL?
#
# Now give the KL a weight $\beta$: $\;\text{reconstruction} + \beta \cdot \mathrm{KL}$. With $\beta = 1$ this is the
# VAE.
#
# **Question.** What happens to the width of the clouds as $\beta$ goes to 0? And to the samples from the prior? What
# happens if $\beta$ is large? (The last column of the table bounds the KL from the mixture of all clouds to the prior.
# It is 0 if codes drawn from the prior are distributed like the codes of images. The 359 test images do not say exactly
# how those are distributed, so there are two bounds.)

# %%
family = {0.01: train(beta=0.01), 0.1: train(beta=0.1), 1.0: (vae, scores), 2.0: train(beta=2.0)}
print(" beta   reconstruction      KL   mean width of a cloud   KL of all clouds together")
for beta, (model, test) in family.items():
    torch.manual_seed(0)
    width, latents = model.encode(x_test).stddev.mean(), report(model, data)
    mixture_kl = f"{latents['marginal_kl_lower']:.2f} to {latents['marginal_kl_upper']:.2f}"
    print(f"{beta:5}   {test['reconstruction']:14.2f}   {test['kl']:5.2f}   {width:21.2f}   {mixture_kl:>25}")

# %%
figure, axes = plt.subplots(figsize=(4.6, 3.4), layout="constrained")
for beta, (_, test) in family.items():
    axes.scatter(test["kl"], test["reconstruction"], s=40, zorder=3)
    axes.annotate(f"β = {beta:g}", (test["kl"], test["reconstruction"]), (6, 6), textcoords="offset points")
axes.set(xlabel="KL, nats per test image", ylabel="reconstruction, nats", title="What a code costs, and what it buys")
axes.margins(0.2)
axes.set_xlim(left=-0.8)
axes.grid(alpha=0.3)
plt.show()

# %% [markdown]
# From right to left the code gets cheaper. At first the image loses nothing by that; then its reconstruction gets
# worse.
#
# - As $\beta \to 0$, the clouds shrink to points, and you have the autoencoder again: its codes are far from the prior,
#   with holes between them.
# - With $\beta = 1$, the clouds are wide and together nearly fill the prior.
# - With $\beta = 2$, the KL is 0. The code says nothing, and the decoder always draws the mean of all images. This is
#   called *posterior collapse*; lesson 4 shows how it comes about and how to avoid it.
#
# ## Exercises
#
# Replace the dots by your answer and run the cell. The check says whether the answer is right, and if it is not, what
# is wrong with it.
#
# ### Exercise 1.1: the cross-entropy
#
# Write a function that returns the reconstruction loss of each of $n$ images. `x` and `pi` have shape `(n, 1, 8, 8)`;
# the result has shape `(n,)`.


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
# Take the sum, not the mean: each pixel is evidence of its own. With the mean over 64 pixels, the KL would count 64
# times as much, which is the same as $\beta = 64$.
#
# </details>
#
# ### Exercise 1.2: the KL in closed form
#
# For two normal distributions the expectation has a closed form. In each dimension,
#
# $$ \mathrm{KL}\big(\mathcal N(\mu, \sigma^2)\,\|\,\mathcal N(0, 1)\big) =
# \tfrac12\,(\mu^2 + \sigma^2 - 1 - \log \sigma^2), $$
#
# and the KL of a code is the sum over its dimensions. Write a function that returns the KL of each code. `loc` ($\mu$)
# and `scale` ($\sigma$) have shape `(n, latent)`; the result has shape `(n,)`.


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
# Try it: with `q = vae.encode(x_test)`, `kl(q.mean, q.stddev).mean()` is close to the KL that training reported, which
# was estimated from one draw of each code.
#
# </details>
#
# ### Exercise 1.3: a straight line between two images
#
# Encode two images `x0` and `x1`, each of shape `(1, 1, 8, 8)`, and decode `steps` evenly spaced codes on the straight
# line between the means of their clouds, including both ends. The result has shape `(steps, 1, 8, 8)`. You need
# `vae.encode(x).mean`, `vae.decode(z)` and `torch.linspace`. Then draw `path(vae, x_test[:1], x_test[4:5], 8)` with
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
# Samples are good if all clouds together look like the prior. Together they form the mixture
# $q(z) = \frac1N \sum_n \mathcal N(z;\, \mu_n, \sigma_n^2)$. From `loc` and `scale` of shape `(n, latent)`, return the
# mean and the variance of this mixture in each dimension: a pair of tensors of shape `(latent,)`. (The law of total
# variance says: the variance of a mixture is the mean of the variances plus the variance of the means.)


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
# Try it on `q = vae.encode(x_train)` for each model in `family`: for which $\beta$ is the variance near 1, like that of
# the prior?
#
# </details>
#
# ## What you know now
#
# - An autoencoder compresses images but has no distribution over codes, so it cannot generate a new image.
# - A VAE encodes an image as a distribution $q(z \mid x)$, and pays for it with the KL to the prior.
# - The two terms pull against each other, and $\beta$ sets the balance. If the KL counts too little, the samples are
#   bad; if it counts too much, the code says nothing.
#
# Next: [2. The generative program and its bound](2-program-and-elbo.ipynb).
