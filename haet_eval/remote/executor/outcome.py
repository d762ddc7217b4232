"""The effect of a call on tensors, as the wire describes it: metadata and memory, never values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch

from haet_eval.operators.dtypes import name_of
from haet_eval.operators.signature import CONJUGATE, NEGATIVE, TensorMeta
from haet_eval.remote.handles import intern_layout
from haet_eval.remote.template import written_inputs
from haet_eval.remote.wire import Atom, Definition, Fresh, Outcome, Tag, Value, contiguous_stride

use_count: Final = torch._C._storage_Use_Count
_is_dense: Final = torch.ops.aten.is_non_overlapping_and_dense.default


class Mismatch(Exception):
    """A call changed the tensors in a way that the meter does not learn. The text holds no value."""


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """The place of a tensor: its metadata, the identity of its storage, and that storage's size in bytes."""

    meta: TensorMeta
    storage: int
    storage_bytes: int

    @property
    def layout(self) -> TensorMeta:
        return intern_layout(self.meta)


def bits_of(tensor: torch.Tensor) -> int:
    """The lazy bits of a tensor."""
    return tensor.is_conj() * CONJUGATE | tensor.is_neg() * NEGATIVE


def meta_of(tensor: torch.Tensor) -> TensorMeta:
    """Shape, stride, offset, dtype and lazy bits of a tensor.

    Raises:
        Mismatch: it is not a plain dense tensor, so these facts do not describe it fully.
    """
    # Sparse and quantized tensors, and wrappers of transforms, have other dispatch keys.
    _check_plain(tensor)
    shape, stride = tuple(tensor.size()), tuple(tensor.stride())
    return TensorMeta(shape, stride, int(tensor.storage_offset()), name_of(tensor.dtype), bits_of(tensor))


def storage_of(tensor: torch.Tensor) -> int:
    """The identity of a tensor's storage, valid as long as the storage lives."""
    return int(tensor.untyped_storage()._cdata)


def place_of(tensor: torch.Tensor) -> TensorPlace:
    """The place of a tensor.

    Raises:
        Mismatch: see `meta_of`.
    """
    storage = tensor.untyped_storage()
    return TensorPlace(meta_of(tensor), int(storage._cdata), int(storage.nbytes()))


def returned_values(operator: Any, result: Any) -> tuple[Any, ...]:
    """The result of an operator as one entry for each value that its schema returns."""
    count = len(operator._schema.returns)
    if count == 0:
        return ()
    # A single returned list stays one value.
    return (result,) if count == 1 else tuple(result)


def flat(value: Any) -> Iterator[Any]:
    """Every value in nested lists and tuples, depth first."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from flat(item)
    else:
        yield value


def is_tidy(tensor: torch.Tensor) -> bool:
    """Whether a tensor has its storage to itself, and each byte of that belongs to just one of its elements.

    The meter takes each output in new memory for such a tensor. A kernel does not have to write the gaps
    between elements: a gap may hold values of a tensor that was freed.
    """
    return bool(_is_dense(tensor)) and fills(tensor, tensor.numel() * tensor.element_size())


def fills(tensor: torch.Tensor, size_bytes: int) -> bool:
    """As `is_tidy`, for a tensor that is known to be dense, with elements of `size_bytes` bytes together."""
    storage = tensor.untyped_storage()
    filled: bool = (
        # The use count shows that no other tensor lies in this memory, not even one that this executor does
        # not know.
        use_count(storage._cdata) == _ALONE and storage.nbytes() == size_bytes and not tensor.storage_offset()
    )
    return filled


def tidy_copy(tensor: torch.Tensor, stride: Sequence[int] | None = None) -> torch.Tensor:
    """The same values without lazy bits in a storage of their own, with these strides if any are given."""
    plain = tensor.resolve_conj().resolve_neg()
    if stride is None:
        stride = plain.stride() if _is_dense(plain) else contiguous_stride(tuple(plain.size()))
    copy = torch.empty_strided(plain.size(), stride, dtype=plain.dtype, device=plain.device)
    return copy.copy_(plain)


def tidied(values: Any, inputs: Sequence[torch.Tensor]) -> Any:
    """The outputs, with those in new memory made tidy and without lazy bits.

    Some kernels return a part of a workspace, whose other bytes the meter does not know.
    """
    storages = {storage_of(tensor) for tensor in inputs}
    known = {id(tensor) for tensor in inputs}

    def settle(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or id(value) in known:
            return value
        _check_plain(value)
        # Left as it is: a copy would change what later writes to the input do (decision 0111).
        if storage_of(value) in storages:
            return value
        return value if is_tidy(value) and not bits_of(value) else tidy_copy(value)

    return transformed(values, settle)


def transformed(values: Any, change: Callable[[Any], Any]) -> Any:
    """The outputs, each of them transformed; lists stay lists."""
    if isinstance(values, list | tuple):
        return type(values)(transformed(value, change) for value in values)
    return change(values)


def new_tensors(values: Any, inputs: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The tensors among outputs that are not inputs, depth first: each gets a handle."""
    known = {id(tensor) for tensor in inputs}
    for value in flat(values):
        if isinstance(value, torch.Tensor) and id(value) not in known:
            yield value


