"""Build the program that a config describes: look up what it is made of, make it, and check that all fits together."""

from collections import ChainMap
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from pyrovae.config import values
from pyrovae.config.settings import Config, group_of
from pyrovae.data.data import Data
from pyrovae.errors import InputError, at_least, reason
from pyrovae.inference import seeded
from pyrovae.inference.parameters import hidden
from pyrovae.inference.traces import guide_then_model, sample_sites
from pyrovae.parts.contexts import Columns, Context, Label, Quadrants
from pyrovae.parts.kinds import Kind
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.missingness import MISSINGNESS
from pyrovae.parts.networks import ACTIVATIONS, NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.parts.registry import call, lookup, parameters_of
from pyrovae.program import Program
from pyrovae.programs import PROGRAMS
from pyrovae.programs.memory import allocation_refused, built_in_memory
from pyrovae.programs.parts import Parts

FAMILIES: dict[str, Mapping[str, Callable[..., object]]] = {
    "program": PROGRAMS,
    "likelihood": LIKELIHOODS,
    "network": NETWORKS,
    "posterior": POSTERIORS,
    "prior": PRIORS,
    "missingness": MISSINGNESS,
}
# A setting that parts are made of, too, is read by a program that asks for any of these.
READ_AS = {
    "likelihood": {"likelihood", "decoder"},
    "network": {"network", "encoder", "decoder", "make_hidden"},
    "posterior": {"posterior", "make_posterior"},
    "prior": {"prior", "make_prior"},
    "condition": {"context"},
    "latent_dim": {"latent_dim", "posterior", "prior", "decoder"},
}


def build(
    config: Config,
    shape: tuple[int, ...],
    classes: int = 0,
    missing: bool = False,
    kinds: Sequence[Kind] = (),
    conditions: Mapping[str, Kind] = MappingProxyType({}),
) -> Program:
    """Build the program that `config` describes, for images (C, H, W) or vectors (D,), and so many classes.

    If values may be `missing`, as NaN, the likelihood leaves them out, and the encoder reads where they are. `kinds`
    are those of a table's columns, for pixels `columns`; `conditions` are further columns, by name with their kinds,
    for a condition of columns. The seed decides the weights. Raises `InputError` for unknown
    names (with the nearest one), for settings that the program does not read, for parts and sites that do not fit each
    other, and for a model that does not fit in memory. A model of pyrovae's own parts that is too large is refused
    before it allocates any.

    >>> vae = build(Config(hidden=(32,), latent_dim=4, prior="mixture", components=5), (1, 8, 8))
    >>> vae.prior().event_shape, sum(parameter.numel() for parameter in vae.parameters())
    (torch.Size([4]), 4661)
    """
    if len(shape) not in (1, 3):
        raise InputError(f"shape: expected (channels, height, width), or (columns,) of a vector, got {tuple(shape)}")
    at_least(1, **dict(zip(("channels", "height", "width") if len(shape) == 3 else ("columns",), shape)))
    members = {family: lookup(family, getattr(config, family), known) for family, known in FAMILIES.items()}
    _check_settings(config, members["program"])
    _check_pixels(config, members["likelihood"])
    _expect_fit(config, shape, kinds)
    context = _context(config, shape, classes, missing, conditions)
    more = {
        "shape": tuple(shape),
        "activation": lookup("activation", config.activation, ACTIVATIONS),
        "unit": 255.0 if config.pixels == "bytes" else 1.0,
        "missing": missing,
        "kinds": tuple(kinds),
        "conditions": tuple(conditions.values()) if isinstance(context, Columns) else (),
    }
    parts: list[Parts] = []

    def make() -> Program:
        parts[:] = [Parts(config, members, context, **more)]
        return _assembled(parts[0], classes)

    own = all(str(member.__module__).startswith("pyrovae.") for member in members.values())
    program = built_in_memory(make, config.device, rehearse=own)
    if not program.has_kl and any(parameter.requires_grad for parameter in program.prior.parameters()):
        raise InputError(
            "prior: expected one that is not learned, as posterior"
            f" {config.posterior!r} has no KL to train it by, got {config.prior!r}"
        )
    with allocation_refused():
        _check_sites(program, parts[0])
    program.unread = _unread(config, parts[0].read)
    return program


def build_for(config: Config, data: Data) -> Program:
    """Build the program that `config` describes, for the images or vectors of a dataset."""
    return build(config, data.shape, len(data.classes), data.missing, data.kinds, data.conditions)


def _assembled(parts: Parts, classes: int) -> Program:
    """Make the program from what it asks for."""
    offered = ChainMap[str, object]({"context": parts.context, "classes": classes}, parts)  # type: ignore[arg-type]
    with seeded(parts.config.seed):
        program = call("program", parts.members["program"], offered)
    if not isinstance(program, Program):
        raise InputError(f"program: expected a subclass of pyrovae.Program, got {parts.config.program!r}")
    program.shape = parts["shape"]
    program.missing = parts["missing"]
    return program.eval()


def _check_settings(config: Config, program: Callable[..., object]) -> None:
    """Raise `InputError` for a part, or a setting of the group Program, that is chosen but that the program ignores."""
    read = _read_by(program)
    for name, field in Config.model_fields.items():
        belongs = name in READ_AS or group_of(field) == "Program"
        if not belongs or name == "program" or name in read or getattr(config, name) == field.default:
            continue
        readers = (
            " or ".join(known for known, member in PROGRAMS.items() if name in _read_by(member)) or "none of pyrovae's"
        )
        raise InputError(config.unread(name, f"program {config.program!r} does not read it ({readers} does)"))


