"""No call that the validators let through ends a process.

HAET_FUZZ_SECONDS makes it longer, HAET_FUZZ_SEED makes it another.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUARD = Path(__file__).parent / "guard_pages.c"
FUZZER = (sys.executable, "-m", "tests.attacks.operator_fuzzer")
SECONDS = int(os.environ.get("HAET_FUZZ_SECONDS", "15"))
SEED = os.environ.get("HAET_FUZZ_SEED", "0")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One thread, and guard pages around every tensor if there is a compiler."""
    chosen = {**os.environ, "OMP_NUM_THREADS": "1"}
    compiler = shutil.which("cc")
    if compiler is not None and sys.platform == "linux":
        library = tmp_path / "guard_pages.so"
        subprocess.run(
            [compiler, "-O2", "-shared", "-fPIC", "-o", library, GUARD, "-ldl"], check=True, timeout=60
        )
        chosen["LD_PRELOAD"] = str(library)
    return chosen


@pytest.mark.slow
def test_no_accepted_call_ends_the_process(environment: dict[str, str]) -> None:
    calls = "15" if SECONDS < 300 else "400"
    done = subprocess.run(
        [*FUZZER, "--calls", calls, "--seconds", str(SECONDS), "--seed", SEED],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
    )
    assert done.returncode == 0, done.stderr
    *crashes, totals = map(json.loads, done.stdout.splitlines())
    assert crashes == []
    assert totals["succeeded"] > 1000, "the fuzzer has hardly run anything"
    assert totals["refused"] > 100, "the validators have hardly refused anything"


def test_no_accepted_call_without_its_optional_tensors_ends_the_process(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*FUZZER, "--absent"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    *crashes, totals = map(json.loads, done.stdout.splitlines())
    assert crashes == []
    assert totals["succeeded"] > 100
