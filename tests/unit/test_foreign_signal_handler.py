"""A signal that something else than Python handles, in a real process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LISTEN = """
import os, signal
from haet_eval.interruption import listening
with listening(lambda: None):
    os.kill(os.getpid(), signal.SIGHUP)
print("over", signal.getsignal(signal.SIGHUP))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
def test_a_handler_that_python_did_not_set_stays(tmp_path: Path) -> None:
    source, library = Path(__file__).parents[1] / "fixtures" / "foreign_handler.c", tmp_path / "handler.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    command = [sys.executable, "-c", LISTEN]
    settings = os.environ | {"LD_PRELOAD": str(library)}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\nover None\n"), done.stderr
