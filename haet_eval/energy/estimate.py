"""An estimate of the processor's energy, for machines without a counter. It never counts as a measurement."""

import os

import psutil

from haet_eval.record import EnergyKind


class CpuTimeMeter:
    """The processor's thermal design power, for the part of its cores that was busy.

    E = thermal design power · (busy core seconds) / cores: the method of
    https://docs.codecarbon.io/latest/explanation/methodology/. It leaves out idle power, memory and all else.
    """

    name = "cpu-time"
    kind: EnergyKind = "estimated"
    covers = ("cpu",)
    longest_gap_seconds = float("inf")

    def __init__(self, thermal_design_watts: float) -> None:
        # The work of the whole machine is counted, so the power is divided by all cores, not by those of this
        # process.
        self._watts_per_core = thermal_design_watts / (os.cpu_count() or 1)
        self._before = _busy_seconds()

    def joules(self) -> float:
        """Energy since the meter was opened."""
        return (_busy_seconds() - self._before) * self._watts_per_core

    def close(self) -> None:
        """This meter holds nothing to release."""


def _busy_seconds() -> float:
    """Core seconds of the whole machine, without idle and waiting time."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)
