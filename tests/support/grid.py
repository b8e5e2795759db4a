"""A grid over the plane, to integrate densities of two-dimensional codes."""

import torch


def grid(reach=30.0, side=601):
    axis = torch.linspace(-reach, reach, side)
    return torch.cartesian_prod(axis, axis), (axis[1] - axis[0]).item() ** 2
