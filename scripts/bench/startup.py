"""Times what the program does before it does anything, as a ratio to an empty click program.

Usage: python -m scripts.bench.startup [ROUNDS]. Programs take turns, and the medians are compared: a busy
machine slows all of them alike.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

EMPTY = """\
import click

@click.group()
def cli():
    "Does nothing."

cli(prog_name="empty")
"""
PROGRAM = "from haet_eval.cli.main import main; main()"
COMPLETE = {"_HAET_EVAL_COMPLETE": "bash_complete", "COMP_WORDS": "haet-eval\nle", "COMP_CWORD": "1"}


def seconds(command: Sequence[str], variables: Mapping[str, str]) -> float:
    """The wall time of one run."""
    # Wall time, as users wait for it. Start-up also waits for files.
    begin = time.perf_counter()
    subprocess.run(command, env=os.environ | variables, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 41
    with tempfile.TemporaryDirectory() as folder:
        empty, ours = ([sys.executable, str(Path(folder, f"{name}.py"))] for name in ("empty", "haet-eval"))
        Path(empty[1]).write_text(EMPTY, encoding="utf-8")
        # Run by this interpreter, as the empty program is: an installed script could start another one.
        Path(ours[1]).write_text(PROGRAM, encoding="utf-8")
        runs: dict[str, tuple[list[str], Mapping[str, str]]] = {
            "an empty click program, `--help`": ([*empty, "--help"], {}),
            "`haet-eval --help`": ([*ours, "--help"], {}),
            "`haet-eval evaluate --help`": ([*ours, "evaluate", "--help"], {}),
            "a completion": (ours, COMPLETE),
            "`haet-eval leaderboard --help`": ([*ours, "leaderboard", "--help"], {}),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        # The first round reads files from the disk. With many rounds the median does not show it.
        for _ in range(rounds):
            for name, (command, variables) in runs.items():
                times[name].append(seconds(command, variables))
    base = median(next(iter(times.values())))
    print(f"| median of {rounds} | time | ratio |\n|---|---|---|")
    for name, taken in times.items():
        print(f"| {name} | {1000 * median(taken):.0f} ms | {median(taken) / base:.2f} |")


if __name__ == "__main__":
    main()
