"""NumPyro, with the whole epoch inside one compiled loop."""

from collections.abc import Callable
from typing import Any

from .work import LR, Work


def numpyros_way(work: Work) -> Callable[[], float]:
    """Train by `SVI` and `numpyro.optim.Adam` in `jit(fori_loop)`; images of the first batch fill up the last."""
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro.infer import SVI, Trace_ELBO

    images = jnp.asarray(work.images.view(len(work.images), -1).cpu().numpy())
    steps = -(-len(images) // work.batch_size)
    model, guide = _programs(work)
    svi = SVI(model, guide, numpyro.optim.Adam(LR), Trace_ELBO(num_particles=work.particles))

    def batch(order: Any, i: Any) -> Any:
        rows = jax.lax.dynamic_slice_in_dim(order, i * work.batch_size, work.batch_size)
        return images[rows].astype(jnp.float32) / 255

    def train(state: Any, key: Any) -> Any:
        order = jax.random.permutation(key, len(images))
        order = jnp.concatenate([order, order])[: steps * work.batch_size]

        def step(i: Any, carry: Any) -> Any:
            state, total = carry
            state, loss = svi.update(state, batch(order, i))
            return state, total + loss

        return jax.lax.fori_loop(0, steps, step, (state, 0.0))

    epoch = jax.jit(train, donate_argnums=0)
    key, start = jax.random.split(jax.random.PRNGKey(0))
    latest = {"state": svi.init(start, images[: work.batch_size] / 255.0), "key": key}

    def run() -> float:
        latest["key"], key = jax.random.split(latest["key"])
        latest["state"], total = epoch(latest["state"], key)
        return float(total) / (steps * work.batch_size)

    return run


def _programs(work: Work) -> tuple[Any, Any]:
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from jax.example_libraries import stax
    from numpyro.distributions.util import binary_cross_entropy_with_logits

    encoder = stax.serial(stax.Dense(work.hidden), stax.Relu, stax.Dense(2 * work.latent_dim))
    decoder = stax.serial(stax.Dense(work.hidden), stax.Relu, stax.Dense(work.pixels))

    def model(x: Any) -> None:
        decode = numpyro.module("decoder", decoder, (work.batch_size, work.latent_dim))
        with numpyro.plate("data", len(x)):
            z = numpyro.sample("z", dist.Normal(jnp.zeros(work.latent_dim), 1.0).to_event(1))
            score = -binary_cross_entropy_with_logits(decode(z), x).sum(-1)  # NumPyro's Bernoulli refuses grey pixels
            numpyro.factor("x", score)

    def guide(x: Any) -> None:
        encode = numpyro.module("encoder", encoder, (work.batch_size, work.pixels))
        with numpyro.plate("data", len(x)):
            loc, log_variance = jnp.split(encode(x), 2, axis=-1)
            numpyro.sample("z", dist.Normal(loc, jnp.exp(0.5 * log_variance)).to_event(1))

    return model, guide
