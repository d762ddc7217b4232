"""Compares the effect of each call on the tensors with the effect that its template expects.

The meter has no tensors, so it takes each call of a template for a repetition of the first. The executor
therefore checks that the call left its inputs, and made its outputs, exactly as the first one did. If a
kernel did something else this time, the meter's books no longer describe the tensors, and the run ends.

The check runs at every operator call, so its usual case is a few calls into PyTorch. `TensorGuards` compares
Python type, dispatch keys (with them the lazy bits), dtype, device, sizes and strides of several tensors, and
answers no if one tensor is given twice. An address stands for storage and offset: two living storages have no
byte in common, and PyTorch resizes a storage by allocating another. Only an empty tensor has no address.
Calls that the usual case does not accept are compared in full.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import torch
from torch._C._dynamo.guards import TensorGuards

from haet_eval.remote.executor.outcome import (
    Mismatch,
    TensorPlace,
    changes_metadata,
    described,
    fills,
    flat,
    is_tidy,
    meta_of,
    place_of,
    positions_of,
    sets_storage,
    storage_of,
    tidy_copy,
)
from haet_eval.remote.handles import size_bytes

Tensors: TypeAlias = Sequence[torch.Tensor]
Look: TypeAlias = Callable[[Tensors], list[Any]]

_address: Final = torch.Tensor.data_ptr


def addresses(tensors: Tensors) -> list[int]:
    """Where the elements of each tensor begin."""
    return [*map(_address, tensors)]


def places(tensors: Tensors) -> list[TensorPlace]:
    """As `place_of`, for each tensor."""
    return [place_of(tensor) for tensor in tensors]


class _New:
    """An output in memory of its own."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.meta = meta_of(tensor)
        self.dtype = tensor.dtype
        self.size_bytes = size_bytes(self.meta, 0)


class _View:
    """An output in the memory of input `index`, `shift` elements behind it."""

    def __init__(self, tensor: torch.Tensor, index: int, shift: int) -> None:
        self.meta = meta_of(tensor)
        self.index = index
        self.shift = shift


_Output: TypeAlias = _New | _View | int | None
"""An int is the position of a returned input; None stands for a value that is not a tensor."""


