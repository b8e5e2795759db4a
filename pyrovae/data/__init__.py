"""Images: a dataset, its pixels, and where it is read from."""

from pyrovae.data.data import Batch, Data, Images, load
from pyrovae.data.pixels import Pixels

__all__ = ["Batch", "Data", "Images", "Pixels", "load"]
