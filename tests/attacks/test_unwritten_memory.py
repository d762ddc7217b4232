"""No operator shows memory that nothing has written: other contents of new memory change no byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.output_bytes import CONTROL, GAPS

ROOT = Path(__file__).parents[2]
PARTS = 2
MUTATIONS = int(os.environ.get("HAET_FUZZ_MUTATIONS", "1"))
"""How often each recorded call is run with something changed in it."""


@pytest.mark.skipif(sys.platform != "linux", reason="MALLOC_PERTURB_ is of glibc")
@pytest.mark.parametrize("part", range(PARTS))
def test_other_contents_of_new_memory_change_no_byte(part: int) -> None:
    first, second = (_lines(part, perturbation) for perturbation in (0x55, 0xAA))
    control, *first = first
    assert control.startswith(CONTROL)
    assert control != second.pop(0), "the contents of new memory were not changed"
    assert len(first) > 1000
    assert [line for line, other in zip(first, second, strict=True) if line != other] == []
    assert [line for line in first if line.endswith(GAPS)] == []


def _lines(part: int, perturbation: int) -> list[str]:
    command = [sys.executable, "-m", "tests.attacks.output_bytes", *map(str, (part, PARTS, MUTATIONS))]
    environment = {**os.environ, "MALLOC_PERTURB_": str(perturbation)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    # MKL prints its own complaints, from its own buffer: they stand anywhere among the lines.
    return [line for line in done.stdout.splitlines() if line.startswith(("aten.", CONTROL))]
