"""Train a program on its data: `fit` yields the record of each epoch."""
