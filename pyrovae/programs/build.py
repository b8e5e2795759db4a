"""Build the VAE that a config describes: look up its parts, make them, and check that they fit each other."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from pyrovae.config.settings import Config
from pyrovae.errors import InputError, at_least, reason
from pyrovae.inference import seeded
from pyrovae.parts.contexts import Context, Label, Quadrants
from pyrovae.parts.likelihoods import LIKELIHOODS, Unseen
from pyrovae.parts.networks import ACTIVATIONS, NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.parts.registry import call, lookup
from pyrovae.programs.memory import allocation_refused, built_in_memory
from pyrovae.vae import VAE

FAMILIES: dict[str, Mapping[str, Any]] = {
    "likelihood": LIKELIHOODS,
    "network": NETWORKS,
    "posterior": POSTERIORS,
    "prior": PRIORS,
}


def build(config: Config, shape: tuple[int, int, int], classes: int = 0) -> VAE:
    """Build the VAE that `config` describes, for images (C, H, W) and so many classes; the seed decides its weights.

    Raises `InputError` for unknown names (with the nearest one), for parts that do not fit each other, and for a model
    that does not fit in memory. A model of pyrovae's own parts that is too large is refused before it allocates any.

    >>> vae = build(Config(hidden=(32,), latent_dim=4, prior="mixture", components=5), (1, 8, 8))
    >>> vae.prior().event_shape, sum(parameter.numel() for parameter in vae.parameters())
    (torch.Size([4]), 4661)
    """
    if len(shape) != 3:
        raise InputError(f"shape: expected (channels, height, width), got {tuple(shape)}")
    at_least(1, **dict(zip(("channels", "height", "width"), shape)))
    members = {family: lookup(family, getattr(config, family), known) for family, known in FAMILIES.items()}
    _check_pixels(config, members["likelihood"])
    context = _context(config, shape, classes)
    settings = config.model_dump() | {
        "shape": shape,
        "context": () if context is None else context.shape,
        "activation": lookup("activation", config.activation, ACTIVATIONS),
        "unit": 255.0 if config.pixels == "bytes" else 1.0,
    }
    own = all(str(member.__module__).startswith("pyrovae.") for member in members.values())
    vae = built_in_memory(partial(_assembled, config, members, settings, context), config.device, rehearse=own)
    if not vae.has_kl and any(parameter.requires_grad for parameter in vae.prior.parameters()):
        raise InputError(
            "prior: expected one that is not learned, as posterior"
            f" {config.posterior!r} has no KL to train it by, got {config.prior!r}"
        )
    with allocation_refused():
        _check_shapes(vae, config, shape)
    return vae


def _assembled(config: Config, members: dict[str, Any], settings: dict[str, Any], context: Context | None) -> VAE:
    """Make all parts, each from the settings that it asks for, and put them together.

    Keep the order in which the parts draw their weights, because it decides which weights a seed gives.
    """
    settings = dict(settings)

    def make(family: str) -> Any:
        return call(family, members[family], settings)

    with seeded(config.seed):
        likelihood = make("likelihood")
        network = settings["network"] = make("network")
        if missing := [name for name in ("encoder", "decoder") if not hasattr(network, name)]:
            raise InputError(f"network: expected a class with {', '.join(missing)}, got {config.network!r}")
        encoder = network.encoder(settings["context"])
        decoder = network.decoder(config.latent_dim, likelihood.features, settings["context"])
        settings |= {"encoder": encoder, "features": encoder.features}
        posterior = settings["posterior"] = make("posterior")
        prior = make("prior")
    for family, part in (("posterior", posterior), ("prior", prior)):
        if not isinstance(part, nn.Module):
            raise InputError(f"{family}: expected a module, got {getattr(config, family)!r}")
    if isinstance(context, Quadrants):
        likelihood = Unseen(likelihood, ~context.seen)
    return VAE(encoder, decoder, prior, posterior, likelihood, context).eval()


def is_density(config: Config) -> bool:
    """Say whether the likelihood is normalised over the config's pixels; `bernoulli` on `grey` ones is not."""
    return config.pixels in lookup("likelihood", config.likelihood, LIKELIHOODS).domain


def _check_pixels(config: Config, likelihood: Any) -> None:
    """Raise `InputError` if the class is no likelihood, or does not score the config's pixels."""
    missing = [name for name in ("features", "domain", "forward") if not hasattr(likelihood, name)]
    if missing:
        raise InputError(f"likelihood: expected a class with {', '.join(missing)}, got {config.likelihood!r}")
    fitting = (*likelihood.domain, *getattr(likelihood, "relaxed", ()))
    if config.pixels not in fitting:
        others = [name for name, member in LIKELIHOODS.items() if config.pixels in member.domain]
        raise InputError(
            f"pixels: likelihood {config.likelihood!r} expects {' or '.join(fitting)}, got {config.pixels!r}"
            f" (which fits likelihood {' or '.join(others)})"
        )


def _check_shapes(vae: VAE, config: Config, shape: tuple[int, int, int]) -> None:
    """Run two images through the parts; raise `InputError` unless each returns a distribution of the right shape."""
    with torch.no_grad(), seeded(config.seed):
        x = torch.rand(2, *shape)
        y = vae.given(x, torch.zeros(2, dtype=torch.long))
        code = _checked("posterior", config.posterior, vae.posterior(vae.encoder(x, y)), (config.latent_dim,))
        _checked("prior", config.prior, vae.prior(y), (config.latent_dim,))
        h = vae.decoder(code.sample(), y)
        try:
            _checked("likelihood", config.likelihood, vae.likelihood(h), shape)
        except ValueError as error:
            raise InputError(reason(error)) from None


def _checked(family: str, name: str, returned: Any, shape: tuple[int, ...]) -> Any:
    """Return what a part returned, if it is a distribution of this event shape."""
    if not isinstance(returned, torch.distributions.Distribution):
        raise InputError(f"{family} {name!r}: expected a Pyro distribution from forward, got {type(returned).__name__}")
    if returned.event_shape != shape:
        hint = f"; .to_event({len(shape)})?" if not returned.event_shape else ""
        raise InputError(f"{family} {name!r}: expected event shape {shape}, got {tuple(returned.event_shape)}{hint}")
    return returned


def _context(config: Config, shape: tuple[int, int, int], classes: int) -> Context | None:
    if config.condition == "none":
        return None
    if config.condition == "label":
        if not classes:
            raise InputError(f"condition: 'label' expects images with labels, got none in {config.dataset!r}")
        return Label(classes)
    return Quadrants(shape, seen=int(config.condition[-1]))
