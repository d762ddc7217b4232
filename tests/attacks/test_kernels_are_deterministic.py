"""Kernels give the same bytes each time on several threads, so that a replay of an honest run confirms it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_kernels_on_two_threads_give_the_same_bytes_each_time() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.attacks.repeated_kernels"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *differing, count = done.stdout.splitlines()
    assert differing == []
    assert int(count.split()[0]) > 30
