"""Measures memory: the executor's peak, plain PyTorch's peak, and the memory of the submission's process.

Usage: python -m scripts.bench.memory. Each training step runs in processes of its own, with one thread.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import torch

from haet_eval.competition import Budgets
from haet_eval.evaluation.pair import open_pair
from haet_eval.remote.messages import Start
from haet_eval.runtimes.environment import EXECUTOR
from haet_eval.runtimes.process import ProcessRuntime
from scripts.bench.compare import IMAGES, LABELS, job
from scripts.bench.steps import CONFIGURATIONS, time_step

# The row without a step shows what the imports alone take.
NOTHING = "no step"
_MIB = 1 << 20
# Private memory leaves out pages that the process shares with others, such as PyTorch's libraries.
_ENTRY = """
import resource
from steps import CONFIGURATIONS, small_cnn, time_step

def private_kib():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))

def train(task):
    at_start = private_kib()
    if {name!r} in CONFIGURATIONS:
        time_step(task, {name!r})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    task.report(peak=peak, private=private_kib(), at_start=at_start)
    return small_cnn()
"""


def plain_peak_bytes(name: str) -> int:
    """Peak resident memory of a process that takes these steps without handles."""
    command = [sys.executable, "-m", "scripts.bench.memory", name]
    environment = os.environ | EXECUTOR | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return int(done.stdout)


def run_here(name: str) -> int:
    """Take the steps in this process; returns its peak in bytes."""
    torch.set_num_threads(1)
    if name in CONFIGURATIONS:
        time_step(SimpleNamespace(images=torch.from_numpy(IMAGES), labels=torch.from_numpy(LABELS)), name)
    # Linux gives kibibytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def through_handles(name: str) -> tuple[int, dict[str, int]]:
    """Peak of the executor, and what the submission's process reports of itself, in bytes."""
    told: dict[str, int] = {}

    def report(values: Mapping[str, int | float | str]) -> None:
        told.update({key: int(value) * 1024 for key, value in values.items()})

    steps = Path(__file__).with_name("steps.py").read_text(encoding="utf-8")
    files = {"steps.py": steps, "entry.py": _ENTRY.format(name=name)}
    with open_pair(ProcessRuntime(), Budgets(cpus=1), {}) as run:
        run.relay.use(run.watch.look, report)
        run.relay.start(Start(device="cpu", threads=1), [IMAGES, LABELS])
        run.watch.begin("train", 600)
        tensors = run.relay.train(job(files, "entry"))
        run.meter.seal(tensors)
        return run.relay.seal(tensors).peak_memory_bytes, told


def main(names: Sequence[str]) -> None:
    """Print a table in mebibytes. A ratio is that of the peaks; the first row is without any step."""
    print("| training step | plain | executor | ratio | submission: peak | private | of it before training |")
    print("|---|---|---|---|---|---|---|")
    # Processes of their own for each row, because a peak never goes down again.
    for name in (NOTHING, *names):
        plain = plain_peak_bytes(name)
        executor, told = through_handles(name)
        sizes = [told[key] // _MIB for key in ("peak", "private", "at_start")]
        ratio = f"{plain // _MIB} MiB | {executor // _MIB} MiB | {executor / plain:.2f}"
        print(f"| {name} | {ratio} | {' | '.join(f'{size} MiB' for size in sizes)} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(run_here(sys.argv[1]))
    else:
        main(tuple(CONFIGURATIONS))
