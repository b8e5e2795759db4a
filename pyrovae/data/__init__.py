"""Images: a dataset, its pixels, and where it is read from."""
