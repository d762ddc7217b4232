"""Which meters measure a run."""

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from haet_eval.energy.estimate import CpuTimeMeter
from haet_eval.energy.interface import EnergyMeter
from haet_eval.energy.nvml import NvmlMeter
from haet_eval.energy.rapl import POWERCAP, RaplMeter
from haet_eval.errors import EnvironmentProblem, UsageProblem

Choice: TypeAlias = Literal["auto", "rapl", "nvml", "estimate", "none"]


class Meters(NamedTuple):
    """Opened meters; without any, `missing` says why."""

    opened: tuple[EnergyMeter, ...]
    missing: str = ""


def open_meters(
    choice: Choice, device: str, cpu_watts: float | None = None, powercap: Path = POWERCAP
) -> Meters:
    """Open the chosen meters.

    `auto` requires meters of everything that a run on the device uses: the processor and, for `cuda`, the
    GPUs. If one of them cannot be measured, it opens no meter, because a part of the energy would pass for
    all of it. The other choices open one meter.

    Args:
        choice: as on the command line.
        device: where the kernels run, `cpu` or `cuda`.
        cpu_watts: thermal design power of the processor, which `estimate` needs.
        powercap: folder of the kernel's energy counters.

    Raises:
        EnvironmentProblem: the chosen meter cannot be used here.
        UsageProblem: `estimate` without `cpu_watts`.
    """
    match choice:
        case "none":
            return Meters((), "--energy none: energy was not measured")
        case "rapl":
            return Meters((RaplMeter(powercap),))
        case "nvml":
            return Meters((NvmlMeter(),))
        case "estimate":
            return Meters((_estimate(cpu_watts),))
        case "auto":
            return _everything(device, powercap)


def _estimate(cpu_watts: float | None) -> EnergyMeter:
    if cpu_watts is None:
        raise UsageProblem(
            "an estimate of energy needs the processor's thermal design power",
            "Look it up and give it in watts, such as --cpu-watts 65.",
            code="energy-watts",
        )
    return CpuTimeMeter(cpu_watts)


def _everything(device: str, powercap: Path) -> Meters:
    opened: list[EnergyMeter] = []
    try:
        opened.append(RaplMeter(powercap))
        if device == "cuda":
            opened.append(NvmlMeter())
    except EnvironmentProblem as problem:
        # The meters that did open hold a library of the driver.
        for meter in opened:
            meter.close()
        return Meters((), str(problem))
    return Meters(tuple(opened))
