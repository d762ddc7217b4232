"""Visits every allowed operator in turn, in child processes, and reports what was seen.

Usage: python -m tests.attacks.differential.fuzzer [--calls honest] --seconds N [--seed N] [--only WORD]
       python -m tests.attacks.differential.fuzzer --only OPERATOR --visit SEED    (repeats one visit)

It prints each finding with the command that repeats it, at the end for each overload how its calls ended.
"""

import argparse
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import IO, Final

import torch
import torch._dynamo  # PyTorch imports these two at the first error on shapes: not in every child
import torch._inductor

from haet_eval.operators.table import allowed_operators
from tests.attacks.differential.report import Finding, Note, Report
from tests.attacks.differential.visits import VISITORS
from tests.attacks.recorded_calls import recorded_calls

SECONDS_PER_VISIT: Final = 20
OPERATORS_PER_CHILD: Final = 16
MEMORY_BYTES: Final = 1 << 30


def fuzz(
    calls: str, seed: int, seconds: float, trials: int, only: str = "", written: Path | None = None
) -> Report:
    """Visit all operators at least once, and again until the time is up.

    `written`: where the report is written after each round, so that little is lost if this process is ended.
    """
    names = sorted(name for name in allowed_operators() if only in name)
    chance = Random(seed)
    report = Report()
    recorded_calls()
    start = time.monotonic()
    while not report.rounds or time.monotonic() - start < seconds:
        chance.shuffle(names)
        for place in range(0, len(names), OPERATORS_PER_CHILD):
            if report.rounds and time.monotonic() - start > seconds:
                break
            known = len(report.findings)
            _visit_all(calls, names[place : place + OPERATORS_PER_CHILD], chance, trials, report)
            for finding in list(report.findings.values())[known:]:
                sys.stderr.write(finding.shown() + "\n")
        report.rounds += 1
        report.seconds = time.monotonic() - start
        if written is not None:
            written.write_text(report.encode(), "utf-8")
    return report


def _visit_all(calls: str, names: Sequence[str], chance: Random, trials: int, report: Report) -> None:
    """In a child; if it dies, another goes on with the operators behind the one that killed it."""
    left = [(name, chance.getrandbits(32)) for name in names]
    while left:
        note = Note()
        with tempfile.TemporaryFile("w+") as lines:
            status = _in_child(calls, left, trials, note, lines)
            lines.seek(0)
            done = [report.add(line) for line in lines]
        left = left[len(done) :]
        if not left:
            return
        name, seed = left.pop(0)
        report.outcomes.setdefault(name, Counter())
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            report.timeouts[name] += 1
        else:
            report.find(Finding("process died", name, _ending(status), note.read()[:2000], seed, calls))


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit {os.WEXITSTATUS(status)}"


def _in_child(calls: str, left: Sequence[tuple[str, int]], trials: int, note: Note, lines: IO[str]) -> int:
    """The status that `waitpid` returns."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    resource.setrlimit(resource.RLIMIT_AS, (_mapped_bytes() + MEMORY_BYTES,) * 2)
    code = 0
    try:
        for name, seed in left:
            signal.alarm(SECONDS_PER_VISIT)
            note.write(f"visit {name}")
            lines.write(VISITORS[calls](name, seed, trials, note).encode() + "\n")
            lines.flush()
    except BaseException as problem:
        note.write(f"{type(problem).__name__}: {problem} in {note.read()}")
        code = 70
    os._exit(code)


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()


def prepare() -> None:
    """As the executor's process: one thread, no gradients. Warnings of kernels are of no interest."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    warnings.simplefilter("ignore")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", choices=VISITORS, default="hostile", help="records, or a real client's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--trials", type=int, default=3, help="in one visit to an operator")
    parser.add_argument("--only", default="")
    parser.add_argument("--visit", type=int)
    parser.add_argument("--report", type=Path, help="write all of it to this file, as JSON")
    options = parser.parse_args()
    prepare()
    report = Report()
    if options.visit is not None:
        visitor = VISITORS[options.calls]
        report.add(visitor(options.only, options.visit, options.trials, Note()).encode())
        sys.stderr.writelines(finding.shown() + "\n" for finding in report.findings.values())
    else:
        report = fuzz(
            options.calls, options.seed, options.seconds, options.trials, options.only, options.report
        )
    sys.stdout.write(report.table() + "\n")


if __name__ == "__main__":
    main()
