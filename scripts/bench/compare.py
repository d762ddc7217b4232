"""Times a training step plain, under in-process counters and through handles, side by side, as ratios.

Usage: python -m scripts.bench.compare [THREADS]. The table goes to stdout; docs/benchmarks.md keeps one
with the machine that it was measured on.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
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
from scripts.bench.steps import CONFIGURATIONS, time_step

ROUNDS = 2
VARIANTS = ("plain", "null mode", "FlopCounterMode", "OperationCounter", "handles")
IMAGES = np.random.default_rng(0).integers(0, 256, (128, 3, 32, 32), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 128)


class NullMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Does nothing but being there: the least that any counter in Python costs."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
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


def time_here(name: str, threads: int) -> dict[str, float]:
    """Milliseconds of each configuration in this process."""
    torch.set_num_threads(threads)
    task = SimpleNamespace(images=torch.from_numpy(IMAGES), labels=torch.from_numpy(LABELS))
    found = {}
    for configuration in CONFIGURATIONS:
        torch.manual_seed(0)
        with variant(name):
            found[configuration] = time_step(task, configuration)
    return found


def time_in_child(name: str, threads: int) -> dict[str, float]:
    """The same in a fresh process, with the environment that the executor has."""
    environment = os.environ | EXECUTOR | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "scripts.bench.compare", str(threads), name]
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


def time_handles(threads: int) -> dict[str, float]:
    """The same through handles, with two local processes."""
    budgets = Budgets(cpus=threads)
    found: dict[str, float] = {}

    def report(values: Mapping[str, str]) -> None:
        found[values["name"]] = float(values["milliseconds"])

    source = Path(__file__).with_name("steps.py").read_text(encoding="utf-8")
    with open_pair(ProcessRuntime(), budgets, {}) as run:
        run.relay.use(run.watch.look, report)
        run.relay.start(Start(device="cpu", threads=executor_threads(budgets)), [IMAGES, LABELS])
        run.watch.begin("train", budgets.wall_seconds)
        run.relay.train(job({"steps.py": source}, "steps"))
    return found


def compare(threads: int) -> None:
    """Run every variant ROUNDS times in turn and print the best of each, and its ratio to plain."""
    best: dict[str, dict[str, float]] = {name: {} for name in VARIANTS}
    for _ in range(ROUNDS):
        for name in VARIANTS:
            found = time_handles(threads) if name == "handles" else time_in_child(name, threads)
            for configuration, milliseconds in found.items():
                known = best[name].get(configuration, milliseconds)
                best[name][configuration] = min(known, milliseconds)
    print(f"| training step | {' | '.join(VARIANTS)} |")
    print("|---" * (len(VARIANTS) + 1) + "|")
    for configuration in CONFIGURATIONS:
        plain = best["plain"][configuration]
        ratios = (f"{best[name][configuration] / plain:.2f}" for name in VARIANTS[1:])
        print(f"| {configuration} | {plain:.1f} ms | {' | '.join(ratios)} |")


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else (os.cpu_count() or 1)
    if len(sys.argv) > 2:
        print(json.dumps(time_here(sys.argv[2], chosen)))
    else:
        compare(chosen)
