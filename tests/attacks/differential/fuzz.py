"""Runs the fuzz, in child processes, since some faults end one.

Usage: python -m tests.attacks.differential.fuzz SECONDS [SEED] [PART OF A NAME]
"""

import json
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

import torch

from haet_eval.errors import SubmissionFailure
from haet_eval.remote.operators.allowed import allowed_operators, lookup
from haet_eval.remote.operators.validation import written_parameters
from haet_eval.remote.template import written_inputs
from haet_eval.remote.wire import WireError
from tests.attacks.differential.calls import MadeCall, again, elsewhere, flipped, made_call
from tests.attacks.differential.world import End, World, memory_of
from tests.attacks.recorded_calls import RecordedCall, recorded_calls

ROUNDS = 8
REPEATS = 3
BATCH = 16
ALARM_SECONDS = 20
MOST_DIFFERENCES = 3
MET_BY_THE_METER = ("called with other offsets", "would leave its storage")
"""A cached call that does not fit its template, or that its validator refuses, ends the run in the meter."""


@dataclass
class Found:
    """What was seen of one operator, or of all: how calls ended, and every difference."""

    ends: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def add(self, other: "Found") -> None:
        self.ends += other.ends
        self.differences += other.differences


def fuzz(seconds: float, seed: int, only: str = "") -> dict[str, Found]:
    """Fuzz the operators in a random order, again and again, until the time is over."""
    names = sorted(name for name in allowed_operators() if only in name)
    found = {name: Found() for name in names}
    chance, end = Random(seed), time.monotonic() + seconds
    while time.monotonic() < end:
        left = list(names)
        chance.shuffle(left)
        while left and time.monotonic() < end:
            for name, one in _in_a_child(left[:BATCH], chance.getrandbits(30)):
                found[name].add(one)
                left.remove(name)
    return found


def _in_a_child(names: Sequence[str], seed: int) -> Iterator[tuple[str, Found]]:
    """Fuzz these operators in one process, or as many as there are before one ends it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        _serve(names, seed, write)
    os.close(write)
    done = 0
    with os.fdopen(read) as pipe:
        for line in pipe:
            ends, differences = json.loads(line)
            yield names[done], Found(Counter(ends), differences)
            done += 1
    _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGALRM:
        yield names[done], Found(Counter({"slow": 1}))
    elif done < len(names):
        yield (
            names[done],
            Found(differences=[f"{names[done]}: seed {seed} ends its process (signal {number})"]),
        )


def _serve(names: Sequence[str], seed: int, write: int) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    for name in names:
        signal.alarm(ALARM_SECONDS)
        found = _operator(recorded_calls().get(name, ()), Random(f"{seed} {name}"))
        line = json.dumps([found.ends, found.differences[:MOST_DIFFERENCES]])
        os.write(write, f"{line}\n".encode())
    os._exit(0)


def _operator(calls: Sequence[RecordedCall], chance: Random) -> Found:
    found = Found()
    for call in chance.choices(list(calls), k=ROUNDS) if calls else ():
        try:
            found.add(_try(call, chance))
        except Exception as error:
            found.differences.append(f"{call.operator}: {type(error).__name__}: {error} | {call.arguments}")
    return found


def _try(recorded: RecordedCall, chance: Random) -> Found:
    """Define a template with one pattern of memory, bits and offsets, and call it with others."""
    try:
        call = made_call(recorded, chance, mutate=chance.random() < 0.5)
    except Exception:
        return Found()
    if call is None:
        return Found()
    found = Found()
    tensors = flipped(call.tensors, chance) if chance.random() < 0.4 else call.tensors
    tensors = elsewhere(tensors, chance) if chance.random() < 0.5 else list(tensors)
    for differs in _record(found, call, tensors, chance):
        found.differences.append(f"{recorded.operator}: {differs} | {recorded.arguments}"[:1500])
    return found


def _record(found: Found, call: MadeCall, tensors: Sequence[torch.Tensor], chance: Random) -> Iterator[str]:
    world = World()
    for number in range(1 + REPEATS):
        template = world.meter._templates[-1] if world.meter._templates else None
        handles = [world.load(tensor, tainted=chance.random() < 0.5) for tensor in tensors]
        spare = again(tensors)
        record = (
            call.call(0, handles, dynamic=template.dynamic) if template is not None else call.define(handles)
        )
        before = world.memory()
        try:
            end, text = world.feed(record)
        except SubmissionFailure:
            return
        except WireError as error:
            if not any(words in str(error) for words in MET_BY_THE_METER):
                yield f"the record is refused: {error}"
            return
        end = End.CACHED if end is End.ACCEPTED and number else end
        found.ends[end] += 1
        if end is End.MISMATCHED and not _resizes(call):
            yield f"call {number}: {text}"
        if end in (End.FAILED, End.MISMATCHED):
            return
        yield from (f"call {number} {end}: {one}" for one in world.differences())
        yield from _hidden_writes(world, call, handles, before, refused=end is End.REFUSED)
        if end is End.REFUSED:
            return
        tensors = elsewhere(spare, chance)


def _resizes(call: MadeCall) -> bool:
    """These in-place kernels give their input the shape of their result; no counted call may do that."""
    return call.definition.operator == "aten.addbmm_.default"


def _hidden_writes(
    world: World, call: MadeCall, handles: Sequence[int], before: dict[int, bytes], *, refused: bool
) -> Iterator[str]:
    operator = lookup(call.definition.operator)
    assert operator is not None
    written = set() if refused else set(written_inputs(call.definition, written_parameters(operator)))
    storages = {world.executor.tensors[handles[index]].untyped_storage()._cdata for index in written}
    for number, old in before.items():
        tensor = world.executor.tensors[number]
        if tensor.untyped_storage()._cdata in storages or operator.base == "set_":
            continue
        if memory_of(tensor) != old:
            yield f"tensor {number} was written, which the meter does not know"


def table(found: dict[str, Found]) -> str:
    """For each operator how its calls ended."""
    ends = [*End, "slow"]
    lines = [f"{'operator':60}" + "".join(f"{end:>11}" for end in ends)]
    lines += [f"{name:60}" + "".join(f"{one.ends[end]:11}" for end in ends) for name, one in found.items()]
    total = Found()
    for one in found.values():
        total.add(one)
    lines.append(f"{'all':60}" + "".join(f"{total.ends[end]:11}" for end in ends))
    return "\n".join(lines)


def report(found: dict[str, Found]) -> str:
    """The table, every difference, and the operators of which no call was accepted or repeated."""
    lines = [table(found), *(line for one in found.values() for line in one.differences)]
    for end in (End.ACCEPTED, End.CACHED):
        never = ", ".join(name for name, one in found.items() if not one.ends[end])
        lines.append(f"never {end}: {never or 'none'}")
    return "\n".join(lines) + "\n"


def main() -> None:
    seconds, seed, only = [*sys.argv[1:], *("60", "1", "")[len(sys.argv) - 1 :]]
    sys.stdout.write(report(fuzz(float(seconds), int(seed), only)))


if __name__ == "__main__":
    main()
