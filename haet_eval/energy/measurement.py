"""Measures the energy of a run: the idle machine first, then phase after phase."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from haet_eval.energy.choice import Choice, open_meters
from haet_eval.energy.interface import EnergyMeter
from haet_eval.energy.quiet import watch_machine
from haet_eval.energy.rapl import POWERCAP
from haet_eval.errors import EnvironmentProblem
from haet_eval.progress import Observer
from haet_eval.record import Energy, EnergyKind, EnergyPhase, PhaseEnergy, Quietness

_SAMPLE_SECONDS: Final = 0.25
_BASELINE_SECONDS: Final = 5.0


class _Sampler:
    """Reads the meters so often that no counter wraps unseen."""

    def __init__(self, meters: tuple[EnergyMeter, ...]) -> None:
        self._meters = meters
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._read_at = time.monotonic()
        self._problem: EnvironmentProblem | None = None
        self.samples = 0
        self.longest_gap_seconds = 0.0
        self._thread = threading.Thread(target=self._run, name="energy", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        # The meters close after the last reading, or the thread would read a closed library.
        self._thread.join()
        for meter in self._meters:
            meter.close()

    def joules(self) -> float:
        """Energy since the meters were opened.

        Raises:
            EnvironmentProblem: a counter failed, or was not read for too long.
        """
        # The thread and the phases both read. Two readings at once would add the same difference twice.
        with self._lock:
            if self._problem is not None:
                raise self._problem
            return self._read()

    def _read(self) -> float:
        now = time.monotonic()
        gap, self._read_at = now - self._read_at, now
        self.samples += 1
        self.longest_gap_seconds = max(self.longest_gap_seconds, gap)
        for meter in self._meters:
            if gap > meter.longest_gap_seconds:
                raise EnvironmentProblem(
                    f"the {meter.name} counters were not read for {gap:,.0f} s and may have come round",
                    "Run it again; the machine must not sleep or be stopped while it measures.",
                    code="energy-gap",
                )
        return sum(meter.joules() for meter in self._meters)

    def _run(self) -> None:
        while not self._stopped.wait(_SAMPLE_SECONDS):
            try:
                self.joules()
            except EnvironmentProblem as problem:
                # An error in the thread would be lost; the next phase raises it.
                self._problem = problem
                return


@dataclass
class Measurement:
    """The energy of one run, phase after phase. Made by `measured`."""

    _sampler: _Sampler
    _meters: tuple[EnergyMeter, ...]
    _missing: str
    _idle_watts: float | None
    _quietness: Quietness
    _phases: list[PhaseEnergy] = field(default_factory=list)
    _open: tuple[EnergyPhase, float, float] | None = None

    def begin(self, phase: EnergyPhase) -> None:
        """A phase begins now.

        Raises:
            EnvironmentProblem: a counter failed.
        """
        self._open = (phase, time.monotonic(), self._sampler.joules())

    def end(self) -> None:
        """The phase is over.

        Raises:
            EnvironmentProblem: a counter failed in it.
        """
        assert self._open is not None
        phase, began, joules_before = self._open
        self._open = None
        # A reading of its own, because the last sample may be a quarter of a second old.
        joules, seconds = self._sampler.joules() - joules_before, time.monotonic() - began
        # Without a meter the sum is 0, which is no energy that was measured.
        if self._meters:
            idle = None if self._idle_watts is None else self._idle_watts * seconds
            self._phases.append(PhaseEnergy(phase=phase, joules=joules, seconds=seconds, idle_joules=idle))

    def facts(self, ranked: EnergyPhase, iterations: int = 1) -> Energy:
        """The facts for the record about the phases that ended.

        Args:
            ranked: the phase whose energy is ranked.
            iterations: how often that phase repeated its work; the ranked energy is that of one.
        """
        joules = sum(phase.joules for phase in self._phases if phase.phase == ranked)
        reached = any(phase.phase == ranked for phase in self._phases)
        return Energy(
            kind=_kind(self._meters),
            meter="+".join(meter.name for meter in self._meters) or "none",
            covers=tuple(part for meter in self._meters for part in meter.covers),
            joules=joules / iterations if reached else None,
            iterations=iterations,
            idle_watts=self._idle_watts,
            phases=tuple(self._phases),
            samples=self._sampler.samples,
            longest_gap_seconds=self._sampler.longest_gap_seconds,
            quietness=self._quietness,
            note=self._missing,
        )


def _kind(meters: tuple[EnergyMeter, ...]) -> EnergyKind:
    kinds = {meter.kind for meter in meters}
    return "estimated" if "estimated" in kinds else "measured" if kinds else "unavailable"


@contextmanager
def measured(
    choice: Choice,
    device: str,
    observer: Observer,
    *,
    cpu_watts: float | None = None,
    other_containers: int | None = None,
    baseline_seconds: float = _BASELINE_SECONDS,
    powercap: Path = POWERCAP,
) -> Iterator[Measurement]:
    """Open the meters and watch the idle machine; then measure until the block is left.

    Args:
        choice: which meters, see `open_meters`.
        device: where the kernels run, `cpu` or `cuda`.
        observer: receives a note on the meters, or on the reason for their absence.
        cpu_watts: thermal design power of the processor, which `estimate` needs.
        other_containers: running containers that are not ours; None if no engine was asked.
        baseline_seconds: how long the idle machine is measured.
        powercap: folder of the kernel's energy counters.

    Raises:
        EnvironmentProblem: the chosen meter cannot be used here.
        UsageProblem: `estimate` without `cpu_watts`.
    """
    meters, missing = open_meters(choice, device, cpu_watts, powercap)
    with ExitStack() as stack:
        sampler = _Sampler(meters)
        # Before the idle machine is measured, since counters may wrap in that time as well.
        sampler.start()
        stack.callback(sampler.stop)
        observer.note(_announcement(meters, missing, baseline_seconds))
        began, joules_before = time.monotonic(), sampler.joules()
        quietness = watch_machine(baseline_seconds, other_containers)
        idle_watts = (sampler.joules() - joules_before) / (time.monotonic() - began) if meters else None
        yield Measurement(sampler, meters, missing, idle_watts, quietness)


def _announcement(meters: tuple[EnergyMeter, ...], missing: str, baseline_seconds: float) -> str:
    if not meters:
        return f"Energy will not be in the record: {missing}"
    covers = ", ".join(part for meter in meters for part in meter.covers)
    kind = "Estimating" if _kind(meters) == "estimated" else "Measuring"
    return f"{kind} the energy of {covers}; first {baseline_seconds:g} s of the idle machine"
