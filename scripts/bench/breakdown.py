"""Shows where the time of a training step through handles goes, in CPU time, which other load changes little.

Usage: python -m scripts.bench.breakdown. Training runs in local processes, with one thread for the kernels.
A part is measured by itself, not as a difference; what the parts leave of their total has a row of its own.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import cycle, pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from haet_eval.competition import Budgets
from haet_eval.evaluation.pair import open_pair
from haet_eval.remote.connection import Connection
from haet_eval.remote.executor.executor import Executor, SettledCall
from haet_eval.remote.messages import Start
from haet_eval.remote.meter import Question
from haet_eval.remote.recount import recount
from haet_eval.remote.wire import Code
from haet_eval.runtimes.environment import EXECUTOR
from haet_eval.runtimes.process import ProcessRuntime
from scripts.bench.clock import REPEATS, Clock, measure
from scripts.bench.compare import IMAGES, LABELS, ROUNDS, NullMode, job
from scripts.bench.steps import CONFIGURATIONS, training

_MOST_STEPS = 40
# The entry point runs as a submission does, so it imports copies of steps.py and clock.py and not this
# package.
_ENTRY = """
from clock import measure
from haet_eval.remote.client.mode import RemoteMode
from steps import small_cnn, training

def train(task):
    run = training(task, {name!r})
    measure(lambda: run({steps}).item(), RemoteMode, task.report)
    return small_cnn()
