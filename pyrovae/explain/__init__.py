"""Explains what a program means: its formulas, its code, and its ELBO term by term."""
