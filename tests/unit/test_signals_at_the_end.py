"""A signal while Python frees the modules of a program that has its result, in a real process."""

import signal
import subprocess
import sys

import pytest

END = """
import os, signal, sys
from haet_eval.interruption import leave_quietly
leave_quietly(lambda: os._exit(9))

class Late:
    def __del__(self, kill=os.kill, process=os.getpid(), number={number}):
        kill(process, number)

late = Late()
sys.exit(5)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_end_does_not_change_the_status(number: signal.Signals) -> None:
    done = subprocess.run([sys.executable, "-c", END.format(number=int(number))], check=False)
    assert done.returncode == 5
