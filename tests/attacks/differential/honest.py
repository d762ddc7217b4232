"""An ordinary program's calls: through the real client, and plainly, on tensors that lie in memory alike.

What PyTorch does plainly comes out the same through handles, or is refused in words. A tensor mismatch, or a
broken protocol, is our fault here: nothing on this side is hostile.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

import torch
from torch.utils._pytree import tree_leaves

from haet_eval.operators.checking.validation import Refused
from haet_eval.operators.schema import Parameter
from haet_eval.operators.signature import Argument, TensorMeta
from haet_eval.remote.client.dispatch import Dispatcher
from haet_eval.remote.client.link import Refusal, RemoteError
from haet_eval.remote.client.mode import RemoteMode
from haet_eval.remote.client.tensor import RemoteTensor
from haet_eval.remote.executor.guards import guarded
from tests.attacks.differential.arrangement import APART, Pattern, Wanted, any_pattern, arranged
from tests.attacks.differential.client import WorldLink, adopted, claimed, connected, held
from tests.attacks.differential.report import Note, Outcome, Visit
from tests.attacks.differential.twins import Numbers
from tests.attacks.differential.values import fill_tamely, fill_wildly
from tests.attacks.differential.world import Kind, World, seen
from tests.attacks.execution import overload_of
from tests.attacks.recorded_calls import RecordedCall

REPETITIONS: Final = 3
MAX_NUMEL: Final = 1 << 17
NO_VALUES: Final = ("empty", "out")
"""Parts of names: memory that is not written, and an output that may overlap an input."""
OF_ONE: Final = "aten._local_scalar_dense.default"
"""`item()`: of a tensor of more elements the operator returns the first, and nobody calls it so."""
OUT_OF_MEMORY: Final = "can't allocate memory"
UNLIKE: Final = frozenset({"aten.as_strided_.default"})
"""The client's wrapper has no memory behind its last element, so it cannot follow the tensor there."""
_ENDS: Final = {
    Kind.MISMATCHED: Outcome.MISMATCHED,
    Kind.CLOSED: Outcome.CLOSED,
    Kind.FAILED: Outcome.FAILED,
    Kind.FAULTY: Outcome.FAILED,
}


@dataclass(slots=True)
class HonestTrial:
    """A call, made a few times on tensors of the same layouts that lie otherwise each time."""

    call: RecordedCall
    chance: Random
    visit: Visit
    note: Note
    tame: bool = False
    _dispatcher: Dispatcher = field(default_factory=lambda: connected(World()))

    def run(self) -> None:
        """Make the call, if the validators let it pass: without them the plain kernel may crash."""
        try:
            replace(self.call, origins={}).check()
        except Refused:
            self.visit.outcomes[Outcome.REFUSED] += 1
            return
        if not _is_possible(self.call):
            return
        for repetition in range(REPETITIONS):
            pattern = APART if self.tame and not repetition else any_pattern(self.chance)
            if not self._once(pattern):
                return

    @property
    def _link(self) -> WorldLink:
        link = self._dispatcher.link
        assert isinstance(link, WorldLink)
        return link

    def _once(self, pattern: Pattern) -> bool:
        """Whether both ways could go on."""
        self.note.write(f"honest {self.call}")
        seed = self.chance.getrandbits(32)
        operator = overload_of(self.call.operator)
        plain, remote = (self._tensors(pattern, seed) for _ in range(2))
        handles = adopted(self._link, remote)
        plain_result, plain_error = _attempt(guarded(operator), self.call, plain)
        with RemoteMode(self._dispatcher):
            result, error = _attempt(operator, self.call, handles)
            try:
                self._link.flush()
            except RemoteError as late:
                error = late
        self._judge(plain_error, error)
        if plain_error is None and error is None:
            self._compare((plain_result, plain), (result, handles))
        return error is None and plain_error is None

    def _judge(self, plain_error: Exception | None, error: Exception | None) -> None:
        ended = self._link.ended
        if ended is None:
            self.visit.outcomes[Outcome.ACCEPTED if error is None else Outcome.REFUSED] += 1
        else:
            self.visit.outcomes[_ENDS[ended.kind]] += 1
        if ended is not None and ended.kind in {Kind.MISMATCHED, Kind.FAULTY}:
            self._find(str(ended.kind), ended.text)
        elif plain_error is None and _is_failure(error):
            self._find("failed", f"it does not fail plainly: {error}")

    def _find(self, kind: str, text: str) -> None:
        self.visit.find(f"honest call: {kind}", text, self.call)

    def _tensors(self, pattern: Pattern, seed: int) -> list[torch.Tensor]:
        """The same tensors for the same seed."""
        chance = Random(seed)

        def fill(tensor: torch.Tensor, one: Wanted) -> None:
            if self.tame or chance.random() < 0.6:
                fill_tamely(tensor, one)
            else:
                fill_wildly(tensor, one, chance)

        with Numbers(seed).drawn():
            return arranged(list(_wanted(self.call)), pattern, fill, chance)

    def _compare(self, plain: Any, remote: Any) -> None:
        """Results, and the tensors of the call as it left them."""
        pairs = list(zip(tree_leaves(plain), tree_leaves(remote), strict=True))
        for one, other in pairs:
            if isinstance(one, torch.Tensor) and isinstance(other, RemoteTensor):
                self._compare_tensors(one, other)
            elif isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
                self._find("result", f"a {type(other).__name__}, plainly a {type(one).__name__}")

    def _compare_tensors(self, plain: torch.Tensor, remote: RemoteTensor) -> None:
        real = held(self._link, remote)
        if claimed(remote) != seen(real):
            self._find("client", f"the client has {claimed(remote)}, the executor {seen(real)}")
        if (plain.shape, plain.dtype) != (real.shape, real.dtype):
            self._find("result", f"it is {seen(real)}, plainly {seen(plain)}")
        elif _has_values(self.call) and _values(plain) != _values(real):
            self._find("values", f"in {seen(real)}")


