"""Functions of PyTorch and Python that reach for what is not here: each says so, or does it elsewhere."""

import logging
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from multiprocessing.process import BaseProcess
from typing import Any, Final, NoReturn

import torch

from haet_eval.remote.client.checkpoints import SavedObjects
from haet_eval.remote.client.collected import install_collected
from haet_eval.remote.client.gpu_scripts import install_gpu_scripts
from haet_eval.remote.client.link import NO_EXTENSION, ONE_PROCESS, Refusal

_torch_compile: Final[Any] = torch.compile
_SILENT: Final = ("torch.utils.cpp_extension", "torch.utils.flop_counter")
"""They warn of what this machine lacks (CUDA, Triton) when they are imported: nothing here needs it."""


def install_replacements() -> None:
    """Replace them for the rest of this process."""
    choose_open_kernels()
    SavedObjects().install()
    replaced: Any = torch
    install_gpu_scripts()
    install_collected()
    # A size that the function reads is a number here. A traced graph would make a tensor of it.
    replaced.jit.trace = _as_it_is
    replaced.nn.parallel.DistributedDataParallel.__init__ = _no_parallel
    if replaced.distributed.is_available():
        replaced.distributed.init_process_group = _no_parallel
    replaced.compile = _compile
    replaced.use_deterministic_algorithms = _use_deterministic_algorithms
    # PyTorch asks before each call whether somebody has registered a rule for it and our classes: nobody has.
    replaced._library.simple_registry.find_torch_dispatch_rule = lambda *_: None
    replaced.to_dlpack = replaced.utils.dlpack.to_dlpack = lambda tensor: tensor.__dlpack__()
    process: Any = BaseProcess
    process.start = _no_process
    for name in _SILENT:
        # By name, so that neither is imported for it.
        logging.getLogger(name).setLevel(logging.ERROR)
    # In front: the finders of the installed packages would find both first.
    sys.meta_path[:0] = [_NoTriton(), _NoExtensions()]


def choose_open_kernels() -> None:
    """Take the paths whose operators can be counted and checked if PyTorch has two, on every machine.

    The fused layers of nn.TransformerEncoder (in evaluation) and of nn.LSTM (oneDNN's) hide their work in
    one opaque operator. Without them the same layers run as ordinary matrix products; results differ from
    the fused ones by rounding. torch.einsum multiplies from left to right, as it does without opt_einsum.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    torch._C._set_mkldnn_enabled(False)
    torch.backends.opt_einsum.enabled = False


def _compile(model: Any = None, *, fullgraph: bool = False, **options: Any) -> Any:  # noqa: ARG001
    """As torch.compile, but code runs eagerly even if a whole graph is asked for."""
    return _torch_compile(model, **options)


def _use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """As torch's, without the compiler, which it would import to tell it: that takes four seconds."""
    torch._C._set_deterministic_algorithms(mode, warn_only=warn_only)


def _as_it_is(function: Any, *_: Any, **__: Any) -> Any:
    """What was to be traced or scripted: it runs eagerly, with the results of the original."""
    return function


def _no_parallel(*_: Any, **__: Any) -> NoReturn:
    raise Refusal(
        "torch.distributed joins several processes, and this run has one. Use the model itself, without "
        "DistributedDataParallel, and leave init_process_group out.",
        code="handle-process",
    )


class _NoTriton(MetaPathFinder, Loader):
    """Stands in for Triton, which is there because PyTorch brings it. PyTorch does without."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        return ModuleSpec(name, self) if name == "triton" else None

    def exec_module(self, module: Any) -> NoReturn:
        raise ImportError(NO_EXTENSION, name=module.__name__)


class _NoExtensions(MetaPathFinder):
    """Replaces functions of torch.utils.cpp_extension once it is imported.

    It imports setuptools, and most submissions do without it.
    """

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "torch.utils.cpp_extension":
            return None
        spec = PathFinder.find_spec(name, path, target)
        loader: Any = spec.loader if spec else None
        execute = loader.exec_module

        def execute_and_replace(module: Any) -> None:
            execute(module)
            module.load = module.load_inline = _no_extension

        # Set on this loader alone, which Python has made for this one import.
        loader.exec_module = execute_and_replace
        return spec


def _no_extension(*_: Any, **__: Any) -> NoReturn:
    raise Refusal(NO_EXTENSION, code="handle-extension")


def _no_process(*_: Any) -> NoReturn:
    raise Refusal(ONE_PROCESS, code="handle-process")
