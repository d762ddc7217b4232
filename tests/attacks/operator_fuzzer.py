"""Throws mutated calls at the kernels, if the validators let them through, and reports which kill a process.

Usage: python -m tests.attacks.operator_fuzzer --seed N --seconds N [--calls N] [--corpus FILE] [--only WORD]
       python -m tests.attacks.operator_fuzzer --absent [--corpus FILE] [--only WORD]

With --absent it makes each recorded call without each choice of its optional tensors, once.

Prints one JSON line per crash and one at the end: {"executed", "passed", "refused", "operators"}.
"""

import argparse
import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

import torch

from haet_eval.operators.checking.validation import Refused
from tests.attacks.execution import run, with_real_origins
from tests.attacks.mutation import mutated, without_tensors
from tests.attacks.recorded_calls import CORPUS, RecordedCall, recorded_calls

SECONDS_PER_CHILD = 10
NOTE_BYTES = 1 << 20
HEAD = struct.Struct("<QQQQ")


class Notes:
    """What a child did last, in memory that outlives it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, NOTE_BYTES)

    def write(self, counts: tuple[int, int, int], text: str) -> None:
        data = text.encode()[: NOTE_BYTES - HEAD.size]
        self._memory[: HEAD.size + len(data)] = HEAD.pack(*counts, len(data)) + data

    def read(self) -> tuple[tuple[int, int, int], str]:
        *counts, length = HEAD.unpack(self._memory[: HEAD.size])
        text = self._memory[HEAD.size : HEAD.size + length].decode(errors="replace")
        return (counts[0], counts[1], counts[2]), text


def attack(calls: Iterable[RecordedCall], chance: random.Random, notes: Notes) -> None:
    """The life of a child: validate, execute."""
    torch.manual_seed(chance.getrandbits(32))
    passed = refused = succeeded = 0
    for given in calls:
        call, made = with_real_origins(given, chance)
        try:
            call.check()
        except Refused as reason:
            if reason.__cause__ is not None:
                raise  # a validator that stumbles is a bug
            refused += 1
            continue
        passed += 1
        notes.write((passed, refused, succeeded), f"{call}")
        try:
            run(call, chance, made)
            succeeded += 1
        except Exception:
            continue
    notes.write((passed, refused, succeeded), "done")


def fork(calls: Iterable[RecordedCall], chance: random.Random, notes: Notes, seconds: int = 0) -> int:
    """Attack in a child process, which takes the calls one by one; the signal that ended it, or 0."""
    notes.write((0, 0, 0), "start")
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(seconds)
        code = 0
        try:
            attack(calls, chance, notes)
        except BaseException as problem:
            notes.write((0, 0, 0), f"{type(problem).__name__}: {problem} in {notes.read()[1]}")
            code = 70
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def rounds(names: list[str], chance: random.Random) -> Iterator[str]:
    for _ in cycle((None,)):
        chance.shuffle(names)
        yield from names


def fuzz(seed: int, seconds: float, count: int, corpus: Path, only: str) -> None:
    """Visit all operators in turn, in an order drawn from the seed, until the time is up."""
    calls = recorded_calls(corpus)
    names = sorted(name for name in calls if only in name)
    chance = random.Random(seed)
    notes = Notes()
    totals = [0, 0, 0]
    visited: set[str] = set()
    end = time.monotonic() + seconds
    for name in rounds(names, chance):
        if time.monotonic() > end:
            break
        child_seed = chance.getrandbits(32)
        child = random.Random(child_seed)
        hostile = (mutated(child.choice(calls[name]), child) for _ in range(count))
        number = fork(hostile, child, notes, SECONDS_PER_CHILD)
        totals = [total + count for total, count in zip(totals, notes.read()[0], strict=True)]
        visited.add(name)
        if number != signal.SIGALRM:
            _tell_crash(name, number, child_seed, notes)
    _tell_totals(totals, len(visited), len(names))


def leave_out(corpus: Path, only: str) -> None:
    """Make every recorded call without each choice of its optional tensors."""
    notes = Notes()
    totals = [0, 0, 0]
    hostile_calls = {
        name: [one for call in calls for one in without_tensors(call)]
        for name, calls in recorded_calls(corpus).items()
        if only in name
    }
    names = [name for name, hostile in hostile_calls.items() if hostile]
    for name in names:
        number = fork(hostile_calls[name], random.Random(0), notes)
        totals = [total + count for total, count in zip(totals, notes.read()[0], strict=True)]
        _tell_crash(name, number, 0, notes)
    _tell_totals(totals, len(names), len(names))


def _tell_crash(name: str, number: int, seed: int, notes: Notes) -> None:
    if number != 0:
        kind = signal.Signals(number).name if number > 0 else f"exit {-number}"
        _tell({"operator": name, "signal": kind, "seed": seed, "call": notes.read()[1]})


def _tell_totals(totals: list[int], visited: int, known: int) -> None:
    passed, refused, succeeded = totals
    done = {"passed": passed, "refused": refused, "succeeded": succeeded}
    _tell({**done, "operators": visited, "of": known})


def _tell(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--calls", type=int, default=400, help="in one child process")
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--only", default="")
    parser.add_argument("--absent", action="store_true", help="leave out optional tensors, mutate nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.setrecursionlimit(10_000)
    if options.absent:
        leave_out(options.corpus, options.only)
        return
    fuzz(options.seed, options.seconds, options.calls, options.corpus, options.only)


if __name__ == "__main__":
    main()
