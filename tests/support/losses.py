"""Losses of programs on given images, and estimates of log p(x) against exact ones."""

import math

import torch

from pyrovae.inference.objectives import TraceELBO


def negative_elbo(vae, x, particles=1):
    """The loss of images x under the plain ELBO, summed over them and averaged over particles."""
    elbo = TraceELBO(num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=1)
    return elbo.differentiable_loss(vae.model, vae.guide, x).detach()


def expect_exact(log_w, exact, largest_error=0.2):
    """Check that log-weights (samples, n) estimate an exact log p(x), (n,), within two standard errors."""
    log_w = log_w.double()
    estimate = torch.logsumexp(log_w, 0) - math.log(len(log_w))
    error = (log_w - estimate).exp().std(0) / math.sqrt(len(log_w))
    difference = (estimate - exact) / error
    assert error.max() < largest_error
    assert difference.abs().max() < 4  # the largest of ten or twenty
    assert difference.square().mean().sqrt() < 2
