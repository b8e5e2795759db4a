"""Let Inductor write the code of a graph for a GPU that is not there. What torch keeps private is named here alone.

Inductor asks the device for its properties, tries out on it whether padding pays, and folds constants there: it is
told the properties, and not to do the others. Much of that it remembers, so run this in a process of its own:
`python -m support.triton_code SETTINGS ...` prints a list of codes as JSON, one for the step of each program.
"""

import json
import sys
from contextlib import ExitStack
from types import SimpleNamespace
from unittest.mock import patch

import torch
from support.builders import small_data, small_vae
from support.fake_cuda import CUDA, fake_cuda
from torch._dynamo.device_interface import CudaInterface
from torch._guards import TracingContext, tracing
from torch._inductor import compile
from torch._inductor.exc import InductorError
from torch._inductor.fx_passes import joint_graph, post_grad
from torch._inductor.graph import GraphLowering
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from pyrovae import fit
from pyrovae.inference.compiled import OPTIONS
from pyrovae.inference.graphs import shared_as_inputs, trace_graph
from pyrovae.training.step import training_mode

H200 = SimpleNamespace(
    name="NVIDIA H200",
    major=9,
    minor=0,
    multi_processor_count=132,
    warp_size=32,
    regs_per_multiprocessor=65536,
    max_threads_per_multi_processor=2048,
    max_threads_per_block=1024,
    shared_memory_per_block_optin=232448,
    total_memory=141 * 10**9,
)
NO_TRIALS = {"joint_graph_constant_folding": False, "shape_padding": False, "fx_graph_cache": False}


class _Written(Exception):
    """Ends the compilation once the code is written: to load it takes a driver."""


def triton_code(graph, inputs):
    """Return the Python that Inductor writes for a graph whose inputs, fake ones on CUDA, are like these."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    for node in graph.graph.nodes:
        if node.op == "placeholder":
            node.meta.pop("val", None)
    mode, codes = FakeTensorMode(shape_env=ShapeEnv(), static_shapes=True), []
    with mode:
        like = [torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device) for x in inputs]
    write = GraphLowering.codegen

    def write_alone(self):
        codes.append(write(self)[0].value)
        raise _Written

    target = SimpleNamespace(get_current_target=lambda: GPUTarget("cuda", 90, 32), get_current_device=lambda: 0)
    with ExitStack() as stack:
        for owner, name, value in (
            (torch.cuda, "is_available", lambda: True),
            (torch.cuda, "device_count", lambda: 1),
            (torch.cuda, "current_device", lambda: 0),
            (torch.cuda, "_exchange_device", lambda index: 0),
            (torch.cuda, "_maybe_exchange_device", lambda index: 0),
            (torch.cuda, "get_device_capability", lambda device=None: (9, 0)),
            (torch.cuda, "get_device_properties", lambda device=None: H200),
            (torch.cuda, "get_rng_state", lambda device=None: torch.zeros(16, dtype=torch.uint8)),
            (torch.cuda, "set_rng_state", lambda state, device=None: None),
            (CudaInterface, "device_count", lambda: 1),
            (CudaInterface, "current_device", lambda: 0),
            (CudaInterface, "get_device_properties", lambda device=None: H200),
            (CudaInterface.Worker, "current_device", lambda: 0),
            (CudaInterface.Worker, "get_device_properties", lambda device=None: H200),
            (joint_graph, "lazy_init", lambda device=None: None),  # patterns of attention, tried out on the device
            (post_grad, "lazy_init", lambda device=None: None),
            (driver, "_active", target),
            (GraphLowering, "codegen", write_alone),
        ):
            static = staticmethod(value) if isinstance(owner, type) and owner is not GraphLowering else value
            stack.enter_context(patch.object(owner, name, static))
        stack.enter_context(tracing(TracingContext(mode)))
        try:
            with torch.no_grad():
                compile(graph, like, options=OPTIONS | NO_TRIALS)
        except InductorError:  # around _Written
            if not codes:
                raise
    return codes[0]


def step_code(**settings):
    """Return the code of the loss and the gradients of one training step."""
    vae, config = small_vae(**settings)
    with fake_cuda(vae, small_data(pixels=config.pixels)) as (_, vae, data):
        fitting = fit(vae, data, config.model_copy(update={"device": "cuda"}))
        fitting.svi.validate = False
        rows = torch.arange(16, device=CUDA)
        with training_mode(vae):
            graph = trace_graph(fitting.svi.gradients, rows)
        inputs = (rows, *shared_as_inputs(graph))
    return triton_code(graph, inputs)


if __name__ == "__main__":
    json.dump([step_code(**json.loads(settings)) for settings in sys.argv[1:]], sys.stdout)
