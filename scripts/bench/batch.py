"""How a batch scales: throughput, memory of the host's processes, and the results folder at size.

Usage: python -m scripts.bench.batch [SUBMISSIONS [JOBS [RECORDS]]]

SUBMISSIONS tiny submissions (1,000) are judged in local processes, JOBS at a time (as many as cores), after
ten of them one at a time; then RECORDS more records (10,000) are put into the folder. Prints a Markdown table.
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
from haet_eval.record import Content, Record, from_json, seal
from haet_eval.store import Store

_ALONE = 10
_MANIFEST = """[submission]
name = "Tiny {number}"
team = "bench"
task = "digits"
description = "One step."
"""
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
    arguments = [int(text) for text in sys.argv[1:]]
    submissions, jobs, records = (arguments + [1000, os.cpu_count() or 1, 10_000][len(arguments) :])[:3]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_submissions(folder / "entries", submissions)
        write_submissions(folder / "alone", _ALONE, first=10**6)
        alone, _ = run_batch(folder / "alone", folder / "results-alone", 1)
        seconds, memory = run_batch(folder / "entries", folder / "results", jobs)
        store = Store(folder / "results")
        row("submissions, at a time", f"{submissions:,}, {jobs}")
        row(
            "one at a time",
            f"{alone.wall_seconds / _ALONE:.2f} s each, {alone.cpu_seconds / _ALONE:.2f} s of processors",
        )
        row(
            "in parallel",
            f"{seconds.wall_seconds / submissions:.2f} s each, {seconds.cpu_seconds / submissions:.2f} s of processors",
        )
        ideal = alone.wall_seconds / _ALONE / jobs
        row(
            "throughput against jobs / time of one",
            f"{100 * ideal * submissions / seconds.wall_seconds:.0f} %",
        )
        row("host memory, tenth and last tenth of the batch", f"{memory[0] >> 20} and {memory[1] >> 20} MiB")
        at_size(store, folder / "entries", submissions)
        multiply(store, records)
        at_size(store, folder / "entries", submissions)


class Spent:
    """Wall time, and the time of processors that all processes took."""

    def __init__(self, wall_seconds: float, cpu_seconds: float) -> None:
        self.wall_seconds, self.cpu_seconds = wall_seconds, cpu_seconds


def write_submissions(folder: Path, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        path = folder / f"{number:07}"
        path.mkdir(parents=True)
        (path / "haet.toml").write_text(_MANIFEST.format(number=number), encoding="utf-8")
        (path / "submission.py").write_text(_CODE.format(number=number), encoding="utf-8")


def run_batch(entries: Path, results: Path, jobs: int) -> tuple[Spent, tuple[int, int]]:
    """Run it as a user does; time, and the host's memory early and late."""
    command = [sys.executable, "-m", "haet_eval.cli.main", "batch", str(entries), "--results", str(results)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(
        [*command, "--sandbox", "process", "--jobs", str(jobs), "--json"],
        stdout=subprocess.DEVNULL,
    ) as batch:
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
    early, late = samples[tenth : 2 * tenth] or samples, samples[-2 * tenth : -tenth] or samples
    return Spent(time.monotonic() - started, cpu), (max(early), max(late))


def sample(batch: "subprocess.Popen[bytes]", samples: list[int]) -> None:
    """Resident memory of the batch and of the processes that judge, without the two workers of each run."""
    while batch.poll() is None:
        total = 0
        try:
            process = psutil.Process(batch.pid)
            for one in [process, *process.children()]:
                total += one.memory_info().rss
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


def multiply(store: Store, count: int) -> None:
    """As many records again, of other submissions."""
    record = from_json(next(store.directory.glob("*.json")).read_bytes())
    for number in range(count):
        store.add(varied(record, number))


def varied(record: Record, number: int) -> Record:
    info = record.submission.model_copy(update={"sha256": f"{number:064x}", "name": f"Copy {number}"})
    facts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**facts | {"submission": info}))


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
