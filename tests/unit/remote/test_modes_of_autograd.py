"""Grad mode, no_grad and inference_mode make the same calls: no mode takes another path through PyTorch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_FEWEST = 600
"""Samples of operators; PyTorch 2 has more."""


@pytest.mark.slow
def test_each_operator_makes_the_same_calls_in_each_mode() -> None:
    program = [sys.executable, "-W", "ignore", "-m", "tests.unit.remote.modes"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["different"] == {}
    assert found["ran"] > _FEWEST
