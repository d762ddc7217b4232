"""Energy of NVIDIA's GPUs, through the driver's management library (NVML).

Since Volta the driver counts millijoules (`nvmlDeviceGetTotalEnergyConsumption`). For older GPUs this meter
reads the power and adds it up over time. See https://docs.nvidia.com/deploy/nvml-api/.
"""

import time
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.record import EnergyKind

_POWER_GAP_SECONDS: Final = 2.0
"""If the power is read less often, the readings say too little about the energy between them."""


@dataclass
class _CountedGpu:
    """A GPU whose driver counts energy."""

    nvml: ModuleType
    handle: Any
    last: int
    total: int = 0

    def joules(self) -> float:
        now = self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)
        # This counter has no known range, so a step back is a reset and its energy is lost.
        if now < self.last:
            raise EnvironmentProblem(
                "a GPU's energy counter went back to zero: the driver was loaded again",
                "Run it again, with nothing else on the machine.",
                code="energy-counter-reset",
            )
        self.total += now - self.last
        self.last = now
        return self.total / 1e3


@dataclass
class _SampledGpu:
    """A GPU without an energy counter: the meter reads its power, and interpolates it linearly."""

    nvml: ModuleType
    handle: Any
    watts: float
    at: float
    total: float = 0.0

    def joules(self) -> float:
        watts, now = self.nvml.nvmlDeviceGetPowerUsage(self.handle) / 1e3, time.monotonic()
        self.total += (watts + self.watts) / 2 * (now - self.at)
        self.watts, self.at = watts, now
        return self.total


class NvmlMeter:
    """Sums all GPUs of the machine: during a measured run no other program should use them."""

    name = "nvml"
    kind: EnergyKind = "measured"

    def __init__(self) -> None:
        self._nvml = _initialised()
        try:
            count = self._nvml.nvmlDeviceGetCount()
            self._gpus = [self._open(self._nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
        except self._nvml.NVMLError as error:
            raise self._lost(error) from error
        if not self._gpus:
            raise EnvironmentProblem(
                "NVIDIA's driver sees no GPU", "Check `nvidia-smi`.", code="energy-no-gpu"
            )
        self.covers = tuple(f"gpu-{index}" for index in range(count))
        # A counter of the driver has everything since the last reading; a sampled power has not.
        sampled = any(isinstance(gpu, _SampledGpu) for gpu in self._gpus)
        self.longest_gap_seconds = _POWER_GAP_SECONDS if sampled else float("inf")

    def joules(self) -> float:
        """Energy consumed since the meter was opened."""
        try:
            return sum(gpu.joules() for gpu in self._gpus)
        except self._nvml.NVMLError as error:
            raise self._lost(error) from error

    def close(self) -> None:
        """Shut the library down."""
        self._nvml.nvmlShutdown()

    def _open(self, handle: Any) -> _CountedGpu | _SampledGpu:
        nvml = self._nvml
        try:
            return _CountedGpu(nvml, handle, nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        # GPUs before Volta have no energy counter.
        except nvml.NVMLError_NotSupported:
            return _SampledGpu(nvml, handle, nvml.nvmlDeviceGetPowerUsage(handle) / 1e3, time.monotonic())

    def _lost(self, error: Exception) -> EnvironmentProblem:
        return EnvironmentProblem(
            f"NVIDIA's driver does not tell the energy: {error}", "Check `nvidia-smi`.", code="energy-nvml"
        )


def _initialised() -> ModuleType:
    try:
        import pynvml  # an extra
    except ImportError as error:
        raise EnvironmentProblem(
            "reading a GPU's energy needs nvidia-ml-py",
            "Run `pip install 'haet-eval[energy]'`.",
            code="extra-missing",
        ) from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise EnvironmentProblem(
            f"NVIDIA's management library does not answer: {error}", "Check `nvidia-smi`.", code="energy-nvml"
        ) from error
    module: ModuleType = pynvml
    return module