def _unread(config: Config, read: Collection[str]) -> dict[str, str]:
    """Name the settings of the model that are chosen, and of which no part is made; with what to do about each."""
    unread = {}
    for name in config.differing():
        if group_of(Config.model_fields[name]) == "Model" and name not in (*READ_AS, *read):
            readers = " or ".join(
                f"{family} {member}"
                for family, members in FAMILIES.items()
                for member, part in members.items()
                if name in parameters_of(part)
            )
            unread[name] = config.unread(name, f"no part of this model reads it ({readers} does)")
    return unread


def _read_by(program: Callable[..., object]) -> set[str]:
    """Return the settings that a program reads by what its constructor asks for."""
    arguments = parameters_of(program).keys()
    read = {part for part, names in READ_AS.items() if names & arguments}
    return {*arguments, *getattr(program, "reads", ()), *read}


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


def _expect_fit(config: Config, shape: tuple[int, ...], kinds: Sequence[Kind]) -> None:
    """Raise `InputError` for vectors read as pixels, for images read as a table, and for columns without kinds."""
    values.expect_protocol(config.pixels, len(shape))
    if len(shape) == 1 and config.condition.startswith("quadrant"):
        raise InputError(f"condition: expected none, label or columns for a table, got {config.condition!r}")
    if config.pixels == "columns" and len(kinds) != shape[0]:
        raise InputError(f"kinds: expected one for each of {shape[0]} columns, as a dataset has, got {len(kinds)}")
    if config.pixels == "columns" and config.prior == "vamp":
        raise InputError("prior: expected another than 'vamp' for pixels 'columns', as categories cannot be learned")


def _check_sites(program: Program, parts: Parts) -> None:
    """Run guide and model on two images; raise `InputError` unless parts and sites are as they should be."""

    def check(family: str, shape: tuple[int, ...], _: nn.Module, __: object, returned: object) -> None:
        _expect_distribution(family, getattr(parts.config, family), returned, shape)

    hooks = [
        module.register_forward_hook(partial(check, family, shape))
        for family, module, shape in parts.distributions
        if isinstance(module, nn.Module)
    ]
    try:
        with torch.no_grad(), seeded(parts.config.seed):
            x, blank, whole = _probes(parts["shape"], parts["kinds"])
            usual = torch.tensor([kind.typical for kind in parts["conditions"]])
            labels = usual.repeat(2, 1) if parts["conditions"] else torch.zeros(2, dtype=torch.long)
            sites, others = (program.sites(images, program.given(images, labels)) for images in (x, blank))
    except ValueError as error:
        raise InputError(reason(ValueError(str(error).partition("\nTrace Shapes")[0]))) from None  # Pyro adds shapes
    finally:
        for hook in hooks:
            hook.remove()
    if program.missing:
        _check_missing(program, whole, labels)
    if [*sites.values()] != [*others.values()]:
        raise InputError("program: expected the same sites for all images, got others for blank ones than for noise")
    if (shape := sites[program.image].event_shape) != parts["shape"]:
        raise InputError(f"image: expected event shape {parts['shape']} of {program.image!r}, got {shape}")


def _probes(shape: tuple[int, ...], kinds: Sequence[Kind]) -> tuple[Tensor, Tensor, Tensor]:
    """Return pairs of images to try a program on: noise, blank ones, and some that every likelihood can score."""
    if not kinds:
        return torch.rand(2, *shape), torch.zeros(2, *shape), torch.ones(2, *shape)
    usual = torch.tensor([kind.typical for kind in kinds]).repeat(2, 1)
    other = torch.tensor([kind.typical or 1.0 for kind in kinds]).repeat(2, 1)
    return usual, other, usual.clone()


def _check_missing(program: Program, x: Tensor, labels: Tensor) -> None:
    """Raise `InputError` unless the program scores images x of which values are missing."""
    x.flatten(1)[:, 0] = torch.nan
    with torch.no_grad(), hidden():
        _, model = guide_then_model(program.model, program.guide, x, program.given(x, labels))
        node = sample_sites(model)[program.image]
        if not node["fn"].log_prob(node["value"]).isfinite().all():
            raise InputError(
                "program: expected one that leaves missing values out, as with `likelihood` of its parts, got scores"
                " that are not finite"
            )


def _expect_distribution(family: str, name: str, returned: object, shape: tuple[int, ...]) -> None:
    """Raise `InputError` unless what a part returned is a distribution of this event shape."""
    if not isinstance(returned, torch.distributions.Distribution):
        raise InputError(f"{family} {name!r}: expected a Pyro distribution from forward, got {type(returned).__name__}")
    if returned.event_shape != shape:
        hint = f"; .to_event({len(shape)})?" if not returned.event_shape else ""
        raise InputError(f"{family} {name!r}: expected event shape {shape}, got {tuple(returned.event_shape)}{hint}")


def _context(
    config: Config, shape: tuple[int, ...], classes: int, missing: bool, conditions: Mapping[str, Kind]
) -> Context | None:
    if names := config.given_columns:
        if names != (*conditions,):
            got = ", ".join(conditions) or "none"
            raise InputError(f"condition: expected data with the conditions {', '.join(names)}, got {got}")
        return Columns(conditions)
    if config.condition == "none":
        return None
    if config.condition == "label":
        if not classes:
            raise InputError(f"condition: 'label' expects images with labels, got none in {config.dataset!r}")
        return Label(classes)
    return Quadrants(shape, int(config.condition[-1]), missing)
