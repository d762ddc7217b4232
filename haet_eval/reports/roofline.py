"""The roofline of a training: what its operators can reach on a machine of a stated balance, as a picture.

Up to the balance an operator waits for memory: it reaches the share of the machine's arithmetic that its
operations for each byte are of the balance. Above it the operator reaches all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from haet_eval.reports.costs import OperatorTraffic
from haet_eval.reports.text import readable_share
from haet_eval.reports.ticks import log_ticks

_WIDTH, _HEIGHT = 560, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 22, 42
# The list below the picture has so many lines. The other circles show their names on hovering.
_NAMED: Final = 8
_LARGEST: Final = 22.0
_SMALLEST: Final = 2.5
_ROOM: Final = 1.6


@dataclass(frozen=True, slots=True)
class Spot:
    """An operator on the roof; its share of the time is the circle's area. `number` is 0 without a name."""

    number: int
    x: float
    y: float
    radius: float
    text: str


@dataclass(frozen=True, slots=True)
class AxisTick:
    """A place on an axis, and what stands there."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Roofline:
    """The picture in its own coordinates. `roof` are the corners of the line; `idle` is about the rest."""

    balance: str
    roof: tuple[tuple[float, float], ...]
    across: list[AxisTick]
    up: list[AxisTick]
    spots: list[Spot]
    idle: str
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = _HEIGHT - _BOTTOM

    @property
    def named(self) -> list[Spot]:
        """Those that the list below the picture names."""
        return [spot for spot in self.spots if spot.number]


def draw_roofline(traffic: Sequence[OperatorTraffic], balance: float) -> Roofline | None:
    """Draw the operators that compute something; None if no operator does, or the balance is not above 0."""
    computing = [line for line in traffic if line.intensity > 0]
    if not computing or balance <= 0:
        return None
    whole = sum(_time(line, balance) for line in traffic)
    canvas = _Canvas.around([line.intensity for line in computing], balance)
    ordered = sorted(computing, key=lambda line: (-_time(line, balance), line.operator))
    spots = [
        canvas.spot(number if number <= _NAMED else 0, line, _time(line, balance) / whole)
        for number, line in enumerate(ordered, start=1)
    ]
    still = whole - sum(_time(line, balance) for line in computing)
    return Roofline(
        balance=f"{balance:g}",
        roof=tuple((canvas.x(one), canvas.y(one)) for one in (canvas.least, balance, canvas.most)),
        across=[AxisTick(canvas.x(at), label) for at, label in log_ticks(canvas.least, canvas.most).items()],
        up=[AxisTick(canvas.y(share * balance), f"{share:.0%}") for share in canvas.shares()],
        spots=spots,
        idle=f"Operators that compute nothing take {readable_share(still / whole)} of it." if still else "",
    )


def _time(line: OperatorTraffic, balance: float) -> float:
    """What it takes on such a machine if an operation takes 1: arithmetic, or memory if that is slower."""
    moved = line.read + line.written
    return moved * max(line.intensity, balance)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """Both axes are logarithmic: operations for each byte across, the share of the arithmetic up."""

    least: float
    most: float
    balance: float

    @classmethod
    def around(cls, intensities: Sequence[float], balance: float) -> "_Canvas":
        return cls(min(*intensities, balance) / _ROOM, max(*intensities, balance) * _ROOM, balance)

    def x(self, intensity: float) -> float:
        part = math.log(intensity / self.least) / math.log(self.most / self.least)
        return round(_LEFT + part * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, intensity: float) -> float:
        share = min(intensity / self.balance, 1.0)
        part = math.log(share) / math.log(self.least / self.balance)
        return round(_TOP + part * (_HEIGHT - _TOP - _BOTTOM), 1)

    def shares(self) -> list[float]:
        # The first power of ten above the lower edge: a tick below it would lie outside of the picture.
        lowest = math.floor(math.log10(self.least / self.balance)) + 1
        return [10.0**exponent for exponent in range(lowest, 1)]

    def spot(self, number: int, line: OperatorTraffic, share: float) -> Spot:
        bound = "memory" if line.bound_by_memory else "arithmetic"
        text = (
            f"{line.operator}: {line.intensity:.3g} operations for each byte, bound by {bound}, "
            f"{readable_share(share)} of the time"
        )
        # The area is the share, so the radius grows with its root. The least one can still be seen and
        # pointed at.
        radius = round(max(_LARGEST * math.sqrt(share), _SMALLEST), 1)
        return Spot(number, self.x(line.intensity), self.y(line.intensity), radius, text)
