"""Checks that the parts of an energy add up. The reading of a meter is a statement of whoever ran it."""

import math
from collections.abc import Iterator
from typing import Final

from haet_eval.competition import Competition
from haet_eval.record import PHASE_OF_RANKING, Energy, Record
from haet_eval.verification.check import Check, fits

_KIND_OF_METER: Final = {"rapl": "measured", "nvml": "measured", "cpu-time": "estimated"}
_SLACK_SECONDS: Final = 1.0
"""Allowed difference: the clocks of a phase and of its training are read one after the other."""


def check_energy(record: Record, rules: Competition | None) -> Iterator[Check]:
    """Whether joules, phases, meters and iterations follow from each other and from the rules."""
    energy = record.energy
    if energy is None and record.native is None:
        return
    detail = "joules and phases add up; what the meters showed is whoever ran it to say"
    if energy is None:
        # A native run without energy is right, unless its figure of the leaderboard would be missing.
        faults = ["the rules rank by energy, and the record has no energy"] if _is_ranked(record) else []
        if faults:
            yield fits("energy", faults, detail)
        return
    faults = [*_meter_faults(energy), *_phase_faults(record, energy), *_joule_faults(record, energy, rules)]
    yield fits("energy", faults, detail)


def _is_ranked(record: Record) -> bool:
    return record.competition is not None and record.competition.ranking in PHASE_OF_RANKING


def _meter_faults(energy: Energy) -> Iterator[str]:
    meters = energy.meter.split("+") if energy.meter != "none" else []
    if unknown := [name for name in meters if name not in _KIND_OF_METER]:
        yield f"there is no meter {', '.join(unknown)}"
        return
    kinds = {_KIND_OF_METER[name] for name in meters}
    # The weakest meter decides: a sum with an estimate in it is an estimate.
    kind = "estimated" if "estimated" in kinds else "measured" if kinds else "unavailable"
    if energy.kind != kind:
        yield f"the meter {energy.meter} gives energy that is {kind}, not {energy.kind}"
    if bool(meters) != bool(energy.covers) or bool(meters) != (energy.idle_watts is not None):
        yield "what the meters cover, and the idle machine, are known with a meter, and only then"
    if bool(meters) == bool(energy.note):
        yield "a note says why nothing was measured, and only then"


def _phase_faults(record: Record, energy: Energy) -> Iterator[str]:
    names = [phase.phase for phase in energy.phases]
    if energy.kind != "unavailable":
        # A run that failed in its training may have no phase yet.
        ended = ["train", "predict"] if record.evaluation else ["train"]
        if names not in ([], ["train"], ended) or (record.evaluation and names != ended):
            yield f"its phases are {', '.join(names) or 'none'}, which no run of this stage has"
    for phase in energy.phases:
        idle = None if energy.idle_watts is None else energy.idle_watts * phase.seconds
        # Floats may differ in the last bit after a way through JSON; None must be equal.
        if phase.idle_joules != idle and not (
            idle is not None and phase.idle_joules is not None and math.isclose(phase.idle_joules, idle)
        ):
            yield f"the idle joules of {phase.phase} are not idle watts times seconds"
        took = record.native.wall_seconds if record.native else 0
        # A measurement of a part of the training would show too few joules.
        if phase.phase == "train" and phase.seconds + _SLACK_SECONDS < took:
            yield "the energy of the training was measured for less time than it took"


def _joule_faults(record: Record, energy: Energy, rules: Competition | None) -> Iterator[str]:
    ranking = record.competition.ranking if record.competition else "complexity"
    # Under other rankings the energy is shown, and it is that of the training.
    ranked = PHASE_OF_RANKING.get(ranking, "train")
    if ranked == "train" and energy.iterations != 1:
        yield "a training is made once, and its energy is of more iterations"
    # Joules are divided by the iterations below, so a wrong number of these would forge the figure.
    if ranked == "predict" and rules is not None and energy.iterations != rules.inference_iterations:
        yield f"the rules ask for {rules.inference_iterations} iterations, not {energy.iterations}"
    parts = [phase.joules for phase in energy.phases if phase.phase == ranked]
    if (energy.joules is None) != (not parts):
        yield f"there are joules of the phase {ranked} exactly if it was reached"
    elif energy.joules is not None and not math.isclose(energy.joules, sum(parts) / energy.iterations):
        yield f"its joules are not those of the phase {ranked}"
