"""From a definition on the wire to a function on real tensors."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import torch

from haet_eval.remote.executor.determinism import in_order
from haet_eval.remote.executor.gpu import ON_GPU
from haet_eval.remote.executor.guards import guarded
from haet_eval.remote.wire import Atom, Definition, Tag, Value

RunCall: TypeAlias = Callable[[Sequence[torch.Tensor], Sequence[float]], Any]

_UNINITIALISED: Final = frozenset(
    {"empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided"}
)


def overload(name: str) -> Any:
    """The operator of a name such as `aten.add.Tensor`; the meter has checked that it is allowed."""
    _, base, variant = name.split(".")
    return getattr(getattr(torch.ops.aten, base), variant)


def compile_kernel(
    definition: Definition, device: torch.device, generator: Callable[[int], torch.Generator | None]
) -> RunCall:
    """A function of (tensors, floats) that runs the definition.

    A submission never sees memory that no kernel has written: results of `empty` and its relatives are filled
    with zeros. A tensor of zeros has memory, too: kernels that get a zero tensor without memory crash.
    """
    operator = overload(definition.operator)
    source = _KernelSource(device, generator)
    arguments = source.arguments(definition, operator)
    # Tensors on the device `meta` have no values that a guard could check.
    called = operator if device.type == "meta" else in_order(operator, guarded(operator))
    if device.type == "cuda":
        called = ON_GPU.get(definition.operator, called)
    # The source holds generated names only (t[i], f[i], c[i]) and parameter names of PyTorch's own schema.
    run: RunCall = eval(f"lambda t, f: operator({arguments})", {"operator": called, "c": source.constants})  # noqa: S307
    if definition.operator.split(".")[1] in _UNINITIALISED:
        return lambda tensors, floats: run(tensors, floats).zero_()
    if definition.operator == "aten._efficientzerotensor.default":
        return lambda tensors, floats: run(tensors, floats).clone()
    return run


class _KernelSource:
    """Writes the arguments of a call as Python source; constant values go into `constants`.

    A compiled lambda is faster than a loop over arguments, and this code runs at every call of an operator.
    """

    def __init__(self, device: torch.device, generator: Callable[[int], torch.Generator | None]) -> None:
        self.constants: list[Any] = []
        self._device = device
        self._generator = generator
        self._floats = 0

    def arguments(self, definition: Definition, operator: Any) -> str:
        names = [(argument.name, argument.kwarg_only) for argument in operator._schema.arguments]
        given = dict(definition.arguments)
        if not definition.tensors and any(name == "device" for name, _ in names):
            given["device"] = Atom(Tag.DEVICE)  # a factory uses the executor's device, not the call's
        sources = {name: self._value(value) for name, value in given.items()}
        parts = []
        positional = True
        for name, keyword_only in names:
            # A name like `from` is a keyword of Python and can only be given by position. So arguments are
            # positional up to the first one that is missing.
            if name not in sources:
                positional = False
            elif positional and not keyword_only:
                parts.append(sources[name])
            else:
                parts.append(f"{name}={sources[name]}")
        return ", ".join(parts)

    def _value(self, value: Value) -> str:
        if isinstance(value, tuple):
            return "[" + ", ".join(self._value(item) for item in value) + "]"
        if isinstance(value, Atom):
            return self._atom(value)
        return self._constant(value)

    def _atom(self, atom: Atom) -> str:
        match atom.tag:
            case Tag.TENSOR:
                return f"t[{int(atom.value)}]"
            case Tag.FLOAT:
                self._floats += 1
                return f"f[{self._floats - 1}]"
            case Tag.DTYPE | Tag.FORMAT:
                return self._constant(getattr(torch, str(atom.value)))
            case Tag.DEVICE:
                return self._constant(self._device)
            case Tag.GENERATOR:
                return self._constant(self._generator(int(atom.value)))
            case _:
                return self._constant(torch.strided)

    def _constant(self, value: Any) -> str:
        self.constants.append(value)
        return f"c[{len(self.constants) - 1}]"
