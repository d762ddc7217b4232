"""Bytes that a fuzzer grows by the code that they reach get typed rejections and nothing else.

HAET_FUZZ_RUNS makes it longer, HAET_FUZZ_SEED makes it another.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("HAET_FUZZ_RUNS", "10000"))
SEED = os.environ.get("HAET_FUZZ_SEED", "1")


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info >= (3, 14), reason="atheris is not made for this Python"
)
@pytest.mark.slow
@pytest.mark.parametrize("target", ["archive", "wire"])
def test_bytes_that_reach_more_code_get_typed_rejections(target: str, tmp_path: Path) -> None:
    options = (
        f"-runs={RUNS}",
        f"-seed={SEED}",
        f"-artifact_prefix={tmp_path}/",
        "-timeout=30",
        "-rss_limit_mb=2048",
    )
    fuzzer = [sys.executable, "-m", "tests.attacks.coverage_fuzzer", target, str(tmp_path / "corpus")]
    # The kernel lets a new program inherit the peak memory of the process that starts it, and libFuzzer takes
    # it for its own. This process may have run large tests, so a shell is between the two.
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", *fuzzer, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert f"Done {RUNS} runs" in done.stderr
    reached = [int(number) for number in re.findall(r"cov: (\d+)", done.stderr)]
    assert reached[-1] > reached[0] > 50
