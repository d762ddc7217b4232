"""Other work on the machine: a measurement of energy includes the energy of every program."""

import os
import time

import psutil

from haet_eval.record import Quietness


def watch_machine(seconds: float, other_containers: int | None) -> Quietness:
    """Look at the machine for that long, before the run.

    Args:
        seconds: how long to look.
        other_containers: running containers that are not ours; None if no engine was asked.
    """
    psutil.cpu_percent()  # the first call only starts the interval
    time.sleep(seconds)
    return Quietness(
        load_average=os.getloadavg()[0],
        busy=psutil.cpu_percent() / 100,
        other_containers=other_containers,
    )
