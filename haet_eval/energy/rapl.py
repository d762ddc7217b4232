"""Energy of processors and memory, from the powercap counters of Linux (Intel's and AMD's RAPL).

The layout is that of https://docs.kernel.org/power/powercap/powercap.html: `energy_uj` is a counter in
microjoules, `max_energy_range_uj` the value after which it begins again at zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.record import EnergyKind

POWERCAP: Final = Path("/sys/class/powercap")
_MOST_WATTS: Final = 1_000.0
"""No package draws more. So this bounds how soon a counter can wrap."""


@dataclass
class _Zone:
    """One counter, followed over its wraps."""

    name: str
    path: Path
    range_microjoules: int
    last: int
    total: int = 0

    def advance(self) -> int:
        """Microjoules since the zone was opened."""
        now = _read_number(self.path)
        passed = now - self.last
        # A smaller number means one wrap: the sampler reads often enough that there are never two.
        self.total += passed if passed >= 0 else passed + self.range_microjoules
        self.last = now
        return self.total


class RaplMeter:
    """Sums the packages and their memory. Zones inside a package are part of it and not added again."""

    name = "rapl"
    kind: EnergyKind = "measured"

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._zones = list(_zones(powercap))
        if not self._zones:
            raise EnvironmentProblem(
                f"this machine shows no energy counters: {powercap} has no intel-rapl zones",
                "Virtual machines rarely have them. On the machine itself, load the module intel_rapl_msr.",
                code="energy-no-counters",
            )
        self.covers = tuple(zone.name for zone in self._zones)
        least = min(zone.range_microjoules for zone in self._zones)
        self.longest_gap_seconds = least / 1e6 / _MOST_WATTS

    def joules(self) -> float:
        """Energy consumed since the meter was opened."""
        return sum(zone.advance() for zone in self._zones) / 1e6

    def close(self) -> None:
        """This meter holds nothing to release."""


def _zones(powercap: Path) -> Iterator[_Zone]:
    names = {path: _name(path) for path in sorted(powercap.glob("intel-rapl:*"))}
    wanted = [path for path, name in names.items() if name.startswith(("package", "dram"))]
    # psys counts the whole platform, packages included, so it is used only without them.
    for path in wanted or [path for path, name in names.items() if name == "psys"]:
        package, *inside = path.name.removeprefix("intel-rapl:").split(":")
        name = f"{names[path]}-{package}" if inside else names[path]
        counter = path / "energy_uj"
        yield _Zone(name, counter, _read_number(path / "max_energy_range_uj"), _read_number(counter))


def _name(path: Path) -> str:
    try:
        return (path / "name").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _read_number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except PermissionError as error:
        raise EnvironmentProblem(
            f"the energy counter {path} may be read by root only",
            "Run as root, or allow it: sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj",
            code="energy-permission",
        ) from error
    except (OSError, ValueError) as error:
        raise EnvironmentProblem(
            f"the energy counter {path} cannot be read: {error}",
            "Choose another meter with --energy.",
            code="energy-unreadable",
        ) from error
