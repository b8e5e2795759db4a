"""Explanations of small VAEs."""

from support.builders import small_data, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import fit
from pyrovae.explain.explanation import explain


def explanation_of(trained=True, shape=(1, 8, 8), n=12, **settings):
    """Explain a small VAE with these settings; after two epochs, so that no part has its initial weights."""
    settings = {"components": 7, "latent_dim": 3} | settings
    settings.setdefault("pixels", LIKELIHOODS[settings.get("likelihood", "bernoulli")].domain[0])
    vae, config = small_vae(shape=shape, **settings)
    data = small_data(shape=shape, pixels=config.pixels)
    fitting = fit(vae, data, config)
    if trained:
        for _ in fitting:
            pass
    return explain(vae, data.batch(data.test, slice(0, n)), config)
