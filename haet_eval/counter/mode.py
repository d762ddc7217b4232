"""The dispatch mode that sees each call below autograd, and keeps how often each distinct one was made."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import torch
from torch._ops import HigherOrderOperator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from haet_eval.counter.elsewhere import whole
from haet_eval.counter.foreseen import Followers
from haet_eval.counter.keys import key_of, part_of
from haet_eval.counter.places import Place, Places
from haet_eval.counter.signatures import signature_of
from haet_eval.counter.work import computes
from haet_eval.operators.checking.validation import is_dynamic
from haet_eval.operators.signature import Signature
from haet_eval.operators.table import lookup
from haet_eval.remote.client.in_parts import parts_of
from haet_eval.remote.client.phase import NO_GRAPH_TASK, graph_task

_Tensor: Final = torch.Tensor
_VARYING: Final = frozenset({torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output})


@dataclass(slots=True, eq=False)
class CountedCall:
    """One distinct call: its signature, and how often it was made in each place.

    `varies`: its outputs depend on data, so that `variants` has a call for each of their shapes.
    `whole`: it has a price of its own, which the kernels that it calls are part of.
    `meta`: it is about shapes only, on the device `meta`.
    """

    func: Any  # kept alive: its identity is part of the key
    signature: Signature | None
    varies: bool = False
    whole: bool = False
    meta: bool = False
    counts: dict[Place, int] = field(default_factory=dict)
    followers: "Followers[CountedCall]" = field(default_factory=Followers)
    variants: dict[tuple[Any, ...], "CountedCall"] = field(default_factory=dict)


class CountingMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts each call of the thread that it is entered in, and runs it."""

    supports_higher_order_operators = True

    def __init__(self, places: Places, whole_operators: Collection[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._places = places
        self._whole = whole_operators
        self._calls: dict[tuple[Any, ...], CountedCall] = {}
        self._no_work: dict[int, Any] = {}  # by identity: the hash of an overload is slow
        self._followers: Followers[CountedCall] = Followers()  # of the last call
        self._lock = Lock()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled while this mode counts, and PyTorch's guard against it would take time."""
        return False

    def calls(self) -> Iterator[CountedCall]:
        """Every distinct call so far."""
        # A copy: a thread that still counts may add a call meanwhile.
        for call in list(self._calls.values()):
            yield from list(call.variants.values()) if call.varies else (call,)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        places = self._places
        # A thread that outlives the block stays in its mode.
        if not places.installed:
            return func(*args, **(kwargs or {}))
        # Within a mode's own handler PyTorch switches the mode off, so `func` below does not come back here.
        for foreseen in self._followers.newest:
            if foreseen.func is func and foreseen.fits(args, kwargs):
                result = func(*args, **kwargs) if kwargs else func(*args)
                call = foreseen.kept
                self._followers = call.followers
                # As _count does, without the time of a call.
                place = places.now if graph_task() == NO_GRAPH_TASK else places.backward()
                call.counts[place] = call.counts.get(place, 0) + 1
                return result
        kwargs = kwargs or {}
        if id(func) in self._no_work:
            return func(*args, **kwargs)
        # The dictionary is read without the lock: a look-up is atomic, and a call is never removed.
        known = self._calls.get(key := key_of(func, args, kwargs))
        if known is None:
            return self._first(func, args, kwargs, key)
        result = _run_whole(func, args, kwargs) if known.whole else func(*args, **kwargs)
        variant = known.variants.get(part_of(result)) if known.varies else known
        # Another thread may have entered the call and not have signed it yet. Both then find the same
        # signature.
        if variant is None or variant.signature is None:
            variant = self._signed(known, args, kwargs, result)
        self._count(variant)
        # Such calls need more than their arguments to be recognised: their results, or a block around them.
        if not (known.varies or known.whole or isinstance(func, HigherOrderOperator)):
            self._followers.add(func, args, kwargs, variant)
        self._followers = variant.followers
        return result

    def _count(self, call: CountedCall) -> None:
        place = self._places.now if graph_task() == NO_GRAPH_TASK else self._places.backward()
        call.counts[place] = call.counts.get(place, 0) + 1

    def _first(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], key: tuple[Any, ...]) -> Any:
        if not computes(func):
            self._no_work[id(func)] = func
            return func(*args, **kwargs)
        if isinstance(func, HigherOrderOperator):
            result = func(*args, **kwargs)
            return self._keep(CountedCall(func, None), key, args, kwargs, result)
        if str(func) in self._whole:
            result = _run_whole(func, args, kwargs)
            return self._keep(CountedCall(func, None, varies=True, whole=True), key, args, kwargs, result)
        # The judge's client takes the same parts, so that both counts agree.
        parts = parts_of(func, _device_of(args, kwargs))
        if parts is not None:
            return self._by_parts(parts, func, args, kwargs, key)
        result = func(*args, **kwargs)
        signature = signature_of(func, args, kwargs, result)
        varies = _varies(func, signature)
        return self._keep(CountedCall(func, None if varies else signature, varies), key, args, kwargs, result)

    def _by_parts(
        self,
        parts: Any,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        key: tuple[Any, ...],
    ) -> Any:
        # A mark that no call can have: if it is still there after the parts, none of them was counted.
        before, self._followers = self._followers, (none := Followers[CountedCall]())
        # The mode is off in its own handler, and the parts must come back to it.
        with self:
            result = parts(*args, **kwargs)
        if self._followers is not none:
            return result
        self._followers = before
        # PyTorch's own composites of views compute nothing. The place in the order of calls is as before this
        # one.
        if func.namespace == "aten":
            return result
        # No part was counted: it computes outside PyTorch, and that has no price.
        return self._keep(CountedCall(func, None, varies=True), key, args, kwargs, result)

    def _keep(
        self,
        call: CountedCall,
        key: tuple[Any, ...],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> Any:
        # The result as well: a factory takes no tensor, and what it makes may be on `meta`.
        tensors = (value for value in tree_iter((args, kwargs, result)) if isinstance(value, _Tensor))
        call.meta = any(tensor.is_meta for tensor in tensors)
        # Autograd's threads share this mode: two of them may see a call for the first time at once, and both
        # must count in the one that was entered first.
        with self._lock:
            call = self._signed(self._calls.setdefault(key, call), args, kwargs, result)
        self._count(call)
        self._followers = call.followers
        return result

    @staticmethod
    def _signed(
        known: CountedCall, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> CountedCall:
        call = known
        if known.varies:
            call = known.variants.setdefault(part_of(result), CountedCall(known.func, None, meta=known.meta))
        if call.signature is None:
            call.signature = signature_of(known.func, args, kwargs, result)
        return call


def _run_whole(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    with whole():
        return func(*args, **kwargs)


def _varies(func: Any, signature: Signature) -> bool:
    """Whether the shapes of its outputs depend on data, or PyTorch does not say: a stranger's operator."""
    operator = lookup(signature.operator)
    # The table has no word on it, so the tags decide. An operator of other authors often has no tags, so its
    # outputs always count as varying.
    if operator is None:
        return func.namespace != "aten" or not _VARYING.isdisjoint(func.tags)
    return is_dynamic(operator, signature.arguments)


def _device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The type of the device that a call runs on, by its first tensor."""
    for value in tree_iter((args, kwargs)):
        if isinstance(value, _Tensor):
            # An operator that was made in Python may have a kernel of its own for a device.
            return value.device.type
    return "cpu"
