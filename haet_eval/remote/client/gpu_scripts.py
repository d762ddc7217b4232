"""What scripts that were written for a GPU ask for, done on the task's device, with one note for each kind.

The submission's process has no GPU. Where its tensors are kept is the executor's business, so `cuda` is
another name of `task.device` here, and waiting for a GPU is done at once.
"""

import sys
from collections import defaultdict
from functools import wraps
from inspect import signature
from types import FunctionType
from typing import Any, Final, NoReturn

import torch
from torch.utils.data import DataLoader

from haet_eval.remote.client.link import Refusal

_ELSEWHERE: Final = ("cuda", "mps", "xpu")
_AT_ONCE: Final = (
    *("synchronize", "empty_cache", "ipc_collect", "set_device", "reset_peak_memory_stats"),
    *("reset_max_memory_allocated", "reset_max_memory_cached", "reset_accumulated_memory_stats", "init"),
)
_NOTHING: Final = ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved")
_ABSENT: Final = ("Event", "Stream", "CUDAGraph", "ExternalStream")
_noted: Final[set[str]] = set()


def note(what: str, text: str) -> None:
    """Print a note on the submission's standard error, once for each `what`."""
    if what not in _noted:
        _noted.add(what)
        sys.stderr.write(f"haet-eval: {what} {text}\n")


def here(device: Any) -> Any:
    """The device that a script means; everything that is no device of another kind as it is."""
    kind = device.type if isinstance(device, torch.device) else str(device).partition(":")[0]
    if kind not in _ELSEWHERE:
        return device
    note(f"the device {kind!r}", "is taken for task.device: the executor decides where tensors are.")
    # Every handle says that it is on the CPU, wherever the executor keeps its tensor.
    return torch.device("cpu")


def install_gpu_scripts() -> None:
    """Replace them for the rest of this process."""
    cuda: Any = torch.cuda
    # PyTorch calls this by name from C++ as well. Its own would raise an error for want of a driver.
    cuda._lazy_init = _initialise
    # torch.cuda copies the names of its parts, so each function stands at two places.
    for place in (cuda, cuda.memory, cuda.random):
        for name, own in _of_cuda(place).items():
            setattr(place, name, own)
    _install_mixed_precision()
    _install_loader()
    module: Any = torch.nn.Module
    module.cuda = lambda self, device=None: self.to(here(device or "cuda"))


def _of_cuda(place: Any) -> dict[str, Any]:
    """What stands in for each public function of torch.cuda, or of a part of it."""
    own: dict[str, Any] = {
        name: _named(name, value)
        for name, value in vars(place).items()
        # What is not public may be called by PyTorch itself, and must fail as PyTorch expects.
        if isinstance(value, FunctionType) and name in torch.cuda.__all__
    }
    own |= {name: _at_once(name) for name in _AT_ONCE}
    own |= {name: lambda *_, **__: 0 for name in _NOTHING}
    own |= {name: _absent(name) for name in _ABSENT}
    own["memory_stats"] = lambda *_, **__: defaultdict(int)
    own["memory_summary"] = lambda *_, **__: "The submission's process has no GPU, and no memory of one."
    # Scripts ask by `hasattr` what a version of PyTorch has, so nothing is added.
    return {name: value for name, value in own.items() if hasattr(place, name)}


def _named(name: str, call: FunctionType) -> Any:
    """The same function; if it fails for want of a GPU, it is named by the name that it was called by."""

    @wraps(call)
    def called(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except (AssertionError, ImportError, KeyError, RuntimeError) as error:
            no_gpu(f"torch.cuda.{name}", error)

    return called


def _initialise() -> None:
    """PyTorch asks for this before it makes a tensor on `cuda`, and torch.cuda before most of its calls.

    Raises:
        Refusal: it is a call of torch.cuda.
    """
    # C++ has no Python frame: if it calls, the caller is whoever makes the tensor, and that is allowed.
    caller = sys._getframe(1)
    if caller.f_globals.get("__name__", "").startswith("torch.cuda"):
        no_gpu(f"torch.cuda.{caller.f_code.co_name}")


def no_gpu(what: str, error: Exception | None = None) -> NoReturn:
    """Refuse a call that needs a GPU in this process; `error` is what it raised instead."""
    raise Refusal(
        f"{what} is not there: the submission's process has no GPU; if the organizers use one, the "
        "executor has it. Leave the call out. Tensors and models belong on `task.device` ('cuda' is taken "
        "for it), and time.perf_counter() measures time.",
        code="handle-cuda",
    ) from error


def _at_once(name: str) -> Any:
    def done(*_: Any, **__: Any) -> None:
        note(f"torch.cuda.{name}", "does nothing: the submission's process has no GPU.")

    return done


def _absent(name: str) -> type:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        no_gpu(f"torch.cuda.{name}")

    return type(name, (), {"__new__": refuse})


def _install_mixed_precision() -> None:
    autocast: Any = torch.amp.autocast_mode.autocast
    begin = autocast.__init__

    def begin_here(
        self: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None
    ) -> None:
        # On a CPU it would be bfloat16. A script for a GPU means what its GPU would do.
        if device_type in _ELSEWHERE and dtype is None:
            dtype = torch.float16  # what it is on a GPU
        begin(self, here(device_type) and _type(device_type), dtype, enabled, cache_enabled)

    autocast.__init__ = begin_here
    scaler: Any = torch.amp.GradScaler
    start = scaler.__init__
    scaler.__init__ = lambda self, device="cuda", *args, **options: start(
        self, _type(device), *args, **options
    )


def _type(device: Any) -> str:
    """The type of the device that a script means."""
    return str(here(device)).partition(":")[0]


def _install_loader() -> None:
    loader: Any = DataLoader
    begin = loader.__init__
    called = signature(begin)

    def begin_here(self: Any, *args: Any, **given: Any) -> None:
        # By name, because each of them may be given by its position as well.
        options = called.bind(self, *args, **given).arguments
        if options.get("num_workers"):
            note(f"num_workers={options['num_workers']}", "is taken for 0: only this process has the data.")
            # Without workers DataLoader raises an error for each of the others.
            for name in ("num_workers", "prefetch_factor", "persistent_workers", "multiprocessing_context"):
                options.pop(name, None)
            # An iterator without workers asserts that there is no timeout.
            options.pop("timeout", None)
        if options.pop("pin_memory", False):
            note("pin_memory=True", "does nothing: the executor has the data.")
        options.pop("pin_memory_device", None)
        begin(**options)

    loader.__init__ = begin_here


def moved(args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of `Tensor.to` with the device that they mean."""
    if args and isinstance(args[0], str | torch.device):
        args = (here(args[0]), *args[1:])
    if options.get("device") is not None:
        options = options | {"device": here(options["device"])}
    return args, options
