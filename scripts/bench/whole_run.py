"""Times a whole training, plain and through handles, in turn, and measures the memory of each process.

Usage: python -m scripts.bench.whole_run SUBMISSION DATA_DIR [--epochs N] [--threads N] [--rounds N]

`--epochs` replaces the submission's own EPOCHS; it may be a fraction of one. Both variants train with the
same seed, threads and environment of the kernels, on all training images. A ratio is that of one round: plain
first, then handles. Prints a Markdown table, with a line for each round as soon as it is over.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from haet_eval.check.preparation import assign, read_submission
from haet_eval.evaluation.frame import job
from haet_eval.evaluation.pair import open_pair
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.remote.messages import Job, Start
from haet_eval.runtimes.environment import EXECUTOR
from haet_eval.runtimes.process import ProcessRuntime

_MIB = 1 << 20
# The sum of all weights is read before the clock stops: calls return before the executor has done them.
_TIMED = '''
"""Trains and reports the seconds until the last result is there, and the peak of the process in bytes."""

import resource
import time

from {module} import {function}


def timed(task):
    began = time.monotonic()
    model = {function}(task)
    sum(weight.sum() for weight in model.parameters()).item()
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    task.report(whole_seconds=repr(seconds), peak_bytes=peak)
    return model
'''


def prepared(arguments: argparse.Namespace) -> tuple[Assignment, Job]:
    """The submission with its data, and a job that times it."""
    request = Request(arguments.submission, arguments.data_dir, Path("results"), sandbox="process")
    submission, rules = read_submission(request)
    assignment, _ = assign(request, submission, rules)
    whole = job(assignment, seed=0)
    files = dict(whole.files)
    if arguments.epochs is not None:
        path = f"{whole.module.replace('.', '/')}.py"
        # The submission stays as it is otherwise. A shorter training has the same steps.
        files[path], found = re.subn(
            r"(?m)^EPOCHS = .*$", f"EPOCHS = {arguments.epochs}", files[path], count=1
        )
        assert found, f"{path} has no line that sets EPOCHS"
    files["timed.py"] = _TIMED.format(module=whole.module, function=whole.function)
    return assignment, whole.model_copy(update={"files": files, "module": "timed", "function": "timed"})


def through_handles(assignment: Assignment, timed: Job, threads: int) -> dict[str, float]:
    """Seconds, and the peaks of submission, executor and host (this process, with the data) in bytes."""
    dataset, told = assignment.dataset, dict[str, int | float | str]()
    budgets = assignment.budgets.model_copy(update={"cpus": threads})

    def report(values: Mapping[str, int | float | str]) -> None:
        told.update(values)

    with open_pair(ProcessRuntime(), budgets, {}) as run:
        run.relay.use(run.watch.look, report)
        # Not more threads than for plain PyTorch, although three processes share the cores.
        start = Start(device="cpu", threads=threads)
        run.relay.start(start, [dataset.train_images, dataset.train_labels])
        run.watch.begin("train", budgets.wall_seconds)
        tensors = run.relay.train(timed)
        # The executor reports its peak with the weights, so the run must come to the seal.
        run.meter.seal(tensors)
        executor = run.relay.seal(tensors).peak_memory_bytes
    host = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": float(told["whole_seconds"]),
        "submission": float(told["peak_bytes"]),
        "executor": float(executor),
        "host": float(host),
    }


def plain(assignment: Assignment, timed: Job, threads: int) -> dict[str, float]:
    """Seconds and the peak in bytes of the same training without handles, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in timed.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        # As files, because the process must hold the images and nothing of this one: its peak is measured.
        np.save(folder / "images.npy", assignment.dataset.train_images)
        np.save(folder / "labels.npy", assignment.dataset.train_labels)
        environment = os.environ | EXECUTOR | {"OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "scripts.bench.whole_run", "--here", name, str(threads)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def train_here(folder: Path, threads: int) -> None:
    """Train on plain tensors in this process, and print the memory that it took as JSON."""
    import random
    from types import SimpleNamespace

    import torch

    torch.set_num_threads(threads)
    # The seeds that the submission's process sets, so that both variants draw the same.
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(0)
    told: dict[str, Any] = {}
    labels = torch.from_numpy(np.load(folder / "labels.npy"))
    task = SimpleNamespace(
        images=torch.from_numpy(np.load(folder / "images.npy")),
        labels=labels,
        num_classes=int(labels.max()) + 1,
        seed=0,
        device=torch.device("cpu"),
        # A plain training has no budget, and a submission may ask for it.
        time_budget_seconds=float("inf"),
        report=lambda **values: told.update(values),
        checkpoint=lambda _: None,
    )
    # The timed entry imports the submission's modules by their own names.
    sys.path.insert(0, str(folder))
    from timed import timed  # type: ignore[import-not-found]

    timed(task)
    print(json.dumps({"seconds": float(told["whole_seconds"]), "peak": told["peak_bytes"]}))


def main() -> None:
    if sys.argv[1:2] == ["--here"]:
        train_here(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submission", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    assignment, timed = prepared(arguments)
    print("| round | plain | handles | ratio | plain, peak | executor | submission | host, with the data |")
    print("|---|---|---|---|---|---|---|---|")
    for number in range(1, arguments.rounds + 1):
        # Both in each round and one after the other: the ratio is that of neighbours in time.
        alone = plain(assignment, timed, arguments.threads)
        handles = through_handles(assignment, timed, arguments.threads)
        peaks = (alone["peak"], handles["executor"], handles["submission"], handles["host"])
        seconds = f"{alone['seconds']:,.1f} s | {handles['seconds']:,.1f} s"
        ratio = f"{handles['seconds'] / alone['seconds']:.3f}"
        memory = " | ".join(f"{peak / _MIB:,.0f} MiB" for peak in peaks)
        print(f"| {number} | {seconds} | {ratio} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