class Expectation:
    """The effect that every call of one template must have.

    Call `look` with the inputs before a call, and pass its result to `settle` after the call.

    Args:
        operator: an overload of `torch.ops.aten`.
        values: the results of its first call, with outputs in new memory tidied.
        inputs: the tensors of the first call, after it.
        before: the places of these tensors before the call.
        written: positions of the inputs that the call writes, by its schema.
        legacy: true in the replay of a trace of version 2. Its templates do not distinguish lazy bits, and
            its outputs in new memory have the layout that the kernel gave them.
    """

    def __init__(
        self,
        operator: Any,
        values: Any,
        inputs: Tensors,
        before: Sequence[TensorPlace],
        written: Sequence[int] = (),
        *,
        legacy: bool = False,
    ) -> None:
        # After the first call: an operator that changes metadata leaves its inputs like this each time.
        after = places(inputs)
        self._legacy = legacy
        self._inputs = [place.meta for place in after]
        self._changes = changes_metadata(operator)
        self._moves = sets_storage(operator)
        self._shift = after[0].meta.offset - before[int(self._moves)].meta.offset if self._changes else 0
        self._outputs = _outputs(values, inputs, written)
        fresh = _fresh(flat(values), self._outputs)
        self._check = _check_of([*fresh, *inputs])
        # For calls that share tensors in another way than the first one, as `x * y` after `x * x`.
        self._each = [_guard([tensor]) for tensor in (*fresh, *inputs)]
        # All empty tensors have the address 0, which says nothing about their storage.
        empty = any(not tensor.numel() for tensor in inputs)
        self.look: Look = places if empty or self._changes else addresses
        self.settle: Callable[[Any, Tensors, list[Any]], Tensors] = self._settle
        # One method for each usual kind of result, chosen once: this runs at every call.
        if isinstance(values, torch.Tensor) and not self._changes:
            usual = {_New: self._settle_new, _View: self._settle_view, int: self._settle_input}
            self.settle = usual[type(self._outputs[0])]
        elif values is None and not self._changes:
            self.settle = self._settle_none

    # The usual cases. Each returns the tensors that get a handle, in order.

    def _settle_new(self, result: Any, inputs: Tensors, before: list[Any]) -> Tensors:
        if (
            (self._check(result, *inputs) or self._check_each([result], inputs))
            and self.look(inputs) == before
            and fills(result, self._outputs[0].size_bytes)  # type: ignore[union-attr]
        ):
            return (result,)
        return self._settle_in_full([result], inputs, before)

    def _settle_view(self, result: Any, inputs: Tensors, before: list[Any]) -> Tensors:
        if (
            (self._check(result, *inputs) or self._check_each([result], inputs))
            and self.look(inputs) == before
            and _is_view(result, self._outputs[0], inputs)
        ):
            return (result,)
        return self._settle_in_full([result], inputs, before)

    def _settle_input(self, result: Any, inputs: Tensors, before: list[Any]) -> Tensors:
        if (
            result is inputs[self._outputs[0]]  # type: ignore[index]
            and (self._check(*inputs) or self._check_each((), inputs))
            and self.look(inputs) == before
        ):
            return ()
        return self._settle_in_full([result], inputs, before)

    def _settle_none(self, result: Any, inputs: Tensors, before: list[Any]) -> Tensors:
        if (
            result is None
            and (self._check(*inputs) or self._check_each((), inputs))
            and self.look(inputs) == before
        ):
            return ()
        return self._settle_in_full([result], inputs, before)

    def _settle(self, result: Any, inputs: Tensors, before: list[Any]) -> Tensors:
        values = list(flat(result))
        if self._changes or len(values) != len(self._outputs):
            return self._settle_in_full(values, inputs, before)
        fresh = []
        for value, output in zip(values, self._outputs, strict=True):
            if type(output) is int:
                if value is not inputs[output]:
                    return self._settle_in_full(values, inputs, before)
            elif output is not None:
                if not (
                    fills(value, output.size_bytes)
                    if type(output) is _New
                    else _is_view(value, output, inputs)
                ):
                    return self._settle_in_full(values, inputs, before)
                fresh.append(value)
        if (self._check(*fresh, *inputs) or self._check_each(fresh, inputs)) and self.look(inputs) == before:
            return fresh
        return self._settle_in_full(values, inputs, before)

    def _check_each(self, fresh: Tensors, inputs: Tensors) -> bool:
        """As `_check`, for a call whose inputs share tensors in another way than those of the first call."""
        given = {*map(id, inputs)}
        made = {*map(id, fresh)}
        return (
            len(made) == len(fresh)
            and given.isdisjoint(made)
            and all(guard(one) for guard, one in zip(self._each, (*fresh, *inputs), strict=True))
        )

    # In full.

    def _settle_in_full(self, values: Sequence[Any], inputs: Tensors, before: list[Any]) -> Tensors:
        if len(values) != len(self._outputs):
            raise Mismatch(f"it returned {len(values)} values, not {len(self._outputs)}")
        self._check_inputs(inputs, before)
        fresh = []
        known = {id(tensor) for tensor in inputs}
        storages = {storage_of(tensor) for tensor in inputs}
        for place, (value, output) in enumerate(zip(values, self._outputs, strict=True)):
            what = f"output {place}"
            if isinstance(output, int):
                if value is not inputs[output]:
                    raise Mismatch(f"{what} is not input {output}, which it was in the first call")
            elif output is None:
                if isinstance(value, torch.Tensor):
                    raise Mismatch(f"{what} is a tensor, which it was not in the first call")
            elif not isinstance(value, torch.Tensor) or id(value) in known:
                raise Mismatch(f"{what} is not a new tensor, which it was in the first call")
            elif isinstance(output, _View):
                fresh.append(self._view(what, value, output, inputs[output.index]))
            elif storage_of(value) in storages:
                raise Mismatch(f"{what} lies in an input's memory; in the first call it had its own")
            else:
                fresh.append(self._new(what, value, output))
        return fresh

    def _check_inputs(self, inputs: Tensors, before: list[Any]) -> None:
        guards = self._each[len(self._each) - len(inputs) :]
        for index, (tensor, expected, guard) in enumerate(zip(inputs, self._inputs, guards, strict=True)):
            if not guard(tensor) and not self._is_alike(tensor, expected):
                raise Mismatch(f"input {index} is {_shown(tensor)} after it, not {described(expected)}")
        after = self.look(inputs)
        if self._changes:
            old: TensorPlace = before[int(self._moves)]
            new: TensorPlace = after[0]
            if (new.storage, new.storage_bytes) != (old.storage, old.storage_bytes):
                raise Mismatch("input 0 lies in another memory after it")
            if new.meta.offset - old.meta.offset != self._shift:
                raise Mismatch("input 0 begins at another element after it")
            # The first input was compared above. It may have been given twice.
            kept = [place for place, tensor in enumerate(inputs) if tensor is not inputs[0]]
            before, after = [before[place] for place in kept], [after[place] for place in kept]
        if after != before:
            raise Mismatch("an input lies elsewhere after it, or its memory has another size")

    def _view(self, what: str, value: torch.Tensor, output: _View, base: torch.Tensor) -> torch.Tensor:
        if storage_of(value) != storage_of(base):
            raise Mismatch(f"{what} does not lie in the memory of input {output.index}, as in the first call")
        if not self._is_alike(value, output.meta):
            raise Mismatch(f"{what} is {_shown(value)}, not {described(output.meta)}")
        if value.storage_offset() != base.storage_offset() + output.shift:
            raise Mismatch(f"{what} begins at another element of the memory of input {output.index}")
        return value

    def _new(self, what: str, value: torch.Tensor, output: _New) -> torch.Tensor:
        """New memory, which no other tensor shares, may have another layout: then return a copy that fits.

        The layout of new memory is the kernel's choice and carries no information for honest code, so this is
        not a reason to end the run.
        """
        if tuple(value.size()) != output.meta.shape or value.dtype != output.dtype:
            raise Mismatch(f"{what} is {_shown(value)}, not {described(output.meta)}")
        meta = meta_of(value)
        tidy = is_tidy(value) and meta.stride == output.meta.stride and not meta.bits
        if tidy or self._legacy:
            return value
        return tidy_copy(value, output.meta.stride)

    def _is_alike(self, tensor: torch.Tensor, expected: Any) -> bool:
        meta = meta_of(tensor)
        return (meta.shape, meta.stride, meta.dtype) == (
            expected.shape,
            expected.stride,
            expected.dtype,
        ) and (self._legacy or meta.bits == expected.bits)


