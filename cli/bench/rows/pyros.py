"""Train by Pyro alone, as its VAE tutorial does."""

from collections.abc import Callable, Iterable
from itertools import count

import pyro
import pyro.distributions as dist
from PIL import Image
from pyro.infer import SVI, Trace_ELBO
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import ToTensor

from .work import LR, Work

_numbers = count()


class PyroVAE(nn.Module):
    """The VAE of Pyro's tutorial; each instance keeps its networks in the parameter store under names of its own."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.name, self.latent_dim = f"bench{next(_numbers)}", work.latent_dim
        self.encoder = nn.Sequential(
            nn.Linear(work.pixels, work.hidden), nn.ReLU(), nn.Linear(work.hidden, 2 * work.latent_dim)
        )
        self.decoder = nn.Sequential(
            nn.Linear(work.latent_dim, work.hidden), nn.ReLU(), nn.Linear(work.hidden, work.pixels)
        )

    def model(self, x: Tensor) -> None:
        pyro.module(f"{self.name}.decoder", self.decoder)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(self.latent_dim), x.new_ones(self.latent_dim)).to_event(1))
            logits = self.decoder(z)
            pyro.sample("x", dist.Bernoulli(logits=logits, validate_args=False).to_event(1), obs=x)  # grey pixels

    def guide(self, x: Tensor) -> None:
        pyro.module(f"{self.name}.encoder", self.encoder)
        with pyro.plate("data", len(x)):
            loc, log_variance = self.encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1))


class Pictures(Dataset[Tensor]):
    """A dataset like torchvision's: every visit turns an array into a PIL image and then into a tensor."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.transform = images.cpu(), ToTensor()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.transform(Image.fromarray(self.images[i, 0].numpy()))


def pyros_way(work: Work) -> Callable[[], float]:
    """Train by `SVI` and `pyro.optim.Adam`, with a `DataLoader` that applies `ToTensor`."""
    loader = DataLoader(Pictures(work.images), work.batch_size, shuffle=True)
    return _epoch(work, lambda: (x.to(work.device).flatten(1) for x in loader))


def on_resident_tensors(work: Work) -> Callable[[], float]:
    """Train by `SVI` and `pyro.optim.Adam` on images that are tensors already, without a loader."""
    return _epoch(work, work.batches)


def _epoch(work: Work, batches: Callable[[], Iterable[Tensor]]) -> Callable[[], float]:
    vae = PyroVAE(work).to(work.device)
    elbo = Trace_ELBO(work.particles, max_plate_nesting=1, vectorize_particles=work.particles > 1)
    adam = pyro.optim.Adam({"lr": LR})  # type: ignore[attr-defined]  # Pyro creates this class on import
    svi = SVI(vae.model, vae.guide, adam, elbo)
    return lambda: sum(svi.step(x) for x in batches()) / len(work.images)
