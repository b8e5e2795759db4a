"""The one file that names what torch and Pyro keep private or call unstable.

All other files import such a name from here, so that a new release of torch or Pyro that renames or drops one breaks
this file alone; `tests/inference/test_private.py` then says which name is missing, and in which version. What takes
long to import is imported inside a function, at its first use.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pyro
import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.fx import GraphModule

aten = torch.ops.aten

try:
    from pyro.distributions.util import (
        is_identically_zero,  # checks for Pyro's constant 0, without reading a tensor
        scale_and_mask,  # scales and masks a log-density as Pyro does at a sample site
    )
    from pyro.infer.trace_elbo import _compute_log_r as compute_log_r  # log p − log q of each row of the plates
    from pyro.poutine.runtime import _PYRO_STACK as handlers  # the effect handlers that programs run in at the moment
    from torch._ops import OpOverload  # the type of an operation in a graph
    from torch.utils._python_dispatch import TorchDispatchMode  # sees each operation inside it, below autograd
    from torch.utils._pytree import tree_map  # applies a function to every leaf of nested lists, tuples and dicts

    # The same operation on many tensors at once: one kernel on CUDA, one call from Python everywhere.
    foreach_add_, foreach_addcmul_, foreach_copy_ = torch._foreach_add_, torch._foreach_addcmul_, torch._foreach_copy_
    foreach_div, foreach_mul_, foreach_sub = torch._foreach_div, torch._foreach_mul_, torch._foreach_sub
    foreach_norm = torch._foreach_norm
    # One step of Adam on many tensors, without the checks of torch.optim.Adam and without counting the step.
    fused_adam_ = torch._fused_adam_
    # torch.linalg's check of its results, which waits for the device and which Inductor does not support.
    linalg_check_errors = aten._linalg_check_errors.default
    # Average pooling to a size, which the explorer replaces by simpler operations.
    adaptive_avg_pool2d = aten._adaptive_avg_pool2d
    # Turns the warning that vmap runs an operation row by row on or off. The type stub of torch._C lacks it.
    warn_of_vmap_fallback: Callable[[bool], None] = torch._C._functorch._set_vmap_fallback_warning_enabled  # type: ignore[attr-defined]
except (AttributeError, ImportError) as error:
    raise ImportError(
        f"torch and pyro: expected releases with every name in pyrovae/inference/private.py, got torch"
        f" {torch.__version__} and pyro {pyro.__version__} ({error}); install torch 2.14 and pyro-ppl 1.9.2"
    ) from error

__all__ = [
    "ELSEWHERE",
    "OpOverload",
    "TorchDispatchMode",
    "adaptive_avg_pool2d",
    "compile_by_inductor",
    "compute_log_r",
    "decompositions",
    "foreach_add_",
    "foreach_addcmul_",
    "foreach_copy_",
    "foreach_div",
    "foreach_mul_",
    "foreach_norm",
    "foreach_sub",
    "fused_adam_",
    "handlers",
    "inductor_kernels",
    "is_identically_zero",
    "is_mutable",
    "linalg_check_errors",
    "linear_by_onednn",
    "make_fx",
    "mask_of",
    "scale_and_mask",
    "set_found_inf",
    "tree_map",
    "unbroadcasted",
    "warn_of_vmap_fallback",
]

# Names that other files use without importing them from here: what a class of ours overrides or calls on itself, and
# what `pyrovae/parts` needs, which must not import this file.
ELSEWHERE = {
    "pyro.infer.Trace_ELBO._get_traces": "yields a trace of the model and one of the guide for each particle",
    "pyro.infer.Trace_ELBO._differentiable_loss_particle": "the loss and the surrogate loss of one pair of traces",
    "pyro.infer.Trace_ELBO._guess_max_plate_nesting": "sets how deep the plates of a program are nested",
    "pyro.infer.Trace_ELBO._vectorized_num_particles": "puts a program into a plate of particles",
    "pyro.poutine.replay_messenger.ReplayMessenger._pyro_sample": "called by an effect before a site is drawn",
    "pyro.poutine.trace_messenger.TraceMessenger._pyro_post_sample": "called by an effect after a site is drawn",
    "torch.fx.experimental.proxy_tensor.disable_proxy_modes_tracing": "keeps the exemplar prior's means out of a graph",
    "torch.nn.Module._load_from_state_dict": "loads one module's own tensors: the exemplar prior forgets its means",
    "torch.distributions.ContinuousBernoulli._cont_bern_log_norm": "the log of its normalising constant",
    "torch.distributions.Distribution._extended_shape": "the shape of a sample, batch and event dimensions included",
    "torch.distributions.Distribution._get_checked_instance": "makes the object that `expand` returns",
    "torch.distributions.Distribution._validate_args": "whether a distribution checks its arguments",
    "torch.distributions.Distribution._validate_sample": "checks that a value lies in the support",
}


def make_fx(
    function: Callable[..., object], decompositions: Mapping[OpOverload, Callable[..., object]] | None, *args: Tensor
) -> GraphModule:
    """Run `function` once on `args`, and return the operations of that run as a graph."""
    from torch.fx.experimental import proxy_tensor  # takes longer to import than torch itself

    return proxy_tensor.make_fx(function, decomposition_table=decompositions)(*args)


def compile_by_inductor(graph: GraphModule, inputs: Sequence[Tensor], options: dict[str, object]) -> Callable[..., Any]:
    """Compile a graph for inputs like these.

    Unlike `torch.compile` it neither traces the graph once more nor checks at every call what cannot have changed. What
    Inductor has compiled it finds again on disk for the same graph, but only if the inputs are fake tensors of a shape
    environment: else it bypasses its cache. Their shapes are fixed, so that no size becomes an argument. The values on
    which the graph was traced belong to another environment, and are forgotten.
    """
    import torch._inductor
    from torch._guards import TracingContext, tracing
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    for node in graph.graph.nodes:
        if node.op == "placeholder":
            node.meta.pop("val", None)
    mode = FakeTensorMode(shape_env=ShapeEnv(), static_shapes=True)
    like: list[Any] = [mode.from_tensor(tensor, static_shapes=True) for tensor in inputs]
    with tracing(TracingContext(mode)):
        compiled: Callable[..., Any] = torch._inductor.compile(graph, like, options=options)
    return compiled


def inductor_kernels() -> tuple[Any, Callable[..., Callable[[], Any]]]:
    """Return the class by which a graph names its kernels and waits for them, and the loader of C++ for Python."""
    from torch._inductor.async_compile import AsyncCompile
    from torch._inductor.codecache import CppPythonBindingsCodeCache

    return AsyncCompile, CppPythonBindingsCodeCache.load_async


def decompositions(operations: Sequence[Any]) -> dict[OpOverload, Callable[..., object]]:
    """Return the rules that rewrite ATen's operations as its core ones, and `operations` as simpler ones, too."""
    from torch import _decomp

    return {**_decomp.core_aten_decompositions(), **_decomp.get_decompositions(operations)}


def linear_by_onednn(a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute a @ weight.T + bias by oneDNN, for any strides. A build of torch without oneDNN lacks the operator."""
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise.default(a, weight, bias, "none", [], ""))


def is_mutable(operation: OpOverload) -> bool:
    """Return whether an operation writes into one of its arguments, according to its schema."""
    return bool(operation._schema.is_mutable)


def set_found_inf(optim: torch.optim.Optimizer, flag: Tensor) -> None:
    """Make a fused optimizer skip its steps while `flag` is 1. torch's GradScaler sets the same attribute for this."""
    optim.found_inf = flag  # type: ignore[attr-defined]


def unbroadcasted(q: torch.distributions.Distribution, name: str) -> Tensor:
    """Return a parameter of a multivariate normal distribution in its original shape, before torch expanded it."""
    return cast(Tensor, getattr(q, f"_unbroadcasted_{name}"))


def mask_of(distribution: MaskedDistribution) -> Tensor | bool:
    """Return where a masked distribution counts."""
    return cast(Tensor | bool, distribution._mask)
