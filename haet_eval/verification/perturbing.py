"""The perturbed replay: does a training still work if each result has noise, as after rounding to 8 bits?

Honest training works. Numbers that were packed into one float do not survive: the low one drowns in the
noise. Calls that hardly add to the count are spared: packs in them win nothing, and honest ones can be
sensitive, such as the decomposition of a covariance, whose small eigenvalues noise would make negative.
Thresholds and figures: docs/decisions/0113-the-perturbed-replay.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from haet_eval.competition import Budgets
from haet_eval.errors import EnvironmentProblem
from haet_eval.operators.standard import nearest, under
from haet_eval.record import Record
from haet_eval.remote.messages import Noise
from haet_eval.remote.recount import recount
from haet_eval.remote.replay import Departure
from haet_eval.remote.trace import BrokenTrace
from haet_eval.scoring import score
from haet_eval.spelling import percent
from haet_eval.verification.check import Check, differs, holds, unchecked
from haet_eval.verification.evidence import Evidence
from haet_eval.verification.replaying import ReplayPlace, perform

SCALE: Final = 2.0**-7
"""Noise of u · 2⁻⁷, u uniform in [-1, 1]; the decision has the figures for other scales."""

MOST_LOST: Final = 0.05
"""Share of the accuracy above chance that an honest training may lose."""

SPARED_PERCENT: Final = 1
"""Of the operations of a training, those of its smallest templates that have no noise."""

SUBJECT: Final = "perturbed replay"
# A fixed seed makes the result repeatable: the same record gets the same line each time.
NOISE: Final = Noise(scale=SCALE, seed=0)


@dataclass(frozen=True, slots=True)
class Perturbed:
    """A perturbed replay.

    `accuracy` is that of the record, `noisy_accuracy` that of the same trace under noise, both as fractions
    by the competition's metric. `noisy_accuracy` is None if the replay did not reach its end. `held` is true
    if it did and lost at most MOST_LOST of the accuracy above chance. `detail` is one sentence, which may
    hold untrusted text.
    """

    accuracy: float
    noisy_accuracy: float | None
    held: bool
    detail: str


class NotReplayable(Exception):
    """A replay is not possible: the text says what is missing."""


def perturbed_replay(
    record: Record, evidence: Evidence, place: ReplayPlace, noise: Noise = NOISE
) -> Perturbed:
    """Replay a record's training under noise, its prediction without, and compare the accuracies.

    Raises:
        NotReplayable: there is no trace, no data or no predictions.
        BrokenTrace: the file is not a trace of a run.
        EnvironmentProblem: the replay cannot be made here.
    """
    trace, data = evidence.files.get("trace"), evidence.dataset
    if record.trace is None or record.training is None or record.evaluation is None:
        raise NotReplayable("the record has no trace with predictions")
    if trace is None or data is None:
        raise NotReplayable("needs the trace and the data set")
    task = evidence.task(record)
    # The budgets bound the executor's memory and time. Without the rules the default ones must do.
    budgets = task.budgets if task else Budgets()
    accuracy, metric = record.evaluation.accuracy, record.evaluation.metric
    # The prices of the record: others could spare other calls than those that hardly added to its count.
    with under(nearest(record.training.operations.standard)):
        counted = recount(trace)
    sparing = noise.model_copy(update={"spared": spared(counted.operations_by_template)})
    # Differences of the machine do not matter here: noise is much larger than rounding.
    found, _ = perform(record.environment, place, budgets, trace, data, sparing)
    # If an early end were excused, a training could avoid this evidence by failing under noise.
    if isinstance(found, Departure):
        return Perturbed(accuracy, None, False, f"with noise the replay ended early: {found}")
    noisy = score(found.labels, data.test_labels, metric).accuracy
    return Perturbed(accuracy, noisy, *_judged(accuracy, noisy, 1 / data.num_classes))


def spared(operations: Sequence[int]) -> tuple[int, ...]:
    """The templates, by number, that get no noise: those with the least operations, up to SPARED_PERCENT.

    Templates without a price get noise: a number that is only read or moved may be a pack as well.
    """
    left = sum(operations) * SPARED_PERCENT // 100
    chosen = []
    # The smallest first, and all of them together stay below the limit. So work that is cut into many small
    # templates does not escape the noise.
    for count, number in sorted((count, number) for number, count in enumerate(operations) if count):
        left -= count
        if left < 0:
            break
        chosen.append(number)
    return tuple(sorted(chosen))


def check_perturbed(record: Record, evidence: Evidence, place: ReplayPlace) -> Iterator[Check]:
    """The perturbed replay as a line of a verification."""
    try:
        found = perturbed_replay(record, evidence, place)
    except NotReplayable as reason:
        yield unchecked(SUBJECT, str(reason))
    except EnvironmentProblem as problem:
        yield unchecked(SUBJECT, problem.with_hint)
    except BrokenTrace as fault:
        yield differs(SUBJECT, str(fault))
    else:
        yield (holds if found.held else differs)(SUBJECT, found.detail)


def _judged(accuracy: float, noisy: float, chance: float) -> tuple[bool, str]:
    """Whether an honest training may have this loss, and the figures in words."""
    # A training that is not better than chance has nothing to lose, and the quotient would be meaningless.
    lost = (accuracy - noisy) / (accuracy - chance) if accuracy > chance else 0.0
    figures = (
        f"accuracy {percent(accuracy)}, with noise {percent(noisy)}: {percent(max(lost, 0.0), 1)} of what"
        " is above chance lost"
    )
    return lost <= MOST_LOST, f"{figures} ({percent(MOST_LOST, 0)} may be)"
