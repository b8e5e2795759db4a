"""Show the parameters of a program to Pyro where Pyro trains it, and keep them from Pyro everywhere else."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pyro
from pyro.distributions import constraints
from pyro.nn import PyroModule, pyro_method
from pyro.poutine.messenger import Messenger
from pyro.poutine.runtime import effectful
from pyro.poutine.trace_messenger import TraceMessenger
from torch import nn

from pyrovae.errors import InputError
from pyrovae.inference.private import handlers

_HIDDEN = False
pyro.settings.register("pyrovae_hidden_parameters", __name__, "_HIDDEN")


def hidden() -> AbstractContextManager[None]:
    """Run programs inside with parameters that are torch's alone: no trace has them, nor has Pyro's store."""
    return pyro.settings.context(module_local_params=True, pyrovae_hidden_parameters=True)


class Shown:
    """A method of a `PyroModule` that Pyro's inference can train: on an object it is a module with its parameters."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def __get__(self, program: PyroModule | None, kind: type | None = None) -> Callable[..., object]:
        return self.function if program is None else _Bound(program, self.function)


class _Bound(nn.Module):
    """A method of a program, as a module whose parameters are the program's: Pyro's `ELBO` objects look for them.

    In an effect that collects parameters, as that of Pyro's `SVI` does, they are in Pyro's store. In other effects they
    are sites without being there: an ELBO of Pyro's computes no gradients of a program that has no such site.
    """

    def __init__(self, program: PyroModule, function: Callable[..., object]) -> None:
        super().__init__()
        self.program, self.function = program, function

    def forward(self, *args: object, **kwargs: object) -> object:
        if handlers and not _HIDDEN:
            if any(isinstance(handler, TraceMessenger) and handler.param_only for handler in handlers):
                with pyro.settings.context(module_local_params=False), _ExpectOwn():
                    return pyro_method(self.function)(self.program, *args, **kwargs)
            for name, parameter in self.program.named_parameters():
                _site(name, parameter, constraint=constraints.real, name=name)
        return self.function(self.program, *args, **kwargs)


# Takes what `pyro.param` takes, and returns the parameter.
_site: Callable[..., object] = effectful(lambda name, parameter, constraint: parameter, type="param")


class _ExpectOwn(Messenger):
    """Raises `InputError` if Pyro's store has another tensor under the name of a parameter: Pyro would train that."""

    def _pyro_post_param(self, msg: Any) -> None:
        own = msg["args"][1] if len(msg["args"]) > 1 else None  # without one, Pyro copies its store's into the program
        if isinstance(own, nn.Parameter) and msg["value"].unconstrained() is not own:
            raise InputError(
                f"Pyro's parameter store: expected {msg['name']} of this program, got another's of that name;"
                " call pyro.clear_param_store() before you train the next program"
            )