def _attempt(
    operator: Callable[..., Any], call: RecordedCall, tensors: Sequence[torch.Tensor]
) -> tuple[Any, Exception | None]:
    rest = iter(tensors)
    parameters = call.schema().parameters
    given = {
        parameter.name: _native(parameter, call.arguments[parameter.name], rest)
        for parameter in parameters
        if parameter.name in call.arguments
    }
    positional = [given.get(p.name, p.default) for p in parameters if not p.keyword_only]
    named = {p.name: given[p.name] for p in parameters if p.keyword_only and p.name in given}
    try:
        return operator(*positional, **named), None
    except Exception as error:
        return None, error


def _native(parameter: Parameter, value: Argument, rest: Iterator[torch.Tensor]) -> Any:
    if isinstance(value, tuple):
        return [_native(parameter, item, rest) for item in value]
    if isinstance(value, TensorMeta):
        return next(rest)
    if isinstance(value, str) and parameter.type in {"ScalarType", "MemoryFormat", "Layout"}:
        return getattr(torch, value)
    if isinstance(value, str) and parameter.type == "Generator":
        return torch.Generator()
    return torch.device("cpu") if parameter.type == "Device" and value is not None else value


def _wanted(call: RecordedCall) -> Iterator[Wanted]:
    exact = call.schema().facts.exact
    for parameter in call.schema().parameters:
        value = call.arguments.get(parameter.name)
        for meta in value if isinstance(value, tuple) else (value,):
            if isinstance(meta, TensorMeta):
                single = isinstance(value, TensorMeta)
                size = call.storage_bytes.get(parameter.name, 0) if single else 0
                known = call.values.get(parameter.name) if single else None
                yield Wanted(meta, meta.offset if exact else None, size, known)


def _is_possible(call: RecordedCall) -> bool:
    """Whether it is small, and one that a program makes."""
    sizes = [one.meta.numel for one in _wanted(call)]
    made = call.operator not in UNLIKE and (call.operator != OF_ONE or sizes == [1])
    return made and sum(sizes) <= MAX_NUMEL and not _repeats(call.arguments.get("out"))


def _repeats(out: Argument) -> bool:
    """Whether an output has several elements in one place. PyTorch does not define which of them stays."""
    return isinstance(out, TensorMeta) and any(
        size > 1 and step == 0 for size, step in zip(out.shape, out.stride, strict=True)
    )


def _is_failure(error: Exception | None) -> bool:
    """Not a refusal, and not for want of memory, of which two of every tensor take more."""
    return error is not None and not isinstance(error, Refusal) and OUT_OF_MEMORY not in str(error)


def _has_values(call: RecordedCall) -> bool:
    """Whether its results are determined."""
    words = call.operator.replace(".", "_").split("_")
    return not call.schema().random and not any(word in words for word in NO_VALUES)


def _values(tensor: torch.Tensor) -> bytes:
    plain = tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    return bytes(plain.reshape(-1).view(torch.uint8).numpy().tobytes()) if plain.numel() else b""
