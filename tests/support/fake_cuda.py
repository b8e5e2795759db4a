"""A CUDA device that is not there: fake tensors know their shapes and devices, and hold no numbers.

Torch's fake mode refuses operations between devices, as CUDA does. On top of it, `FakeCuda` refuses inside `busy` what
makes a host wait for its device: to read a number, and to copy between the two. What torch keeps private and only
tests need is named here alone.
"""

import copy
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np
import torch
from torch import distributed, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pyrovae.data import storage

CUDA = torch.device("cuda", 0)
META = torch.device("meta")  # as which autograd sees CUDA: it asks the driver for streams of a CUDA device
aten = torch.ops.aten


class Waits(AssertionError):
    """A step makes the host wait for the device."""


class FakeCuda(TorchDispatchMode):
    """Runs operations on fake tensors, and inside `busy` refuses those that make the host wait."""

    def __init__(self):
        super().__init__()
        self.mode = FakeTensorMode(allow_non_fake_inputs=False, allow_fallback_kernels=False)
        self.is_busy = False

    @contextmanager
    def busy(self):
        """Refuse inside whatever makes the host wait."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False

    def moved(self, *values):
        """Copy programs and datasets, with parameters and buffers on CUDA, and all other tensors on the CPU."""
        modules = [value for value in values if isinstance(value, nn.Module)]
        tensors = [tensor for module in modules for tensor in (*module.parameters(), *module.buffers())]
        memo = {id(tensor): self._on_cuda(tensor) for tensor in tensors}
        with FakeCopyMode(self.mode):
            return copy.deepcopy(values, memo)

    def _on_cuda(self, tensor):
        fake = self.mode.from_tensor(tensor.detach(), static_shapes=True)
        with self.mode:
            fake = fake.to(CUDA)
        return nn.Parameter(fake, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else fake

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.ops.prim.device.default:
            return META if args[0].device.type == "cuda" else args[0].device
        if kwargs.get("device") == META:
            kwargs["device"] = CUDA
        if func is aten._local_scalar_dense.default:
            return self._number(args[0])
        if func is aten._fused_adam_.tensor_lr:  # torch has no fake one whose learning rate is a tensor
            assert {kwargs[name].device for name in ("lr", "found_inf")} == {CUDA}
            func, kwargs = aten._fused_adam_.default, kwargs | {"lr": 1.0}
        result = func(*args, **kwargs)
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        if self.is_busy and len({tensor.device for tensor in tensors}) > 1:
            raise Waits(f"{func} copies between devices: {args}, {kwargs}")
        return result

    def _number(self, tensor):
        """Return what a number that is read shall be: all is finite and valid, and nothing has failed."""
        if self.is_busy and tensor.device.type == "cuda":
            raise Waits("a number is read from the device")
        return True if tensor.dtype == torch.bool else 0.0 if tensor.is_floating_point() else 0


class _Arrays(TorchFunctionMode):
    """Makes arrays of ones of tensors on the CPU, and writes a number as 0."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.Tensor.__format__:
            return format(0.0, args[1])
        if func not in (torch.Tensor.numpy, torch.Tensor.__array__):
            return func(*args, **(kwargs or {}))
        assert args[0].device.type == "cpu", "numpy reads no memory of CUDA"
        return np.ones(args[0].shape, dtype=str(args[0].dtype).removeprefix("torch."))


@contextmanager
def fake_cuda(*values):
    """Pretend that there is one CUDA device. Yields a `FakeCuda`, and the values as it has moved them to the device."""
    cuda = FakeCuda()
    with ExitStack() as stack:
        for owner, name, value in (
            (FakeTensor, "is_cuda", property(lambda tensor: tensor.device.type == "cuda")),
            (FakeTensor, "is_meta", property(lambda tensor: False)),
            (nn.Module, "to", lambda module, *_, **__: module),  # a fake parameter cannot be moved in place
            (storage, "memory", lambda device: 2**34),
            (torch.cuda, "device_count", lambda: 1),
        ):
            stack.enter_context(patch.object(owner, name, value, create=True))
        moved = cuda.moved(*values)
        for mode in (cuda.mode, cuda, _Arrays()):
            stack.enter_context(mode)
        yield cuda, *moved


@contextmanager
def fake_processes(rank, size):
    """Pretend that this process is one of several of a training; nothing is sent to the others."""
    distributed.init_process_group("fake", store=FakeStore(), rank=rank, world_size=size)
    try:
        yield
    finally:
        distributed.destroy_process_group()
