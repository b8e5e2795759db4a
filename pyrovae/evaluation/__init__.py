"""Measure a trained program: its ELBO, its log-likelihood, and how it uses its codes."""
