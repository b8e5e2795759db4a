"""Compile a function of tensors into one graph, and decide whether that is worth the time it takes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule

from pyrovae.inference.graphs import shared_as_inputs, trace_graph
from pyrovae.inference.kernels import few_files
from pyrovae.inference.onednn import use_onednn
from pyrovae.inference.private import compile_by_inductor
from pyrovae.inference.threads import counts

# Where Inductor keeps what it compiles: beyond a restart of the machine, for other processes to take within a second or
# two. Set here, since Inductor's import sets a folder in /tmp; where this one cannot be written, that has to do.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyrovae/compiled"
if os.access(next(path for path in CACHE.parents if path.exists()), os.W_OK):
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(CACHE))

# In seconds, measured with mlp and gated networks on two CPU cores: compiling, and what a compiled step saves.
COST, SAVED = 15.0, 0.003
# Random numbers are torch's own. Arguments are not checked, because a graph is called with the tensors it was made for.
OPTIONS = {"fallback_random": True, "size_asserts": False, "alignment_asserts": False, "scalar_asserts": False}


def capture(function: Callable[..., tuple[Any, ...]], *args: Tensor) -> Callable[..., tuple[Any, ...]]:
    """Compile `function`, which returns a tuple of tensors or None, for arguments of the shapes of `args`.

    Python runs once, on `args`: whatever it decides there holds for all later calls. Tensors that the function reads
    from elsewhere, such as parameters, stay shared with the graph, which reads and changes them in place. Random
    numbers are torch's, drawn in the order of the operations. The run on `args` has all the function's effects: restore
    whatever it should not have changed.
    """
    graph = trace_graph(function, *args)
    shared = shared_as_inputs(graph)
    compiled = compile_graph(graph, *args, *shared)
    return lambda *inputs: compiled(*inputs, *shared)


def compile_graph(graph: GraphModule, *inputs: Tensor) -> Callable[..., tuple[Any, ...]]:
    """Compile a graph by Inductor for inputs like these.

    Autograd does not see what the graph computes: gradients that are needed have to be operations in it.
    """
    if not any(tensor.is_cuda for tensor in inputs):
        use_onednn(graph)
    with torch.no_grad(), few_files():
        # Without this option, the number of threads is written into the loops.
        compiled = compile_by_inductor(graph, inputs, {**OPTIONS, "cpp.dynamic_threads": len(counts()) > 1})

    def run(*inputs: Tensor) -> tuple[Any, ...]:
        with torch.no_grad():
            outputs: tuple[Any, ...] = compiled(*inputs)
            return outputs

    return run


def to_compile(choice: str, steps: int) -> bool:
    """Return whether to compile a step, by `choice`: yes, no or auto.

    With auto the answer is yes if so many `steps` clearly save more time than compiling takes. It depends on nothing
    else, so that the same training is compiled on every machine.
    """
    return choice == "yes" or (choice == "auto" and steps * SAVED > 1.5 * COST)


def estimate(steps: int) -> str:
    """Say how long compiling takes and what it saves, for the command line."""
    return f"about {COST:.0f} s, for some {SAVED * 1000:.0f} ms less at each of {steps:,} steps"


def why_not(error: Exception) -> str:
    """Return the first line of an error, as the reason why a program could not be captured."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
