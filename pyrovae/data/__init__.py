"""Datasets of images: where they are read from, how they are split, and what a pixel is."""

from pyrovae.data.data import Batch, Data
from pyrovae.data.images import Images
from pyrovae.data.loading import load
from pyrovae.data.pixels import Pixels

__all__ = ["Batch", "Data", "Images", "Pixels", "load"]
