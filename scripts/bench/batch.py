"""How a batch scales: throughput, memory of the host's processes, and the time to plan and list all records.

Usage: python -m scripts.bench.batch [SUBMISSIONS [JOBS]]

SUBMISSIONS tiny submissions (1,000) are judged in local processes, JOBS at a time (as many as cores), after
twenty of them one at a time on a single core: a run is several processes, and alone it would use more. Prints
a Markdown table. `scripts.bench.store` times larger folders.
"""

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from haet_eval.batch.ledger import Ledger
from haet_eval.batch.plan import Options, make_plan
from haet_eval.batch.sources import find_sources
from haet_eval.ranking import rank
from haet_eval.store import Store

# Enough for an average: all of them one at a time would take much longer than the batch.
_ALONE = 20
_MANIFEST = """[submission]
name = "Tiny {number}"
team = "bench"
task = "digits"
description = "One step."
"""
# A number in the code: equal submissions would be judged once only.
_CODE = """import torch
from torch import nn

# {number}
def train(task):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3072, task.num_classes))
    return nn.Sequential(Scale(), model)


class Scale(nn.Module):
    def forward(self, images):
        return images.float() / 255
"""


def main() -> None:
    submissions = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    jobs = int(sys.argv[2]) if len(sys.argv) > 2 else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_submissions(folder / "entries", submissions)
        # Numbers of their own, so that no record of one batch is done in the other.
        write_submissions(folder / "alone", _ALONE, first=10**6)
        alone, _ = run_batch(folder / "alone", folder / "results-alone", jobs=1, cores=1)
        seconds, memory = run_batch(folder / "entries", folder / "results", jobs, cores=os.cpu_count() or 1)
        store = Store(folder / "results")
        row("submissions, at a time", f"{submissions:,}, {jobs}")
        row("one at a time, on one core", alone.each(_ALONE))
        row("in parallel", seconds.each(submissions))
        ideal = alone.wall_seconds / _ALONE / (os.cpu_count() or 1)
        row(
            "throughput against cores / time of one",
            f"{100 * ideal * submissions / seconds.wall_seconds:.0f} %",
        )
        row("host memory, tenth and last tenth of the batch", f"{memory[0] >> 20} and {memory[1] >> 20} MiB")
        at_size(store, folder / "entries", submissions)


class Spent:
    """Wall time, and the time of processors that all processes took."""

    def __init__(self, wall_seconds: float, cpu_seconds: float) -> None:
        self.wall_seconds, self.cpu_seconds = wall_seconds, cpu_seconds

    def each(self, runs: int) -> str:
        """For one of so many runs."""
        return f"{self.wall_seconds / runs:.2f} s each, {self.cpu_seconds / runs:.2f} s of processors"


def write_submissions(folder: Path, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        path = folder / f"{number:07}"
        path.mkdir(parents=True)
        (path / "haet.toml").write_text(_MANIFEST.format(number=number), encoding="utf-8")
        (path / "submission.py").write_text(_CODE.format(number=number), encoding="utf-8")


def run_batch(entries: Path, results: Path, jobs: int, cores: int) -> tuple[Spent, tuple[int, int]]:
    """Run it as a user does; time, and the host's memory early and late."""
    command = [sys.executable, "-m", "haet_eval.cli.main", "batch", str(entries), "--results", str(results)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(
        [*command, "--sandbox", "process", "--jobs", str(jobs), "--json"],
        stdout=subprocess.DEVNULL,
    ) as batch:
        # Before the batch starts any process, because they inherit it.
        psutil.Process(batch.pid).cpu_affinity(list(range(cores)))
        samples: list[int] = []
        watcher = threading.Thread(target=sample, args=(batch, samples))
        watcher.start()
        batch.wait()
        watcher.join()
    if batch.returncode:
        raise subprocess.CalledProcessError(batch.returncode, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    tenth = max(1, len(samples) // 10)
    # The first tenth is left out: processes still start in it. The last one is left out, because they end in
    # it.
    early, late = samples[tenth : 2 * tenth] or samples, samples[-2 * tenth : -tenth] or samples
    return Spent(time.monotonic() - started, cpu), (max(early), max(late))


def sample(batch: "subprocess.Popen[bytes]", samples: list[int]) -> None:
    """Resident memory of the batch and of the processes that judge, without the two workers of each run."""
    while batch.poll() is None:
        total = 0
        try:
            process = psutil.Process(batch.pid)
            # Not recursive: workers of runs are children of these.
            for one in [process, *process.children()]:
                total += one.memory_info().rss
        # A process may end between the list and the look at it.
        except psutil.Error:
            continue
        samples.append(total)
        time.sleep(1)


def at_size(store: Store, entries: Path, submissions: int) -> None:
    """What is done again and again, with as many records as there are now."""
    found = store.listing().entries
    size = f"with {len(found):,} records"
    row(f"listing, {size}", f"{1000 * best(store.listing):.0f} ms")
    row(f"ranking, {size}", f"{1000 * best(lambda: rank(found, unofficial=True)):.0f} ms")
    command = [sys.executable, "-m", "haet_eval.cli.main", "leaderboard", str(store.directory), "--all"]
    row(
        f"leaderboard, {size}",
        f"{best(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True)):.2f} s",
    )
    sources = find_sources([entries]).sources
    planning = best(lambda: make_plan(sources, Options(sandbox="process"), Ledger(store)), 1)
    row(f"plan of {submissions:,} done ones, {size}", f"{planning:.2f} s")


def best(function: Callable[[], object], times: int = 3) -> float:
    """Seconds of the quickest of a few calls, after one that fills caches."""
    function()
    taken = []
    for _ in range(times):
        started = time.monotonic()
        function()
        taken.append(time.monotonic() - started)
    return min(taken)


def row(name: str, value: str) -> None:
    print(f"| {name} | {value} |", flush=True)


if __name__ == "__main__":
    main()
