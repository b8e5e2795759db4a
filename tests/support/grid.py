"""A grid over the plane, to integrate densities of two-dimensional codes."""

import torch


def grid(reach=30.0, side=601):
    """Return the points of a grid on [-reach, reach]², and the area of one of its cells."""
    axis = torch.linspace(-reach, reach, side)
    return torch.cartesian_prod(axis, axis), (axis[1] - axis[0]).item() ** 2
