"""The sites of a program: its random variables, read from one run of guide and model."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import cast

import pyro.distributions as dist
import torch
from pyro import poutine
from pyro.poutine.runtime import Message
from torch import Tensor

from pyrovae.errors import InputError
from pyrovae.inference.parameters import hidden
from pyrovae.inference.randomness import seeded
from pyrovae.inference.traces import SampleSite, guide_then_model, is_discrete, is_summed, sample_sites


@dataclass(frozen=True)
class Site:
    """A random variable of a program, made by a `pyro.sample` statement of its model."""

    name: str
    event_shape: tuple[int, ...]  # of its value for one image
    observed: bool
    discrete: bool
    inferred_after: tuple[str, ...]  # the latents that the guide draws before it
    summed: bool = False  # over all its values, as the guide says by infer={"enumerate": "parallel"}; not drawn


def vectors_of(sites: Mapping[str, Site], code: str | None, but: str | None = None) -> list[str]:
    """Return the names of the continuous latents that are vectors, `but` for one; that of the code comes first."""
    latents = [site for site in sites.values() if not (site.observed or site.discrete) and site.name != but]
    names = [site.name for site in latents if len(site.event_shape) == 1]
    return sorted(names, key=lambda name: name != code)


def is_latent(msg: SampleSite) -> bool:
    """Say whether the message, or the node of a trace, is of a latent: not of what is observed, a factor or a plate."""
    return not msg["is_observed"] and not is_plate(msg)


def is_plate(msg: SampleSite) -> bool:
    """Say whether the message, or the node of a trace, is that by which a plate picks its rows."""
    return poutine.util.site_is_subsample(cast("Message[..., Tensor]", msg))


@torch.no_grad()
def sites_of(model: Callable[..., object], guide: Callable[..., object], *args: Tensor | None) -> dict[str, Site]:
    """Run the guide, and the model at what it draws; return the sites by name, in the order in which the model ran.

    Torch's random numbers stay as they are. Raises `InputError` if the guide lacks a latent of the model, has one that
    the model lacks, if a site comes twice or lies in no plate, so that the images do not each have a value of it, or if
    a site is to be summed over that has not finitely many values.
    """
    with seeded(0), hidden():
        try:
            guide_trace, model_trace = guide_then_model(model, guide, *args)
        except RuntimeError as error:
            if twice := re.match("Multiple sample sites named '(.*)'", str(error)):
                raise InputError(f"program: expected each site once, got {twice[1]!r} twice") from None
            raise
    drawn = {name: site for name, site in variables_of(guide_trace).items() if is_latent(site)}
    variables = variables_of(model_trace)
    latents = {name for name, site in variables.items() if is_latent(site)}
    if missing := [name for name in variables if name in latents - drawn.keys()]:
        raise InputError(f"guide: expected a site for each latent of the model, got none named {missing[0]!r}")
    if extra := [name for name in drawn if name not in latents]:
        raise InputError(f"guide: expected the model's latents alone, got {extra[0]!r}, which the model does not draw")
    for name, site in drawn.items():
        if is_summed(site) and not site["fn"].has_enumerate_support:
            kind = type(site["fn"]).__name__
            raise InputError(f"guide: expected a site of finitely many values to be summed over, got {name!r}, {kind}")
    for name, site in (*variables.items(), *drawn.items()):
        if not site["cond_indep_stack"]:
            raise InputError(f"program: expected the site {name!r} in the plate of the images, got it in none")
    return {name: _site(name, site, drawn) for name, site in variables.items()}


def expect_named(sites: Mapping[str, Site], image: str, code: str | None, label: str | None) -> None:
    """Raise `InputError` unless image, code and label name sites of their kinds; code and label may be None."""
    latents = [name for name, site in sites.items() if not site.observed]
    known = ", ".join(latents)
    if image not in sites or not sites[image].observed:
        raise InputError(f"image: expected an observed site of the model, got {image!r}")
    if code is not None and (code not in latents or sites[code].discrete or len(sites[code].event_shape) != 1):
        raise InputError(f"code: expected a latent site that is a vector, of {known}, got {code!r}")
    if label is not None and (label not in latents or not sites[label].discrete):
        raise InputError(f"label: expected a latent site that is discrete, of {known}, got {label!r}")


def variables_of(trace: poutine.Trace) -> dict[str, SampleSite]:
    """Return the sample sites that are random variables: neither a plate's subsample nor a factor."""
    return {
        name: site
        for name, site in sample_sites(trace).items()
        if not is_plate(site) and not isinstance(site["fn"], dist.Unit)
    }


def _site(name: str, site: SampleSite, drawn: dict[str, SampleSite]) -> Site:
    fn = site["fn"]
    return Site(
        name,
        event_shape=tuple(fn.event_shape),
        observed=site["is_observed"],
        discrete=is_discrete(fn),
        inferred_after=tuple(takewhile(lambda other: other != name, drawn)) if name in drawn else (),
        summed=name in drawn and is_summed(drawn[name]),
    )
