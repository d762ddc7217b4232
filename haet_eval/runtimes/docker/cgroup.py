"""The kernel's figures for a container, read from its control group while it lives (versions 1 and 2)."""

from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The files of one container's control group; None for each that this machine does not show."""

    peak_memory: Path | None
    process_events: Path | None
    processor: Path | None
    freezer: Path | None = None

    @classmethod
    def of(cls, pid: int) -> "ControlGroup":
        """The group of a process, by its number on this machine."""
        try:
            lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
        except OSError:
            return cls(None, None, None)
        paths: dict[str, str] = {}
        for line in lines:
            _, controllers, path = line.split(":", 2)
            paths |= dict.fromkeys(controllers.split(","), path.lstrip("/"))
        if "memory" in paths:  # version 1: one tree for each controller
            memory = _MOUNT / "memory" / paths["memory"] / "memory.max_usage_in_bytes"
            events = _MOUNT / "pids" / paths.get("pids", "") / "pids.events"
            processor = _MOUNT / "cpuacct" / paths.get("cpuacct", "") / "cpuacct.usage"
            freezer = _MOUNT / "freezer" / paths.get("freezer", "") / "freezer.state"
            return cls(memory, events, processor, freezer)
        # Version 2 has a single line `0::PATH`, whose list of controllers is empty.
        group = _MOUNT / paths.get("", "")
        return cls(group / "memory.peak", group / "pids.events", group / "cpu.stat", group / "cgroup.events")

    def peak_memory_bytes(self) -> int | None:
        """The peak memory of the container."""
        text = _read(self.peak_memory)
        return int(text) if text.strip().isdigit() else None

    def cpu_seconds(self) -> float | None:
        """Processor time of all processes of the container, past and present; None if it cannot be read."""
        text = _read(self.processor).strip()
        if text.isdigit():  # version 1, in nanoseconds
            return int(text) / 1e9
        return _counter(text, "usage_usec") / 1e6 if text else None

    def is_frozen(self) -> bool:
        """Whether the processes are stopped, by the engine or by a system that suspends jobs."""
        text = _read(self.freezer).strip()
        return text in ("FROZEN", "FREEZING") or _counter(text, "frozen") > 0

    def refused_processes(self) -> int:
        """How often a process or thread was refused to the container."""
        return _counter(_read(self.process_events), "max")


def machine_oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory, since it started.

    It has no count of those for the machine's memory alone. So a container that exceeds its own limit counts
    here as well.
    """
    return _counter(_read(_VMSTAT), "oom_kill")


def _counter(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return 0


def _read(path: Path | None) -> str:
    """The file's text; empty if the file does not exist, or no longer exists."""
    try:
        return path.read_text(encoding="ascii") if path else ""
    except OSError:
        return ""