"""
Seconds = dict[str, float]


def differences(marks: Sequence[Mapping[str, float]]) -> list[Seconds]:
    """What was spent between each two marks of running totals."""
    return [{k: after[k] - before[k] for k in after} for before, after in pairwise(marks)]


def least(windows: Sequence[Mapping[str, float]]) -> Seconds:
    """The least of each figure, which other load has disturbed least."""
    keys = {key for window in windows for key in window}
    return {key: min(window[key] for window in windows if key in window) for key in keys}


# The three processes of a run.


def through_handles(name: str, steps: int) -> Seconds:
    """CPU seconds of so many training steps in the three processes, and the parts of it."""
    folder = Path(__file__).parent
    files = {file: (folder / file).read_text(encoding="utf-8") for file in ("steps.py", "clock.py")}
    files["entry.py"] = _ENTRY.format(name=name, steps=steps)
    told: list[dict[str, float]] = []
    marks: list[Seconds] = []
    with ExitStack() as stack:
        run = stack.enter_context(open_pair(ProcessRuntime(), Budgets(cpus=1), {"images": IMAGES.shape}))
        # Clocks in the host's methods run only here. The executor's parts are measured later, on the trace of
        # this run.
        clocks = {
            "meter": stack.enter_context(Clock(run.meter, "accept")),
            "trace": stack.enter_context(Clock(run.trace, "add")),
            "receive": stack.enter_context(Clock(run.relay.submission, "receive")),
            "send": stack.enter_context(Clock(run.relay.link, "pass_on")),
        }
        executor = _process_clock(run.relay.executor)

        def report(values: Mapping[str, int | float | str]) -> None:
            told.append({key: float(value) for key, value in values.items()})
            inside = {key: clock.seconds for key, clock in clocks.items()}
            # The report of each repetition is the only moment at which all three processes are known to be at
            # the same place.
            marks.append(inside | {"host": time.thread_time(), "executor": executor()})

        run.relay.use(run.watch.look, report)
        run.relay.start(Start(device="cpu", threads=1), [IMAGES, LABELS])
        run.watch.begin("train", 600)
        run.relay.train(job(files, "entry"))
        # The file is complete only after this, and the replay reads it.
        run.trace.close()
        replayed = in_child("replay", str(run.trace_path), steps)
    # Only the first half of the repetitions: in the second half a clock runs in the submission's mode.
    return least(differences(marks[: 1 + REPEATS])) | least(told[1:]) | replayed


def _process_clock(connection: Connection) -> Callable[[], float]:
    """The CPU clock of the process at the other end, in seconds."""
    # The executor is another process without any interface for its time, but the kernel knows its clock.
    peer = connection._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid = struct.unpack("3i", peer)[0]
    clock = (~pid << 3) | 2  # as clock_getcpuclockid(3) makes it
    return lambda: time.clock_gettime(clock)


# Parts that are measured outside of the run, in processes of their own.


class Remembered:
    """A template that remembers what its calls returned, and then returns that again without a kernel."""

    def __init__(self, template: SettledCall) -> None:
        self._template = template
        # Kept, so that the template can be restored for the entries after the last mark.
        self._own = template.run, template.look, template.settle
        self._result: Any = None
        self._kept: Sequence[torch.Tensor] = ()

    def remember(self) -> None:
        run, _, settle = self._own

        def running(*call: Any) -> Any:
            self._result = run(*call)
            return self._result

        def settling(*call: Any) -> Sequence[torch.Tensor]:
            self._kept = settle(*call)
            return self._kept

        self._template.run, self._template.settle = running, settling

    def recall(self) -> None:
        self._template.run = lambda *_: self._result
        self._template.look = lambda _: []
        self._template.settle = lambda *_: self._kept

    def restore(self) -> None:
        self._template.run, self._template.look, self._template.settle = self._own


class Replayed(Executor):
    """An executor that is fed from a trace and answers nobody.

    The values read back part the trace into what `measure` repeats. First clocks run in the kernels and in
    the checks. Then, after a repetition in which results are remembered, neither of them runs: each call
    returns what it has before.
    """

    def __init__(self) -> None:
        super().__init__(socket.socket())
        # These are the first tensors of a run, so the trace names them by the first numbers.
        self._put(torch.from_numpy(IMAGES))
        self._put(torch.from_numpy(LABELS))
        self._clocks = ExitStack()
        self._kernels: list[Clock] = []
        self._checks: list[Clock] = []
        self._remembered: list[Remembered] = []
        self._seconds = 0.0
        self._marks: list[Seconds] = []

    def replay(self, path: Path) -> Seconds:
        """Seconds in kernels, in checks, and in the executor without both, and the number of operators."""
        recount(path, self)
        windows = differences(self._marks)
        # The window between both halves is left out: in it the results are remembered, which takes time of
        # its own.
        timed, empty = least(windows[:REPEATS]), least(windows[REPEATS + 1 :])
        return timed | {"bookkeeping": empty["all"]}

    def passed(self, _entry: int, records: bytes) -> None:
        start = time.thread_time()
        self._stream(records)
        self._seconds += time.thread_time() - start

    def answered(self, entry: int, question: Question, _outcome: bytes | None) -> None:
        self.passed(entry, question.record)
        if self._failure:
            raise self._failure
        # The entry point reads one value for each repetition.
        if question.code is Code.READ:
            self._mark()

    def refused(self, *_: Any) -> None: ...
    def sealed(self, *_: Any) -> None: ...
    def batch(self, *_: Any) -> None: ...
    def inventoried(self, *_: Any) -> None: ...
    def predicted(self, *_: Any) -> None: ...
    def _answer(self, *_: Any) -> None: ...

    def _mark(self) -> None:
        self._marks.append(
            {
                "kernels": sum(clock.seconds for clock in self._kernels),
                "checks": sum(clock.seconds for clock in self._checks),
                "operators": sum(clock.calls for clock in self._kernels),
                "all": self._seconds,
            }
        )
        match len(self._marks) - 1:
            case done if done == REPEATS:
                # A clock in each kernel would count as bookkeeping in the second half.
                self._clocks.close()
                self._remembered = [Remembered(template) for template in self._templates]
                for template in self._remembered:
                    template.remember()
            case done if done == REPEATS + 1:
                for template in self._remembered:
                    template.recall()
            # The seal and what follows it need real results.
            case done if done == 2 * REPEATS:
                for template in self._remembered:
                    template.restore()

    def _define(self, record: bytes) -> bytes:
        answer = super()._define(record)
        template = self._templates[-1]
        # A template that is defined after the first half is not timed any more.
        if not self._remembered:
            self._kernels.append(self._clocks.enter_context(Clock(template, "run")))
            for name in ("look", "settle"):
                self._checks.append(self._clocks.enter_context(Clock(template, name)))
        return answer


class Recall(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs the calls of one training step, and then returns the same results again without a kernel."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._results: list[Any] = []
        self._next: Iterator[Any] | None = None

    def learned(self) -> None:
        """The step is over."""
        self._next = cycle(self._results)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace != "aten":  # marks for the profiler
            return func(*args, **(kwargs or {}))
        if self._next is None:
            result = func(*args, **(kwargs or {}))
            # None stands for a result in place. A stored tensor would be another one than the argument of the
            # next step.
            self._results.append(None if result is args[0] else _aliases(result))
            return result
        result = next(self._next)
        return args[0] if result is None else _aliases(result)


def _aliases(result: Any) -> Any:
    # A new alias for each call: autograd attaches its graph to the object that it gets.
    return tree_map_only(torch.Tensor, torch.Tensor.detach, result)


def _training_here(name: str) -> Callable[[int], torch.Tensor]:
    return training(SimpleNamespace(images=torch.from_numpy(IMAGES), labels=torch.from_numpy(LABELS)), name)


def plain(name: str, steps: int) -> Seconds:
    """The same steps without handles: `plain`."""
    run = _training_here(name)
    told: list[Seconds] = []
    measure(lambda: run(steps), NullMode, lambda **values: told.append(values))
    return {"plain": least(told[1:])["total"]}


def pytorch(name: str, steps: int) -> Seconds:
    """What PyTorch itself takes to lead a step's operators to a mode: all but the inside of the mode."""
    run = _training_here(name)
    # The first steps make the optimizer's state, which later ones do not.
    run(3)
    told: list[Seconds] = []
    with Recall() as mode:
        run(1)
        mode.learned()
        measure(lambda: run(steps), Recall, lambda **values: told.append(values))
    found = least(told[1:])
    # Without kernels, the time outside of the mode is PyTorch's own way to it.
    return {"pytorch": found["total"] - found["inside"]}


