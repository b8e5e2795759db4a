"""Train by a loop written by hand in PyTorch, with the KL in closed form."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .work import LR, Work


class TorchVAE(nn.Module):
    """A VAE in plain PyTorch whose `forward` returns the loss."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.particles = work.particles
        self.encode = nn.Linear(work.pixels, work.hidden)
        self.code = nn.Linear(work.hidden, 2 * work.latent_dim)
        self.decode = nn.Linear(work.latent_dim, work.hidden)
        self.draw = nn.Linear(work.hidden, work.pixels)

    def forward(self, images: Tensor, rows: Tensor) -> Tensor:
        """Return the negative ELBO of these rows of `images` (N, pixels), uint8."""
        x = images[rows] / 255
        loc, log_variance = self.code(self.encode(x).relu()).chunk(2, -1)
        noise = torch.randn(self.particles, *loc.shape, device=loc.device)
        logits = self.draw(self.decode(loc + (0.5 * log_variance).exp() * noise).relu())
        kl = 0.5 * (log_variance.exp() + loc.square() - 1 - log_variance).sum()
        target = x.expand_as(logits)
        return binary_cross_entropy_with_logits(logits, target, reduction="sum") / self.particles + kl


def torch_eager(work: Work) -> Callable[[], float]:
    """Train one operation at a time, with one fused Adam."""
    return _epoch(work, compiled=False)


def torch_compiled(work: Work) -> Callable[[], float]:
    """Train by `torch.compile`: one graph for the batch and the loss, one for the gradients."""
    return _epoch(work, compiled=True)


def _epoch(work: Work, compiled: bool) -> Callable[[], float]:
    vae = TorchVAE(work).to(work.device)
    if compiled:
        torch.compiler.reset()  # torch.compile gives up after eight shapes of one function
    loss_of = torch.compile(vae, dynamic=False) if compiled else vae
    adam = torch.optim.Adam(vae.parameters(), lr=LR, fused=True)
    images = work.images.view(len(work.images), -1)

    def epoch() -> float:
        total = torch.zeros((), device=work.device)
        for rows in torch.randperm(len(images), device=work.device).split(work.batch_size):
            loss = loss_of(images, rows)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total += loss.detach()
        return total.item() / len(images)

    return epoch
