"""The contract of an energy meter."""

from typing import Protocol

from haet_eval.record import EnergyKind


class EnergyMeter(Protocol):
    """Counts joules from its opening on.

    Attributes:
        name: `rapl`, `nvml` and so on.
        kind: whether its joules were read from hardware or computed from something else.
        covers: the parts of the machine that it counts, such as `package-0` or `gpu-0`.
        longest_gap_seconds: longest time between two readings after which joules can be trusted.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> EnergyKind: ...
    @property
    def covers(self) -> tuple[str, ...]: ...
    @property
    def longest_gap_seconds(self) -> float: ...

    def joules(self) -> float:
        """Energy consumed since the meter was opened.

        Raises:
            EnvironmentProblem: the counter can no longer be read.
        """
        ...

    def close(self) -> None:
        """Release everything that the meter holds."""
        ...
