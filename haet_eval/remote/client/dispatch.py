"""The path of an operator call: from PyTorch's dispatcher to a record on the wire.

A call that was made before with the same metadata costs no answer: what it returns is known. The first call
of its kind defines a template, and asks.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import count
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.utils._mode_utils import no_dispatch
from torch.utils._pytree import tree_iter

from haet_eval.operators.checking.validation import is_dynamic
from haet_eval.operators.dtypes import name_of
from haet_eval.operators.signature import TensorMeta
from haet_eval.operators.table import lookup
from haet_eval.remote import wire
from haet_eval.remote.charges import NUMBER_BYTES
from haet_eval.remote.client import mirror
from haet_eval.remote.client.calls import (
    SPECIAL,
    CallResult,
    DefinitionWriter,
    Input,
    KnownCall,
    NewOutput,
    count_new,
    results_of,
)
from haet_eval.remote.client.in_parts import parts_of
from haet_eval.remote.client.labels import Labeller
from haet_eval.remote.client.link import FLUSH_BYTES, FLUSH_RECORDS, Link, Refusal, RemoteError
from haet_eval.remote.client.phase import INITIALISATION, PhaseTracker
from haet_eval.remote.client.random import Randomness
from haet_eval.remote.client.readings import Readings
from haet_eval.remote.client.tensor import Handle, RemoteTensor, layout_of, make, make_view
from haet_eval.remote.handles import intern_layout, span_elements
from haet_eval.remote.template import arguments_of
from haet_eval.remote.wire import ANY_FLOAT, Code

if TYPE_CHECKING:
    from haet_eval.remote.client.compiled.hits import Hits

_aten: Final = torch.ops.aten
_NUMBER: Final = _aten._local_scalar_dense.default
_DETACH: Final = _aten.detach.default
_DETACH_IN_PLACE: Final = _aten.detach_.default
_LIFT: Final = _aten.lift_fresh.default
_SELECT: Final = _aten.select.int
_SLICE: Final = _aten.slice.Tensor
_EMPTY_LIKE: Final = _aten.empty_like.default
_EMPTY_STRIDED: Final = _aten.empty_strided.default
_COPY: Final = _aten.copy_.default
_FULL: Final = _aten.full.default
_TO_COPY: Final = _aten._to_copy.default
_SET: Final = _aten.set_.source_Tensor

# bfloat16 and complex are missing: `struct` has no letter for them. They are read by way of a tensor.
_NUMBERS: Final = {
    dtype: Struct(f"<{letter}")
    for dtype, letter in {
        torch.bool: "?",
        torch.uint8: "B",
        torch.int8: "b",
        torch.int16: "h",
        torch.int32: "i",
        torch.int64: "q",
        torch.float16: "e",
        torch.float32: "f",
        torch.float64: "d",
    }.items()
}
# Tuples, because 1, 1.0 and True are equal in a key, and PyTorch gives each another dtype.
_FLOATS: Final = {special: ("float", special) for special in (*SPECIAL.values(), ANY_FLOAT)}
_TRUE, _FALSE, _END = ("true",), ("false",), ("end",)


class _OnMeta(Exception):
    """A call that has shapes only: torch does it here, without the executor."""


class Dispatcher:
    """Turns calls into records. One for each process; safe for threads.

    `hits`: does calls that are known, in C++, so that they do not come here; None if it was not compiled.
    """

    __slots__ = ("__dict__", "_phase")  # the compiled hit path uses the latter as well

    def __init__(self, link: Link) -> None:
        self.link = link
        self.readings = Readings()
        self.labeller: Labeller | None = None
        self.hits: Hits | None = None
        self.random = Randomness(link)
        self.phases = PhaseTracker()
        self._known: dict[tuple[Any, ...], KnownCall] = {}
        self._defined = 0
        self._kinds: dict[int, str] = {}
        self._phase = INITIALISATION

    def dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run one overload below autograd on the executor."""
        # Held to the end, also while an answer is awaited: both sides number new tensors in the order of
        # records, so another thread's record must not come in between.
        with self.link.lock:
            if func is _SELECT or func is _SLICE:
                return self._cut(func, *args, **kwargs)
            if func is _DETACH and type(args[0]) is RemoteTensor:
                return self._detach(args[0])
            if func is _DETACH_IN_PLACE:
                return args[0]  # below autograd there is nothing to detach from
            if func is _NUMBER:
                return self._number(args[0])
            # `torch.tensor` makes its tensor outside of the mode, and this call is the first that sees it.
            if func is _LIFT:
                local = not isinstance(args[0], RemoteTensor) and not args[0].is_meta
                return self.upload(args[0]) if local else args[0]
            try:
                return self._call(func, args, kwargs)
            except _OnMeta:
                return self._on_meta(func, args, kwargs)

    # Calls.

    def _call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # This function runs for each call of a training. What looks clumsy here saved time that was measured.
        key: list[Any] = [id(func)]  # identity is enough for overloads and layouts, and hashes fast
        tensors: list[RemoteTensor] = []
        floats: list[float] = []
        for value in args:
            kind = type(value)
            if kind is RemoteTensor:
                tensors.append(value)
                key.append(id(value._layout))
            elif kind is int or value is None:
                key.append(value)
            else:
                self._walk(value, key, tensors, floats)
        for name, value in kwargs.items():
            key.append(name)
            self._walk(value, key, tensors, floats)
        more = self._kinds.get(id(func))
        if more is not None:
            self._extend_key(more, key, tensors, floats)
        default = torch.get_default_dtype()
        # Without it, a call made under one default dtype would be taken for known under another.
        if default is not torch.float32:
            key.append(default)
        known = self._known.get(tuple(key))
        if known is None:
            return self._first(func, args, kwargs, tuple(key), tensors, floats)
        return self._again(known, func, args, kwargs, tensors, floats)

    def _walk(self, value: Any, key: list[Any], tensors: list[RemoteTensor], floats: list[float]) -> None:
        kind = type(value)
        if kind is int or value is None:
            key.append(value)
        elif kind is float:
            floats.append(value)
            key.append(_FLOATS[SPECIAL.get(value, ANY_FLOAT)])
        elif kind is bool:
            key.append(_TRUE if value else _FALSE)
        elif kind is list or kind is tuple or kind is torch.Size:
            self._walk_list(value, key, tensors, floats)
            key.append(_END)
        else:
            self._walk_rare(value, key, tensors)

    def _walk_list(
        self, items: Sequence[Any], key: list[Any], tensors: list[RemoteTensor], floats: list[float]
    ) -> None:
        if items and type(items[0]) is RemoteTensor:
            # No test of types for each item: optimizers pass lists of hundreds of tensors. The list is made
            # before the key grows, so an error leaves the key as it was.
            try:
                key += [id(item._layout) for item in items]
                tensors += items
            except AttributeError:  # there is a None or an ordinary tensor among them
                pass
            else:
                return
        for item in items:
            self._walk(item, key, tensors, floats)

    def _walk_rare(self, value: Any, key: list[Any], tensors: list[RemoteTensor]) -> None:
        if isinstance(value, torch.Tensor):
            if value.is_meta:
                raise _OnMeta
            # An ordinary tensor, as of torch.from_numpy: only what the executor holds can be an argument.
            tensor = value if isinstance(value, RemoteTensor) else self.upload(value)
            tensors.append(tensor)
            key.append(id(tensor._layout))
        elif isinstance(value, torch._C.Generator):
            key.append(("generator", self.random.number(value)))
        elif isinstance(value, torch.device) and value.type == "meta":
            raise _OnMeta
        elif isinstance(value, complex):
            key.append(("complex", value))  # it may equal an int
        else:
            key.append(value)

    def _extend_key(
        self, kind: str, key: list[Any], tensors: list[RemoteTensor], floats: list[float]
    ) -> None:
        """For some operators more is part of the template: absolute offsets, or the value of floats."""
        if kind == "exact":
            # as_strided, say: its argument counts from the beginning of the storage, so the offset must be
            # known.
            key.extend(int(tensor.storage_offset()) for tensor in tensors)
        elif kind == "literal":
            # As text: 0.0 equals −0.0 in a key, and NaN does not equal itself.
            key.extend(float(value).hex() for value in floats)
            # They are part of the template now, and do not travel with the call.
            floats.clear()

    def _again(
        self,
        known: KnownCall,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[RemoteTensor],
        floats: list[float],
    ) -> Any:
        link = self.link
        # `detach` gives two wrappers one handle. Only one of them changes its metadata.
        if known.view:
            self._unshare(tensors[0])
        # After `_unshare`, which may send a call of its own, and before the record that the phase is for.
        self._tell_phase()
        if known.dynamic:
            return self._ask_again(known, tensors, floats)
        # As `link.write`, without a call of a function: this runs for each call that is known.
        if link.freed:
            link.write_freed()
        link.buffer += known.pack(Code.CALL, known.number, *[t._handle.number for t in tensors], *floats)
        link.records += 1
        first = link.next
        link.next = first + known.new
        follows = known.mirror or known.forgets
        value = _on_mirrors(known, func, args, kwargs, tensors) if follows else None
        single = known.single
        if single is not None:
            handle = Handle(first, link.freed)
            result: Any = (
                make(single.layout, single.dtype, single.offset, handle, value)
                if single.alias < 0
                else _view(single, tensors, handle)
            )
        elif known.same >= 0:
            result = tensors[known.same]
        else:
            result = self._build(known, first, tensors)
            if known.view:
                _change_metadata(func, args, kwargs, tensors)
        if self.hits is not None:
            self.hits.learn(func, known, tensors, floats)
        if link.records >= FLUSH_RECORDS:
            link.flush()
        return result

    def _ask_again(self, known: KnownCall, tensors: list[RemoteTensor], floats: list[float]) -> Any:
        record = known.pack(Code.DYNAMIC, known.number, *[t._handle.number for t in tensors], *floats)
        outcome = wire.decode_outcome(self._asked(record, NUMBER_BYTES), len(tensors))
        self._note_answer(outcome)
        # They hold for this call alone. A later one asks again, because its shapes depend on data.
        known.results = results_of(outcome, tensors, known.exact)
        return self._adopt(known, tensors)

    def _asked(self, record: bytes, read_bytes: int) -> bytes:
        """The answer to a record that reads so much, if it depends on data.

        Raises:
            RemoteError: the run is over; if by a budget of reading, with the lines that have read most.
        """
        try:
            return self.link.ask(record)
        except RemoteError as error:
            # Here the submission's own line is still on the stack. Later nobody knows which line has read.
            raise self.readings.explained(error, read_bytes) from None

    def _note_answer(self, outcome: wire.Outcome) -> None:
        """Each shape and number of an answer that depends on data is a value read back."""
        count = sum(1 for _ in wire.flatten(outcome.outputs)) if self.link.charged else 0
        self.readings.add(NUMBER_BYTES * count)

    def _adopt(self, known: KnownCall, tensors: list[RemoteTensor]) -> Any:
        first = self.link.next
        self.link.next = first + count_new(known.results)
        return self._build(known, first, tensors)

    def _build(self, known: KnownCall, first: int, tensors: list[RemoteTensor]) -> Any:
        numbers = count(first)
        values = [self._value(result, known, numbers, tensors) for result in known.results]
        if known.returns == "nothing":
            return None
        return values[0] if known.returns == "one" else tuple(values)

    def _value(
        self, result: CallResult, known: KnownCall, numbers: Iterator[int], tensors: list[RemoteTensor]
    ) -> Any:
        """Not a closure that calls itself: such a cycle would keep tensors until it is collected."""
        if isinstance(result, NewOutput):
            handle = Handle(next(numbers), self.link.freed)
            if result.alias < 0:
                return make(result.layout, result.dtype, result.offset, handle, None)
            return _view(result, tensors, handle)
        if isinstance(result, Input):
            return tensors[result.position]
        if isinstance(result, list):
            return [self._value(item, known, numbers, tensors) for item in result]
        return result

    # The first call of its kind.

    def _first(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        key: tuple[Any, ...],
        tensors: list[RemoteTensor],
        floats: list[float],
    ) -> Any:
        # Before anything is sent: an operator with parts is never itself on the wire.
        others = _in_other_words(func)
        if others is not None:
            return self._decompose(others, args, kwargs)
        # vmap passes the number itself where a tensor belongs.
        if func is _TO_COPY and not tensors:
            return self._call(_FULL, ([], args[0]), _of_number(args[0]) | kwargs)
        kind = _kind_of(func)
        # The key was made before anyone knew that this operator's has more in it. It is made again.
        if kind and id(func) not in self._kinds:
            self._kinds[id(func)] = kind
            return self._call(func, args, kwargs)
        if lookup(str(func)) is None:
            tensors, floats = [], []  # the host answers its name alone with the reason
        known = self._classify(func, kind)
        # Now, because a call may give its tensors others, and the key has these.
        known.layouts = [tensor._layout for tensor in tensors]
        if known.view and tensors:
            self._unshare(tensors[0])
        self._tell_phase()
        self._define(known, func, args, kwargs, tensors, floats)
        # After the executor has accepted the call: if it is refused, nothing may have happened here.
        value = _on_mirrors(known, func, args, kwargs, tensors)
        result = self._adopt(known, tensors)
        if known.view:
            _change_metadata(func, args, kwargs, tensors)
        if known.single is not None:
            result._mirror = value
            # A dtype that is asked for is no default.
            if not any(isinstance(value, torch.dtype) for value in (*args, *kwargs.values())):
                _check_default_dtype(func, known.single, tensors)
        # Last: a call that was refused above must be refused the second time as well.
        self._known[key] = known
        if self.hits is not None:
            self.hits.learn(func, known, tensors, floats)
        return result

    def _define(
        self,
        known: KnownCall,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        tensors: list[RemoteTensor],
        floats: list[float],
    ) -> None:
        """Make the call, and learn from the answer what it returns."""
        definition = DefinitionWriter(func, self.random.number).write(
            args, _with_dtype(func, args, kwargs, tensors)
        )
        head = wire.encode_definition(definition)
        layout = wire.call_layout(len(tensors), len(floats))
        # Before the question: a definition that is refused takes no number, and its successor's label
        # replaces this one.
        if self.labeller is not None:
            self.labeller.label(self._defined)
        values = layout.pack(0, 0, *[t._handle.number for t in tensors], *floats)[wire.COUNTED.size :]
        answer = self._asked(wire.COUNTED.pack(Code.DEFINE, len(head)) + head + values, NUMBER_BYTES)
        outcome = wire.decode_outcome(answer, len(tensors))
        self._note_answer(outcome)
        # Not from the answer: the host expects another record for such calls, and decides by the same table.
        known.dynamic = _is_dynamic(func, definition, tensors)
        known.number, known.pack = self._defined, layout.pack
        self._defined += 1
        known.results = results_of(outcome, tensors, known.exact)
        known.new = count_new(known.results)
        first_result = known.results[0] if known.results else None
        if known.returns == "one" and isinstance(first_result, NewOutput) and not known.dynamic:
            known.single = first_result
        known.same = -1
        if known.returns == "one" and isinstance(first_result, Input) and not (known.dynamic or known.view):
            known.same = first_result.position
        known.mirror = mirror.is_possible(func, known, tensors)
        # A call on mirrors keeps them right by itself.
        known.forgets = () if known.mirror else mirror.forgotten(func, tensors)

    @staticmethod
    def _classify(func: Any, kind: str) -> KnownCall:
        known = KnownCall()
        known.compiled = None
        tags = func.tags
        known.random = torch.Tag.nondeterministic_seeded in tags
        known.view = torch.Tag.inplace_view in tags or func is _SET
        known.exact = kind == "exact"
        values = len(func._schema.returns)
        known.returns = "nothing" if values == 0 else "one" if values == 1 else "tuple"
        known.single = None
        return known

    def _decompose(self, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # mode.py imports this file.
        from haet_eval.remote.client.mode import RemoteMode

        # PyTorch has left the mode to come here. Factories among the parts must come back to the executor.
        with RemoteMode(self):
            return run(*args, **kwargs)

    def _on_meta(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Shapes only; `Module.to_empty` leads from there to real tensors."""
        device = kwargs.get("device")
        shapes = _shapes_only(func, args, device)
        result = func(*shapes, **kwargs | ({"device": "meta"} if device is not None else {}))
        if device is None or device.type == "meta":
            return result
        if func is not _EMPTY_LIKE:
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
        return self._call(_EMPTY_STRIDED, (result.size(), result.stride()), {"dtype": result.dtype})

    # Metadata and data.

    def _tell_phase(self) -> None:
        phase = self.phases.current()
        if phase != self._phase:
            self._phase = phase
            self.link.write(wire.PHASE.pack(Code.PHASE, phase))

    def _detach(self, tensor: RemoteTensor) -> RemoteTensor:
        """A second wrapper of the same handle: no call is needed."""
        # The second wrapper may be written to, and the mirror of this one would not change with it.
        tensor._mirror = None
        tensor._handle.shared = True
        return make_view(tensor, tensor._layout, tensor.dtype, int(tensor.storage_offset()), tensor._handle)

    def _unshare(self, tensor: RemoteTensor) -> None:
        """Give a wrapper a tensor of its own before its metadata changes in place."""
        if tensor._handle.shared:
            # A call, because the host must know of two tensors too: it keeps the metadata of each.
            alias = self._call(_aten.alias.default, (tensor,), {})
            tensor._handle = alias._handle

    def _cut(
        self,
        func: Any,
        tensor: RemoteTensor,
        dim: int = 0,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
    ) -> RemoteTensor:
        """`select` and `slice`: their integers travel along, and the metadata is arithmetic."""
        layout = tensor._layout
        axis = dim + layout.ndim if dim < 0 else dim
        if not 0 <= axis < layout.ndim:
            raise IndexError(f"Dimension out of range (got {dim} for a tensor of {layout.ndim} dimensions)")
        self._tell_phase()
        size, stride = layout.shape[axis], layout.stride[axis]
        number = tensor._handle.number
        if func is _SELECT:
            assert start is not None
            if not -size <= start < size:
                raise IndexError(f"select(): index {start} out of range for a dimension of size {size}")
            low = start % size
            self.link.write(wire.SELECT.pack(Code.SELECT, number, axis, low))
            shape = layout.shape[:axis] + layout.shape[axis + 1 :]
            strides = layout.stride[:axis] + layout.stride[axis + 1 :]
        else:
            if step < 1:
                raise RuntimeError("slice step must be positive")  # as PyTorch says it
            # Clamped here, so that the host can refuse every record that is out of bounds.
            low, high, _ = slice(start, end).indices(size)
            # Python's slices may end before they begin. PyTorch's are empty then.
            high = max(low, high)
            self.link.write(wire.SLICE.pack(Code.SLICE, number, axis, low, high, step))
            shape = (*layout.shape[:axis], -(-(high - low) // step), *layout.shape[axis + 1 :])
            strides = (*layout.stride[:axis], stride * step, *layout.stride[axis + 1 :])
        cut = intern_layout(TensorMeta(shape, strides, 0, layout.dtype, layout.bits))
        offset = int(tensor.storage_offset()) + low * stride
        handle = Handle(self.link.next, self.link.freed)
        self.link.next += 1
        return make_view(tensor, cut, tensor.dtype, offset, handle)

    def upload(self, tensor: torch.Tensor) -> RemoteTensor:
        """Send a local tensor up; its bytes are charged."""
        with self.link.lock, no_dispatch():
            # Lazy bits are resolved: an upload has bytes only, and the host refuses bits in its metadata.
            local = tensor.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
            layout = layout_of(local)
            raw = local.reshape(-1).view(torch.uint8).numpy().tobytes() if local.numel() else b""
            # The record joins those that are in the buffer already, and all of them must fit into one frame.
            if len(raw) > FLUSH_BYTES:
                raise Refusal(
                    f"A constant of {len(raw):,} bytes is too large to be sent up. Make tensors with torch's "
                    "factories and random functions.",
                    code="handle-constant",
                )
            self.link.write(wire.encode_upload(layout, raw))
            handle = Handle(self.link.next, self.link.freed)
            self.link.next += 1
            remote = make(layout, local.dtype, 0, handle, None if local.dim() else local)
        if tensor.requires_grad:
            remote.requires_grad_()
        return remote

    def _number(self, tensor: RemoteTensor) -> Any:
        """The value of a tensor of one element. Without a tensor in between it takes a third of the time."""
        layout = _NUMBERS.get(tensor.dtype)
        if layout is None or tensor._mirror is not None:
            return self.fetch(tensor).item()
        return layout.unpack(self._read(tensor))[0]

    def fetch(self, tensor: RemoteTensor) -> torch.Tensor:
        """A local copy of a tensor's values; bytes that depend on data are charged."""
        # A mirror needs no answer, and the mark is of the last answer.
        self.link.made_up = False
        if tensor._mirror is not None:
            return tensor._mirror
        raw = self._read(tensor)
        with no_dispatch():
            if not raw:
                return torch.empty(tensor.shape, dtype=tensor.dtype)
            # A bytearray, because PyTorch warns of memory that cannot be written to.
            return torch.frombuffer(bytearray(raw), dtype=tensor.dtype).reshape(tensor.shape)

    def _read(self, tensor: RemoteTensor) -> bytes:
        self.link.made_up = False
        with self.link.lock:
            size = tensor.numel() * tensor.element_size()
            raw = self._asked(wire.READ.pack(Code.READ, tensor._handle.number), size)
            self.readings.add(len(raw) if self.link.charged else 0)
        return raw

    def adopt(self, shape: tuple[int, ...], dtype: torch.dtype) -> RemoteTensor:
        """The next tensor is one that the host has put into the executor."""
        meta = TensorMeta(shape, wire.contiguous_stride(shape), 0, name_of(dtype))
        handle = Handle(self.link.next, self.link.freed)
        self.link.next += 1
        return make(intern_layout(meta), dtype, 0, handle, None)


def _on_mirrors(
    known: KnownCall,
    func: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: list[RemoteTensor],
) -> torch.Tensor | None:
    """Do a call on mirrors if that is possible; if not, forget those that may be wrong now."""
    if known.mirror:
        return mirror.run(func, args, kwargs, tensors)
    mirror.forget([tensors[position] for position in known.forgets])
    return None


def _view(new: NewOutput, tensors: list[RemoteTensor], handle: Handle) -> RemoteTensor:
    base = tensors[new.alias]
    return make_view(base, new.layout, new.dtype, new.offset + int(base.storage_offset()), handle)


def _shapes_only(func: Any, args: tuple[Any, ...], device: torch.device | None) -> tuple[Any, ...]:
    """The arguments without data if the call moves a tensor with data to the device `meta`.

    Raises:
        NotImplementedError: it would need the data of a tensor that has none.
    """
    if not any(isinstance(value, RemoteTensor) for value in tree_iter(args)):
        return args
    if (device is None or device.type != "meta") and not (func is _COPY and args[0].is_meta):
        raise NotImplementedError(
            f"{func} was given tensors of the device meta, which have no data, and others"
        )
    with no_dispatch():
        return tuple(
            torch.empty_like(value, device="meta") if isinstance(value, RemoteTensor) else value
            for value in args
        )


def _change_metadata(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[RemoteTensor]
) -> None:
    """Do to the wrapper what the call did to the tensor: `t_`, `squeeze_`, `set_` and the like."""
    with no_dispatch():
        func(*args, **kwargs)
    tensors[0]._layout = layout_of(tensors[0])


@cache
def _in_other_words(func: Any) -> Callable[..., Any] | None:
    """What to call instead: an operator's parts in Python or C++, or the operator without its `out`."""
    if others := _WITHOUT_STORAGE.get(func) or parts_of(func, "cpu"):
        return others
    functional = _without_out(func)
    return None if functional is None else partial(_into, functional)


def _zeros_as(tensor: torch.Tensor, other: torch.Tensor, *, self_num_batch_dims: int = 0) -> torch.Tensor:
    """Zeros laid out as `other`, for each of the examples in the first dimensions of `tensor`."""
    extent, batch = _extent(other), tensor.shape[:self_num_batch_dims]
    strides = [stride * extent for stride in wire.contiguous_stride(batch)]
    zeros = other.new_zeros(extent * batch.numel())
    return zeros.as_strided((*batch, *other.shape), (*strides, *other.stride()), other.storage_offset())


def _have_same_extent(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """The storages for which forward mode asks. They are empty: no layout says how large they are."""
    return _extent(tensor) == _extent(other)


def _extent(tensor: torch.Tensor) -> int:
    """How many elements a storage must have for this tensor to be in it."""
    return (
        int(tensor.storage_offset()) + span_elements(tensor.shape, tensor.stride()) if tensor.numel() else 0
    )


_WITHOUT_STORAGE: Final[dict[Any, Callable[..., Any]]] = {
    _aten._has_same_storage_numel.default: _have_same_extent,
    _aten._new_zeros_with_same_feature_meta.default: _zeros_as,
}


def _of_number(value: complex) -> dict[str, torch.dtype]:
    """The dtype of a number that PyTorch has put in the place of a tensor: `vmap` does so with `x * 2`."""
    return {"dtype": torch.int64 if isinstance(value, int) else torch.float64}


def _without_out(func: Any) -> Any:
    """The overload that returns what `func` writes into its argument `out`; None if no overload does."""
    out = [argument.name for argument in func._schema.arguments if argument.is_out]
    # Operators with several results name them otherwise, and are refused with the host's reason.
    if out != ["out"]:
        return None
    wanted = [(a.name, str(a.type)) for a in func._schema.arguments if not a.is_out]
    overloads = [getattr(func.overloadpacket, name) for name in func.overloadpacket.overloads()]
    return next((overload for overload in overloads if _takes(overload, wanted)), None)


def _takes(overload: Any, wanted: list[tuple[str, str]]) -> bool:
    arguments = overload._schema.arguments
    writes = any(a.is_out or a.alias_info is not None for a in arguments)
    return not writes and [(a.name, str(a.type)) for a in arguments][: len(wanted)] == wanted


def _into(functional: Any, *args: Any, out: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    """What `out=` means, in terms of operators that are on the list."""
    result = functional(*args, **_for_factory(functional, kwargs, out))
    # PyTorch resizes `out` if it does not fit. `set_` is the operator on the list that does so.
    return out.set_(result.to(out.dtype)) if out.shape != result.shape else out.copy_(result)


def _for_factory(functional: Any, kwargs: dict[str, Any], out: torch.Tensor) -> dict[str, Any]:
    has_dtype = any(argument.name == "dtype" for argument in functional._schema.arguments)
    return {"dtype": out.dtype} | kwargs if has_dtype else kwargs


def _is_dynamic(func: Any, definition: wire.Definition, tensors: list[RemoteTensor]) -> bool:
    """Whether the outputs of this call depend on data: decided as the host does."""
    operator = lookup(str(func))
    arguments = arguments_of(definition, [tensor._layout for tensor in tensors])
    return operator is not None and is_dynamic(operator, arguments)


def _kind_of(func: Any) -> str:
    """`exact` where absolute offsets are part of the template, `literal` where the value of floats is."""
    operator = lookup(str(func))
    if operator is None:
        return ""
    return "exact" if operator.facts.exact else "literal" if operator.facts.literal else ""


def _check_default_dtype(func: Any, new: NewOutput, tensors: list[RemoteTensor]) -> None:
    """The executor's own default dtype is float32, and shows where integers become floats.

    Raises:
        Refusal: it shows here, and the submission has set another.
    """
    default = torch.get_default_dtype()
    if default is torch.float32 or new.dtype is not torch.float32 or not tensors:
        return
    if not any(tensor.is_floating_point() or tensor.is_complex() for tensor in tensors):
        raise Refusal(
            f"{func} makes float32 of integers here, not {default} as torch.set_default_dtype asks for. "
            f"Convert the integers first, as in x.to({default}).",
            code="handle-default-dtype",
        )


def _with_dtype(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[RemoteTensor]
) -> dict[str, Any]:
    """Factories use the default dtype of this side."""
    default = torch.get_default_dtype()
    if tensors or default is torch.float32 or kwargs.get("dtype") is not None:
        return kwargs
    if all(argument.name != "dtype" for argument in func._schema.arguments) or func in _OF_INTEGERS:
        return kwargs
    if func.overloadpacket in _OF_THEIR_NUMBERS and not any(isinstance(value, float) for value in args):
        return kwargs
    return kwargs | {"dtype": default}


_OF_INTEGERS: Final = frozenset(
    {_aten.randperm.default, _aten.randperm.generator}
    | {_aten.randint.default, _aten.randint.generator, _aten.randint.low, _aten.randint.low_generator}
    | {_aten.tril_indices.default, _aten.triu_indices.default}
)
_OF_THEIR_NUMBERS: Final = frozenset({_aten.arange, _aten.full})
