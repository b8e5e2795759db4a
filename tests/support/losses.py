"""Losses of a VAE on given images."""

from pyrovae.inference.objectives import TraceELBO


def negative_elbo(vae, x, particles=1):
    """The loss of images x under the plain ELBO, summed over them and averaged over particles."""
    elbo = TraceELBO(num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1)
    return elbo.differentiable_loss(vae.model, vae.guide, x).detach()
