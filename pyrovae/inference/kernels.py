"""Compile the C++ kernels of one graph in few files.

Inductor compiles each kernel by a call of the compiler of its own, most of whose time goes into headers and linking: a
graph of twelve kernels takes 17 s of a core where the two files made here take 4 (two cores of an EPYC, torch 2.14.1).
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

from pyrovae.inference.private import inductor_kernels

KERNELS_PER_FILE = 3  # at least, since a file of one takes hardly less time than a file of three

# What each file ends with: functions that Python can call. A tensor is passed as the object that it is in Python;
# torch says in the environment where the function lies that reads its address, so that no header of torch is needed.
BINDINGS = """
#include <Python.h>
#include <cstdlib>
#include <stdexcept>
#include <type_traits>

static void* (*address_of)(PyObject*);

template <typename T> static T read(PyObject* value) {
    if constexpr (std::is_pointer_v<T>) {
        return static_cast<T>(address_of(value));
    } else {
        T number;
        if constexpr (std::is_integral_v<T>) number = static_cast<T>(PyLong_AsLongLong(value));
        else number = static_cast<T>(PyFloat_AsDouble(value));
        if (number == static_cast<T>(-1) && PyErr_Occurred()) throw std::invalid_argument("not a number");
        return number;
    }
}
%(functions)s
static PyMethodDef methods[] = {%(methods)s {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "kernel", NULL, -1, methods};

PyMODINIT_FUNC PyInit_kernel(void) {
    const char* address = std::getenv("_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR");
    if (!address) {
        PyErr_SetString(PyExc_RuntimeError, "torch does not say where it reads the address of a tensor");
        return NULL;
    }
    address_of = reinterpret_cast<decltype(address_of)>(std::strtoull(address, NULL, 10));
    return PyModule_Create(&module);
}
"""
FUNCTION = """
static PyObject* call_%(index)d(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != %(count)d) return PyErr_Format(PyExc_TypeError, "expected %(count)d arguments, got %%zd", count);
    try {
        kernel_%(index)d::kernel(%(arguments)s);
    } catch (const std::exception& error) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, error.what());
        return NULL;
    }
    Py_RETURN_NONE;
}"""
METHOD = '{"kernel_%(index)d", (PyCFunction)(void (*)(void))call_%(index)d, METH_FASTCALL, ""},'


class Kernel(NamedTuple):
    """A kernel that Inductor wrote, not yet compiled: the C++ types of its arguments, and its code."""

    types: tuple[str, ...]
    code: str


def source(kernels: Sequence[Kernel]) -> str:
    """Return one C++ file with all these kernels, each in a namespace of its own, and with their bindings."""
    includes: dict[str, None] = {}
    bodies, functions, methods = [], [], []
    for index, kernel in enumerate(kernels):
        includes |= dict.fromkeys(re.findall(r"^\s*#include .*$", kernel.code, re.MULTILINE))
        body = re.sub(r"^\s*#include .*$", "", kernel.code, flags=re.MULTILINE).replace('extern "C"', "")
        bodies.append(f"namespace kernel_{index} {{\n{body}\n}}")
        types = [kind.replace("const ", "") for kind in kernel.types]
        arguments = ", ".join(f"read<{kind}>(args[{position}])" for position, kind in enumerate(types))
        functions.append(FUNCTION % {"index": index, "count": len(types), "arguments": arguments})
        methods.append(METHOD % {"index": index})
    bindings = BINDINGS % {"functions": "".join(functions), "methods": "".join(methods)}
    return "\n".join([*includes, *bodies, bindings])


def share(kernels: Sequence[Kernel], files: int) -> list[list[int]]:
    """Return which kernels to put into each file, so that all files are about equally long."""
    groups: list[list[int]] = [[] for _ in range(files)]
    lengths = [0] * files
    for index in sorted(range(len(kernels)), key=lambda index: -len(kernels[index].code)):
        shortest = lengths.index(min(lengths))
        groups[shortest].append(index)
        lengths[shortest] += len(kernels[index].code)
    return groups


def compile_kernels(kernels: Sequence[Kernel]) -> list[Callable[..., None]]:
    """Compile these kernels, in as many files at a time as there are processors."""
    _, load_async = inductor_kernels()
    files = max(1, min(os.cpu_count() or 1, len(kernels) // KERNELS_PER_FILE))
    functions: dict[int, Callable[..., None]] = {}
    with ThreadPoolExecutor(files) as pool:
        groups = share(kernels, files)
        sources = [source([kernels[index] for index in group]) for group in groups]
        loads = [load_async(text, submit_fn=pool.submit, extra_flags=("-w",)) for text in sources]  # no warnings
        for group, load in zip(groups, loads, strict=True):
            library = load()
            functions |= {index: getattr(library, f"kernel_{place}") for place, index in enumerate(group)}
    return [functions[index] for index in range(len(kernels))]


@contextmanager
def few_files() -> Iterator[None]:
    """Let Inductor compile the kernels of a graph together, for as long as this context lasts.

    Inductor writes a module of Python that names each kernel with its code, and then waits for all of them. With the
    compiler of Windows, whose flags differ, it goes its own way.
    """
    if os.name == "nt":
        yield
        return
    compiler, _ = inductor_kernels()
    wait_for_others = compiler.wait

    def collect(self: object, types: Sequence[str], code: str) -> Kernel:
        return Kernel(tuple(types), code)

    def wait(self: object, scope: dict[str, object]) -> None:
        kernels = {name: value for name, value in scope.items() if isinstance(value, Kernel)}
        if kernels:
            scope |= dict(zip(kernels, compile_kernels(list(kernels.values())), strict=True))
        wait_for_others(self, scope)

    with patch.object(compiler, "cpp_pybinding", collect), patch.object(compiler, "wait", wait):
        yield
