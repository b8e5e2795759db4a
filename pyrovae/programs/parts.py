"""Makes the parts that programs are made of, each from the settings and other parts that its constructor asks for."""

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from pyrovae.config.settings import Config, as_text
from pyrovae.errors import InputError
from pyrovae.parts.contexts import Context, Quadrants
from pyrovae.parts.likelihoods import Elementwise, GivenTotal, Likelihood, Seen, Unseen
from pyrovae.parts.networks import MLP
from pyrovae.parts.networks.network import Encoder, Network
from pyrovae.parts.networks.observed import ByKind, Logarithms, Observed, Reading, doubled, width
from pyrovae.parts.registry import call


class Parts(Mapping[str, Any]):
    """What constructors may ask for by name: settings, parts, and functions that make more parts of the same kinds.

    `members` are the classes by family, and `more` is what `config` does not have. A part is made when it is first
    asked for. To ask for several in the order of this mapping makes them in the order that decides, together with the
    seed, which weights they get. `read` are the settings that were asked for, and `distributions` the parts that return
    one: family, module and event shape.
    """

    def __init__(self, config: Config, members: Mapping[str, Any], context: Context | None, **more: object) -> None:
        self.config, self.members, self.context = config, members, context
        more["context"] = () if context is None else context.shape
        self.settings = {name: value for name, value in config.model_dump().items() if name not in members} | more
        self.made: dict[str, object] = {}
        self.read: set[str] = set()  # settings that a part was made of
        self.distributions: list[tuple[str, nn.Module, tuple[int, ...]]] = []
        self._under_way: list[str] = []
        self._makers: dict[str, Callable[[], object]] = {
            "likelihood": self._likelihood,
            "missingness": self._missingness,
            "network": self._network,
            "encoder": lambda: self["network"].encoder(self["context"]),
            "decoder": self._decoder,
            "features": lambda: self["encoder"].features,
            "posterior": lambda: self.make_posterior(self["features"], self._latent_dim()),
            "prior": lambda: self._distribution("prior", {"latent_dim": self._latent_dim()}),
            "make_hidden": lambda: self.make_hidden,
            "make_posterior": lambda: self.make_posterior,
            "make_prior": lambda: self.make_prior,
        }

    def __iter__(self) -> Iterator[str]:
        yield from (*self.settings, *self._makers)

    def __contains__(self, name: object) -> bool:  # without making it
        return name in self.settings or name in self._makers

    def __len__(self) -> int:
        return len(self.settings) + len(self._makers)

    def __getitem__(self, name: str) -> Any:
        if name in self.settings:
            self.read.add(name)
            return self.settings[name]
        if name not in self.made:
            if name in self._under_way:
                raise InputError(
                    f"{name}: expected parts that can be made one after another, got some that need each other"
                )
            self._under_way.append(name)
            self.made[name] = self._makers[name]()
            self._under_way.pop()
        return self.made[name]

    def make_hidden(self, inputs: int, widths: Sequence[int]) -> nn.Module:
        """Make hidden layers of these widths for vectors: those of the network if it has such, else an MLP's."""
        network = self["network"]
        if not hasattr(network, "layers"):
            network = MLP(self["shape"], widths, self["activation"])
        layers: nn.Module = network.layers(inputs, widths)
        return layers

    def make_posterior(self, features: int, latent_dim: int) -> nn.Module:
        """Make a posterior of so many dimensions, for so many features."""
        return self._distribution("posterior", {"features": features, "latent_dim": latent_dim})

    def make_prior(self, latent_dim: int, encoder: nn.Module, posterior: nn.Module) -> nn.Module:
        """Make a prior of so many dimensions; if it encodes images, then by this encoder and posterior."""
        given = {"latent_dim": latent_dim, "encoder": encoder, "posterior": posterior}
        return self._distribution("prior", given)

    def _distribution(self, family: str, given: dict[str, Any]) -> nn.Module:
        part = call(family, self.members[family], ChainMap(given, self))  # type: ignore[arg-type]
        if not isinstance(part, nn.Module):
            raise InputError(f"{family}: expected a module, got {getattr(self.config, family)!r}")
        self.distributions.append((family, part, (given["latent_dim"],)))
        return part

    def _likelihood(self) -> nn.Module:
        likelihood: Any = call("likelihood", self.members["likelihood"], self)
        if isinstance(likelihood, Elementwise):
            likelihood.dims = len(self["shape"])
        if self["library_size"] != "none":
            likelihood = self._given_total(likelihood)
        self.distributions.append(("likelihood", likelihood, self["shape"]))
        likelihood = Seen(likelihood) if self["missing"] else likelihood
        return Unseen(likelihood, ~self.context.seen) if isinstance(self.context, Quadrants) else likelihood

    def _given_total(self, likelihood: Likelihood) -> GivenTotal:
        if not getattr(likelihood, "log_mean", False):
            raise InputError(
                "library_size: expected likelihood poisson or negative_binomial beside it, got"
                f" {self.config.likelihood!r}"
            )
        if self["missing"]:
            raise InputError(
                "library_size: expected 'none' for data with missing values, as the total of a row is then not known,"
                f" got {self['library_size']!r}"
            )
        return GivenTotal(likelihood, self["shape"][0])

    def _missingness(self) -> nn.Module:
        part = call("missingness", self.members["missingness"], self)
        if not isinstance(part, nn.Module):
            raise InputError(f"missingness: expected a module, got {self.config.missingness!r}")
        return part

    def _network(self) -> Network:
        """Make the network; its encoders read missing values, if there may be any, counts, and mixed columns."""
        shape = self["shape"]
        if kinds := self["kinds"]:
            network = self._network_for((self["likelihood"].width,))
            return Reading(network, self._network_for((width(kinds, self["missing"]),)), [self._by_kind])
        network = self._network_for(shape)
        encoding = self._network_for(doubled(shape)) if self["missing"] else network
        wrappers: list[Callable[[Encoder], Encoder]] = [Logarithms] if self.config.pixels == "counts" else []
        if self["missing"]:
            wrappers.append(partial(Observed, shape=shape, unit=self["unit"]))
        return Reading(network, encoding, wrappers) if wrappers else network

    def _by_kind(self, encoder: Encoder) -> Encoder:
        return ByKind(encoder, self["kinds"], self["missing"])

    def _network_for(self, shape: tuple[int, ...]) -> Network:
        offered = ChainMap[str, object]({"shape": shape}, self)  # type: ignore[arg-type]
        network: Network = call("network", self.members["network"], offered)
        if missing := [name for name in ("encoder", "decoder") if not hasattr(network, name)]:
            raise InputError(f"network: expected a class with {', '.join(missing)}, got {self.config.network!r}")
        return network

    def _decoder(self) -> object:
        return self["network"].decoder(self._latent_dim(), self["likelihood"].features, self["context"])

    def _latent_dim(self) -> int:
        """Return the number of dimensions of the one code that ready-made parts are for."""
        dimensions = self["latent_dim"]
        if not isinstance(dimensions, int):
            raise InputError(
                f"latent_dim: expected one number for program {self.config.program!r}, which has one code,"
                f" got {as_text(dimensions)}"
            )
        return dimensions