def _is_view(value: torch.Tensor, output: Any, inputs: Tensors) -> bool:
    base = inputs[output.index]
    same: bool = value.untyped_storage()._cdata == base.untyped_storage()._cdata
    return same and value.storage_offset() == base.storage_offset() + int(output.shift)


def _check_of(tensors: Tensors) -> Callable[..., bool]:
    """Whether other tensors are like these, and shared in the same way: x * x has one tensor twice.

    `TensorGuards` rejects a tensor that is given twice, so it gets each tensor once.
    """
    first: dict[int, int] = {}
    pairs = [(first.setdefault(id(tensor), place), place) for place, tensor in enumerate(tensors)]
    kept = [place for one, place in pairs if one == place]
    twice = [(one, place) for one, place in pairs if one != place]
    check = _guard([tensors[place] for place in kept])
    if not twice:
        return check
    if twice == [(1, 2)] and len(tensors) == 3:  # x * x: by far the most frequent, and faster by itself
        return lambda made, given, again: given is again and check(made, given)

    def check_shared(*given: torch.Tensor) -> bool:
        for one, other in twice:
            if given[one] is not given[other]:
                return False
        return check(*[given[place] for place in kept])

    return check_shared


def _guard(tensors: Tensors) -> Callable[..., bool]:
    sizes: Any = [list(tensor.size()) for tensor in tensors]
    strides: Any = [list(tensor.stride()) for tensor in tensors]
    return TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check


def _outputs(values: Any, inputs: Tensors, written: Sequence[int]) -> list[_Output]:
    # Reversed, so that the first input of a storage is the base of its views, as in `describe`.
    storages = {storage_of(tensor): place for place, tensor in reversed(list(enumerate(inputs)))}
    positions = positions_of(inputs, written)
    return [_output(value, inputs, positions, storages) for value in flat(values)]


def _output(
    value: Any, inputs: Tensors, positions: Mapping[int, int], storages: Mapping[int, int]
) -> _Output:
    if not isinstance(value, torch.Tensor):
        return None
    place = positions.get(id(value))
    if place is not None:
        return place
    index = storages.get(storage_of(value))
    if index is None:
        return _New(value)
    # Relative to the input: one template serves inputs at every offset.
    return _View(value, index, int(value.storage_offset()) - int(inputs[index].storage_offset()))


def _fresh(values: Any, outputs: Sequence[_Output]) -> list[torch.Tensor]:
    pairs = zip(values, outputs, strict=True)
    return [value for value, output in pairs if isinstance(output, _New | _View)]


def _shown(tensor: torch.Tensor) -> str:
    return described(meta_of(tensor))