def written_positions(definition: Definition, operator: Any) -> tuple[int, ...]:
    """Positions of the tensors that a call writes, by the schema. A returned input is one of these."""
    return written_inputs(definition, written_names(operator))


def written_names(operator: Any) -> frozenset[str]:
    """The arguments that a call writes, by the schema."""
    arguments = operator._schema.arguments
    return frozenset(a.name for a in arguments if a.alias_info is not None and a.alias_info.is_write)


def positions_of(inputs: Sequence[torch.Tensor], written: Sequence[int]) -> dict[int, int]:
    """The position of each input, by its identity.

    A tensor may be given twice, as in `add(x, y, out=x)`: then it is the written position.
    """
    places = (*written, *range(len(inputs)))
    # Reversed, so that the first place wins when a dictionary keeps the last.
    return {id(inputs[place]): place for place in reversed(places)}


def describe(
    operator: Any,
    values: Sequence[Any],
    inputs: Sequence[torch.Tensor],
    before: Sequence[TensorPlace],
    written: Sequence[int] = (),
) -> Outcome:
    """The outcome of a call of `operator`.

    Args:
        operator: an overload of `torch.ops.aten`.
        values: the results of the call.
        inputs: the tensors of the call, after it.
        before: the places of these tensors before the call.
        written: from `written_positions`.

    Raises:
        Mismatch: the call changed an input in a way that its schema does not announce.
    """
    after = [place_of(tensor) for tensor in inputs]
    _check_inputs(operator, inputs, before, after)
    changed = tuple(
        (index, new.meta)
        for index, (old, new) in enumerate(zip(before, after, strict=True))
        if old.meta != new.meta
    )
    # After the call, as `set_` gives an input another storage. The first input of a storage is its alias.
    storages = {place.storage: index for index, place in reversed(list(enumerate(after)))}
    positions = positions_of(inputs, written)
    return Outcome(tuple(_describe(value, positions, storages) for value in values), changed)


def sets_storage(operator: Any) -> bool:
    """Whether an operator gives its first input the storage of its second."""
    return str(operator._schema.name) == "aten::set_"


def changes_metadata(operator: Any) -> bool:
    """Whether an operator announces that it changes the metadata of its first input."""
    return torch.Tag.inplace_view in operator.tags or sets_storage(operator)


def _check_inputs(
    operator: Any, inputs: Sequence[torch.Tensor], before: Sequence[TensorPlace], after: Sequence[TensorPlace]
) -> None:
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if old == new:
            continue
        first = inputs[index] is inputs[0] and changes_metadata(operator)
        # `set_` moves its first input into the memory of the second. Other operators may move none.
        expected = after[1] if first and sets_storage(operator) else old
        if not first or (new.storage, new.storage_bytes) != (expected.storage, expected.storage_bytes):
            raise Mismatch(f"it changed input {index} from {_shown(old)} to {_shown(new)}")


def described(meta: TensorMeta) -> str:
    """A tensor in words: dtype, shape, strides, and the lazy bits that it has."""
    lazy = [name for name, bit in (("conjugate", CONJUGATE), ("negative", NEGATIVE)) if meta.bits & bit]
    return f"{meta.dtype}{list(meta.shape)} with strides {list(meta.stride)}{''.join(f', {n}' for n in lazy)}"


def _shown(place: TensorPlace) -> str:
    return f"{described(place.meta)} at element {place.meta.offset} of {place.storage_bytes} bytes"


def _describe(value: Any, positions: Mapping[int, int], storages: Mapping[int, int]) -> Value:
    if isinstance(value, torch.Tensor):
        place = positions.get(id(value))
        if place is not None:
            return Atom(Tag.INPUT, place)
        return Fresh(meta_of(value), storages.get(storage_of(value), -1))
    if isinstance(value, list | tuple):
        return tuple(_describe(item, positions, storages) for item in value)
    if value is None or isinstance(value, bool | int | float | complex):
        return value
    raise TypeError(f"an operator returned a {type(value).__name__}")


def _check_plain(tensor: torch.Tensor) -> None:
    keys = torch._C._dispatch_keys(tensor)
    for lazy in (torch._C.DispatchKey.Conjugate, torch._C.DispatchKey.Negative):
        keys = keys.remove(lazy)
    plain = torch._C._dispatch_keys(torch.empty(0, device=tensor.device))
    if keys.raw_repr() != plain.raw_repr():
        raise Mismatch(f"a tensor has the dispatch keys {torch._C._dispatch_keys(tensor)}")


def _count_of_one() -> int:
    """The use count of a storage of one tensor, whose storage has a Python object as well."""
    tensor = torch.empty(1)
    return int(use_count(tensor.untyped_storage()._cdata))


# Measured, as it depends on how this PyTorch ties a storage to its Python object.
_ALONE: Final = _count_of_one()