def in_child(part: str, name: str, steps: int) -> Seconds:
    """The figures of a part in a fresh process, with the environment that the executor has."""
    command = [sys.executable, "-m", "scripts.bench.breakdown", part, name, str(steps)]
    environment = os.environ | EXECUTOR | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: Seconds = json.loads(done.stdout)
    return found


# The table.


def rows(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    """Each part with its seconds: a total first, then its parts, then the remainder."""

    def of(title: str, total: str, parts: Mapping[str, float]) -> list[tuple[str, float]]:
        rest = seconds[total] - sum(parts.values())
        return [(f"**{title}**", seconds[total]), *parts.items(), ("left over", rest)]

    return [
        ("**plain PyTorch, one process**", seconds["plain"]),
        *of(
            "submission's process",
            "total",
            {
                "PyTorch: Python, autograd, the way to the mode": seconds["pytorch"],
                "our dispatch": seconds["inside"],
            },
        ),
        *of(
            "host",
            "host",
            {
                "meter: check, charge, count": seconds["meter"] - seconds["trace"],
                "trace": seconds["trace"],
                "receiving frames": seconds["receive"],
                "sending frames": seconds["send"],
            },
        ),
        *of(
            "executor",
            "executor",
            {
                "kernels": seconds["kernels"],
                "checks of what a call did": seconds["checks"],
                "decode, look up, keep": seconds["bookkeeping"],
            },
        ),
    ]


def figures(name: str, steps: int) -> Seconds:
    """All figures of one training step."""
    parts = (in_child(part, name, steps) for part in ("plain", "pytorch"))
    return least([through_handles(name, steps), *parts])


def show(name: str) -> None:
    """Print the table of one training step."""
    # The same number for plain and for handles, so that the parts can be compared with their total.
    steps = min(CONFIGURATIONS[name][-1], _MOST_STEPS)
    seconds = least([figures(name, steps) for _ in range(ROUNDS)])
    operators = seconds["operators"] / steps
    print(f"| {name}: {operators:.0f} operators | µs for each operator | µs for a step |\n|---|---|---|")
    for title, spent in rows(seconds):
        step = spent / steps * 1e6
        print(f"| {title} | {step / operators:.1f} | {step:,.0f} |")
    print(flush=True)


def main() -> None:
    """Print a table for each training step, or one part's figures as JSON."""
    torch.set_num_threads(1)
    match sys.argv[1:]:
        case ["replay", path, _]:
            torch.set_grad_enabled(False)
            print(json.dumps(Replayed().replay(Path(path))))
        case ["plain", name, steps]:
            print(json.dumps(plain(name, int(steps))))
        case ["pytorch", name, steps]:
            print(json.dumps(pytorch(name, int(steps))))
        case names:
            for name in names or CONFIGURATIONS:
                show(name)


if __name__ == "__main__":
    main()
