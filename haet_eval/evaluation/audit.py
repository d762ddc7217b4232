"""The audits of a result: whether a submission knows labels or images that it must not know.

For the audit by another split, training and test images are pooled and drawn again, and the same submission
is trained again. The new model has seen none of the new test images. So an honest model is as good on former
test images as on former training images. A submission that contains test labels is better on the former; one
that contains weights, learnt from the training images, is better on the latter.

For the audit in disguise, the same submission is trained again on the same images in a disguise (`disguise`).
An honest recipe learns nearly as much from them; weights learnt from the images themselves become useless.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
import numpy.typing as npt

from haet_eval.data.arrays import Arrays
from haet_eval.dataset import Dataset
from haet_eval.errors import Verdict
from haet_eval.evaluation.disguise import disguise
from haet_eval.record import (
    Audit,
    AuditFlag,
    AuditKind,
    Content,
    DatasetInfo,
    Gap,
    Record,
    Run,
    Share,
    seal,
)

GAP_POINTS: Final = 2.0
"""A gap must be larger than this, in percentage points."""

GAP_P: Final = 1e-3
"""And less likely than this to be chance: 2 points among 10,000 images at 94 % have p = 0.0007."""

DISGUISE_POINTS: Final = 8.0
"""The loss of accuracy in disguise that an honest recipe may have, in percentage points."""

COST_RATIO: Final = 1.25
"""The largest ratio of the audit's cost to the audited run's: a run that stops early depends on the data."""


@dataclass(frozen=True, slots=True, eq=False)
class Redrawn:
    """A data set drawn again. `formerly_test` says for each new test image whether it was one before.

    It is None in a disguise, which keeps the split.
    """

    dataset: Dataset
    formerly_test: npt.NDArray[np.bool_] | None


DRAWN: Final[Mapping[AuditKind, str]] = {
    "resplit": "another split of the images",
    "disguise": "the same images in disguise",
}


def draw(kind: AuditKind, data: Dataset, seed: int) -> Redrawn:
    """The data set of an audit of this kind."""
    return redraw(data, seed) if kind == "resplit" else Redrawn(disguise(data, seed), None)


def redraw(data: Dataset, seed: int) -> Redrawn:
    """Another split of the same images: as many of each class in training and test as before.

    Image i of the pool, training images first, comes at the place of the SHA-256 of `haet-eval image {i} of
    split {seed}` among all of these; the first ones of each class become test images. The order is kept.
    """
    images = np.concatenate([data.train_images, data.test_images])
    labels = np.concatenate([data.train_labels, data.test_labels])
    order = sorted(range(len(labels)), key=lambda place: _lot(place, seed))
    wanted = Counter(data.test_labels.tolist())
    train: list[int] = []
    test: list[int] = []
    for place in order:
        label = int(labels[place])
        (test if wanted[label] else train).append(place)
        wanted[label] -= wanted[label] > 0
    arrays = Arrays(images[train], labels[train], images[test], labels[test])
    dataset = Dataset(data.name, data.num_classes, *arrays, digest=arrays.digest(), official=False)
    return Redrawn(dataset, np.array(test) >= len(data.train_labels))


def _lot(place: int, seed: int) -> bytes:
    return sha256(f"haet-eval image {place} of split {seed}".encode()).digest()


def conclude(
    audited: Run,
    again: Run,
    drawn: Redrawn,
    seed: int,
    predictions: npt.NDArray[np.int64] | None,
    *,
    two_sided: bool = True,
) -> Audit:
    """The result of the audit.

    Args:
        audited: the run that is audited.
        again: the run on the other data.
        drawn: the other data.
        seed: the seed of that draw.
        predictions: the labels that the second run predicted, [M]; None if it did not predict.
        two_sided: whether a gap counts in either direction. Records of schema version 1 have one-sided gaps.
    """
    former_test = former_train = gap = drop = None
    kind: AuditKind = "disguise" if drawn.formerly_test is None else "resplit"
    if predictions is not None:
        # In a disguise all test images are unseen. After another split the drop is taken from former training
        # images alone: labels that the submission knows would hide it on the others.
        right = predictions == drawn.dataset.test_labels
        comparable = _share(right)
        if drawn.formerly_test is not None:
            former_test, former_train = (
                _share(right[drawn.formerly_test]),
                _share(right[~drawn.formerly_test]),
            )
            gap, comparable = compare(former_test, former_train, two_sided=two_sided), former_train
        if audited.evaluation is not None:
            stated = Share(correct=audited.evaluation.correct, total=audited.evaluation.total)
            drop = compare(stated, comparable)
    return Audit(
        kind=kind,
        split_seed=seed,
        dataset=DatasetInfo(
            name=drawn.dataset.name, digest=drawn.dataset.digest, official=drawn.dataset.official
        ),
        run=again,
        former_test=former_test,
        former_train=former_train,
        gap=gap,
        drop=drop,
        flags=tuple(_flags(kind, audited, again, gap, drop, two_sided=two_sided)),
    )


def with_audit(record: Record, audit: Audit) -> Record:
    """The record, sealed anew with one more audit; not ranked yet."""
    facts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**facts | {"second_audit" if record.audit else "audit": audit}))


def compare(first: Share, second: Share, *, two_sided: bool = False) -> Gap | None:
    """How much better the first share is. None if one of the shares is of no images.

    The standard error is that of two equal proportions, pooled; the p-value that of Fisher's exact test
    against the first one being no better, or if `two_sided` against both being equally good.
    """
    from scipy.stats import fisher_exact  # only now: slow to import

    if not first.total or not second.total:
        return None
    wrong = first.total - first.correct, second.total - second.correct
    table = [[first.correct, wrong[0]], [second.correct, wrong[1]]]
    pooled = (first.correct + second.correct) / (first.total + second.total)
    error = math.sqrt(pooled * (1 - pooled) * (1 / first.total + 1 / second.total))
    alternative = "two-sided" if two_sided else "greater"
    return Gap(
        points=100 * (first.correct / first.total - second.correct / second.total),
        standard_error_points=100 * error,
        # Sums of rounded probabilities may be a little above 1.
        p_value=min(1.0, float(fisher_exact(table, alternative=alternative).pvalue)),
    )


def _share(right: npt.NDArray[np.bool_]) -> Share:
    return Share(correct=int(np.count_nonzero(right)), total=right.size)


def _flags(
    kind: AuditKind, audited: Run, again: Run, gap: Gap | None, drop: Gap | None, *, two_sided: bool
) -> list[AuditFlag]:
    flags: list[AuditFlag] = []
    # An interruption is the work of the organizer or the machine, and says nothing about the submission.
    if not (again.status.verdict.is_judged or again.status.verdict is Verdict.INTERRUPTED):
        flags.append("failed")
    if _is_large(gap, GAP_POINTS, two_sided=two_sided):
        flags.append("gap")
    if _is_large(drop, GAP_POINTS if kind == "resplit" else DISGUISE_POINTS):
        flags.append("drop")
    # Only a higher cost is a sign: whoever notices an audit and trains honestly pays for it (decision 0055).
    if audited.complexity and again.complexity and again.complexity > COST_RATIO * audited.complexity:
        flags.append("cost")
    # A disguise keeps shapes and split, so a training that ignores the values makes the same calls.
    if kind == "disguise" and _histogram(audited) != _histogram(again):
        flags.append("operations")
    return flags


def _histogram(run: Run) -> str | None:
    return run.training.histogram.sha256 if run.training else None


def _is_large(gap: Gap | None, limit: float, *, two_sided: bool = False) -> bool:
    if gap is None:
        return False
    points = abs(gap.points) if two_sided else gap.points
    return points > limit and gap.p_value < GAP_P
