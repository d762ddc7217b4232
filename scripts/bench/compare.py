"""Times training steps plain, under in-process counters and through handles, side by side, as ratios.

Usage: python -m scripts.bench.compare [THREADS] [steps | reading]. `reading` times programs that wait for
values, plain and through handles. The table goes to stdout; docs/benchmarks.md keeps one with the machine
that it was measured on.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from haet_eval import OperationCounter
from haet_eval.competition import Budgets
from haet_eval.evaluation.frame import executor_threads
from haet_eval.evaluation.pair import open_pair
from haet_eval.remote.messages import Job, Start
from haet_eval.runtimes.environment import EXECUTOR
from haet_eval.runtimes.process import ProcessRuntime

ROUNDS = 2
VARIANTS = {
    "steps": ("plain", "null mode", "FlopCounterMode", "OperationCounter", "handles"),
    "reading": ("plain", "handles"),
}
"""What is timed of each suite, which is a module beside this one."""
# Random pixels: no step's time depends on what is in an image.
IMAGES = np.random.default_rng(0).integers(0, 256, (128, 3, 32, 32), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 128)


class NullMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the calls that come to a mode, and nothing else: the least that any counter in Python costs."""

    calls = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def variant(name: str) -> Iterator[None]:
    """The context that one step is timed in."""
    if name == "null mode":
        with NullMode():  # type: ignore[no-untyped-call]
            yield
    elif name == "FlopCounterMode":
        with FlopCounterMode(display=False):
            yield
    elif name == "OperationCounter":
        with OperationCounter():
            yield
    else:
        yield


def suite_of(name: str) -> Any:
    """The module with this suite's configurations."""
    return import_module(f"scripts.bench.{name}")


def time_here(suite: str, name: str, threads: int) -> dict[str, float]:
    """Milliseconds of each configuration in this process."""
    torch.set_num_threads(threads)
    task = SimpleNamespace(images=torch.from_numpy(IMAGES), labels=torch.from_numpy(LABELS))
    found = {}
    programs = suite_of(suite)
    for configuration in programs.CONFIGURATIONS:
        torch.manual_seed(0)
        with variant(name):
            # The mode is entered around the whole timing, as a user's counter is, and not for each step.
            found[configuration] = programs.time_step(task, configuration)
    return found


def time_in_child(suite: str, name: str, threads: int) -> dict[str, float]:
    """The same in a fresh process, with the environment that the executor has."""
    # The executor's allocator settings make steps faster. Without them plain PyTorch would look slower than
    # it is.
    environment = os.environ | EXECUTOR | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "scripts.bench.compare", str(threads), suite, name]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def job(files: dict[str, str], module: str) -> Job:
    """A job on these images whose entry point is `train` of that module."""
    return Job(
        files=files,
        module=module,
        function="train",
        images=IMAGES.shape,
        num_classes=10,
        seed=0,
        device="cpu",
        time_budget_seconds=float(Budgets().wall_seconds),
    )


def time_handles(suite: str, threads: int) -> dict[str, float]:
    """The same through handles, with two local processes."""
    # Programs that read often would end at the usual limits, and their time is of interest here.
    budgets = Budgets(cpus=threads, readback_bytes=1 << 40, timed_answers=1 << 40)
    found: dict[str, float] = {}

    def report(values: Mapping[str, int | float | str]) -> None:
        found[str(values["name"])] = float(values["milliseconds"])

    source = Path(__file__).with_name(f"{suite}.py").read_text(encoding="utf-8")
    with open_pair(ProcessRuntime(), budgets, {}) as run:
        run.relay.use(run.watch.look, report)
        run.relay.start(Start(device="cpu", threads=executor_threads(budgets)), [IMAGES, LABELS])
        run.watch.begin("train", budgets.wall_seconds)
        run.relay.train(job({f"{suite}.py": source}, suite))
    return found


def compare(suite: str, threads: int) -> None:
    """Run every variant ROUNDS times in turn and print the best of each, and its ratio to plain."""
    variants = VARIANTS[suite]
    best: dict[str, dict[str, float]] = {name: {} for name in variants}
    for _ in range(ROUNDS):
        # Each round runs all variants, so that a slow minute of the machine does not hit one of them only.
        for name in variants:
            through = name == "handles"
            found = time_handles(suite, threads) if through else time_in_child(suite, name, threads)
            for configuration, milliseconds in found.items():
                known = best[name].get(configuration, milliseconds)
                best[name][configuration] = min(known, milliseconds)
    print(f"| training step | {' | '.join(variants)} |")
    print("|---" * (len(variants) + 1) + "|")
    for configuration, plain in best["plain"].items():
        ratios = (f"{best[name][configuration] / plain:.2f}" for name in variants[1:])
        print(f"| {configuration} | {_shown(plain)} | {' | '.join(ratios)} |")


def _shown(milliseconds: float) -> str:
    return f"{milliseconds:.1f} ms" if milliseconds >= 0.1 else f"{milliseconds * 1e3:.1f} µs"


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else (os.cpu_count() or 1)
    asked = sys.argv[2] if len(sys.argv) > 2 else "steps"
    if len(sys.argv) > 3:
        print(json.dumps(time_here(asked, sys.argv[3], chosen)))
    else:
        compare(asked, chosen)
