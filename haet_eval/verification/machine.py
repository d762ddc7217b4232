"""Compares results of two runs, and names the differences of the machines that may change the last bits."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from haet_eval.record import Artifact
from haet_eval.verification.check import Check, differs, holds, unchecked
from haet_eval.verification.labels import read_labels
from haet_eval.verification.weights import StoredWeights, read_weights, relative_distance

TOLERANCE: Final = 1e-3
"""Relative distance of weights that another machine may explain; on the same machine all bits are equal."""

_DEVIATIONS: Final = 4
"""Standard deviations of a fair coin, thrown for each label that is right on one side only: 1 in 30,000."""

# The names come from an untrusted record, and several of them share one line.
_SHOWN_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class Machine:
    """The properties of a machine that change the last bits of a result. `image` is None outside Docker."""

    device: str
    accelerator: str | None
    torch: str | None
    processor: str
    threads: int | None
    image: str | None

    def unlike(self, other: "Machine") -> list[str]:
        """The differences between this machine and the other, such as `torch 2.11 instead of 2.12`."""
        names = ("device", "accelerator", "torch", "processor", "threads", "image")
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [
            f"{name} {_shown(here)} instead of {_shown(there)}"
            for name, here, there in pairs
            if here != there
        ]


def _shown(value: object) -> str:
    return "none" if value is None else str(value)[:_SHOWN_CHARACTERS]


def note(other: Sequence[str]) -> str:
    """The differences, as the end of a line."""
    return f" (here: {', '.join(other)})" if other else ""


def compare_weights(stated: Artifact, stored: bytes | None, found: bytes, other: Sequence[str]) -> Check:
    """Bit for bit on a machine like the record's, else within TOLERANCE.

    Args:
        stated: the weights that the record names.
        stored: the content of their file; None if the file is not available.
        found: the weights of the new run.
        other: the differences of this machine.
    """
    subject = "weights again"
    # Equal digests hold on any machine, and also if the stored file is missing.
    if hashlib.sha256(found).hexdigest() == stated.sha256:
        return holds(subject, f"bit for bit the same{note(other)}")
    try:
        ours = None if stored is None else read_weights(stored)
    except ValueError as error:
        return differs(subject, f"the stored ones are {error}")
    distance, apart = _apart(ours, found)
    # On an equal machine every kernel gives the same bits, so any distance is a difference (decision 0060).
    if not other:
        return differs(subject, f"{apart}, on an equal machine")
    if distance is not None and distance <= TOLERANCE:
        return holds(subject, f"{apart}, within {TOLERANCE:.0e}{note(other)}")
    # Training amplifies rounding: no distance proves that the weights are made up.
    return unchecked(subject, f"{apart}, which may be the machine's doing{note(other)}")


def _apart(ours: StoredWeights | None, found: bytes) -> tuple[float | None, str]:
    """The distance of the stored weights from the new run's, if there is one, and its words."""
    try:
        theirs = read_weights(found)
    except ValueError as error:
        return None, f"those of this run are {error}"
    distance = None if ours is None else relative_distance(ours, theirs)
    return distance, "other ones" if distance is None else f"{distance:.1e} of their norm apart"


def compare_labels(
    stored: bytes, found: npt.NDArray[np.int64], truth: npt.NDArray[np.int64], other: Sequence[str]
) -> Check:
    """Label for label on a machine like the record's; on another one, rounding may change a few.

    Rounding favours nobody: of the labels that it changes, about as many become wrong as become right. If the
    record's labels are right much more often than those of the replay, rounding does not explain that,
    whatever the record says of its machine.

    Args:
        stored: the predictions that the record names, one label in each line.
        found: the predictions of the replay, [N].
        truth: the labels of the test images, [N].
        other: the differences of this machine.
    """
    subject = "predictions again"
    try:
        claimed = read_labels(stored)
    except ValueError:
        return differs(subject, "the stored ones are not labels")
    if len(claimed) != len(found):
        return differs(subject, f"the trace predicts {len(found):,} images, the record {len(claimed):,}")
    apart = np.flatnonzero(claimed != found)
    if not apart.size:
        return holds(subject, f"each of {len(found):,} labels the same{note(other)}")
    first = apart[0]
    detail = (
        f"{apart.size:,} of {len(found):,} labels are other ones, the first in line {first + 1:,}:"
        f" {found[first]} instead of {claimed[first]}"
    )
    if not other:
        return differs(subject, f"{detail}, on an equal machine")
    gained = int(np.count_nonzero((claimed == truth) & (found != truth)))
    lost = int(np.count_nonzero((claimed != truth) & (found == truth)))
    # Without this a cheat could name another processor, and every made-up prediction would be excused.
    if gained - lost > _DEVIATIONS * math.sqrt(gained + lost):
        return differs(
            subject, f"{detail}; {gained:,} of them are right in the record only, {lost:,} in the replay only"
        )
    return unchecked(subject, f"{detail}, which may be the machine's doing{note(other)}")
