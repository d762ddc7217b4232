"""Throws mutated calls at the kernels, if the validators let them through, and reports which kill a process.

Usage: python -m tests.attacks.operator_fuzzer --seed N --seconds N [--calls N] [--corpus FILE] [--only WORD]

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
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import torch

from haet_eval.operators.checking.validation import Refused
from tests.attacks.execution import run, with_real_origins
from tests.attacks.mutation import mutated
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


def attack(calls: list[RecordedCall], seed: int, count: int, notes: Notes) -> None:
    """The life of a child: mutate, validate, execute."""
    chance = random.Random(seed)
    torch.manual_seed(seed)
    passed = refused = succeeded = 0
    for _ in range(count):
        call, made = with_real_origins(mutated(chance.choice(calls), chance), chance)
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


def fork(calls: list[RecordedCall], seed: int, count: int, notes: Notes) -> int:
    """Attack in a child process; the signal that ended it, or 0."""
    notes.write((0, 0, 0), "start")
    child = os.fork()
    if child == 0:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        signal.alarm(SECONDS_PER_CHILD)
        code = 0
        try:
            attack(calls, seed, count, notes)
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
        number = fork(list(calls[name]), child_seed, count, notes)
        counts, text = notes.read()
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        visited.add(name)
        if number not in {0, signal.SIGALRM}:
            kind = signal.Signals(number).name if number > 0 else f"exit {-number}"
            _tell({"operator": name, "signal": kind, "seed": child_seed, "call": text})
    passed, refused, succeeded = totals
    done = {"passed": passed, "refused": refused, "succeeded": succeeded}
    _tell({**done, "operators": len(visited), "of": len(names)})


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
    options = parser.parse_args()
    torch.set_num_threads(1)
    sys.setrecursionlimit(10_000)
    fuzz(options.seed, options.seconds, options.calls, options.corpus, options.only)


if __name__ == "__main__":
    main()
