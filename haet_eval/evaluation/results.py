"""The result of each stage of an evaluation. Results are frozen: a later stage adds its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from haet_eval.competition import Competition, Runner
from haet_eval.errors import SubmissionFailure
from haet_eval.evaluation.request import Assignment
from haet_eval.record import Artifact, Energy, Evaluation, NativeTraining, SubmissionInfo, Training


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A submission that was read, with its rules. If it breaks one, there is no assignment: see `failure`."""

    submission: SubmissionInfo
    competition: Competition | None
    assignment: Assignment | None = None
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A training, up to its end or failure. If it did not begin, it has neither counted nor native parts.

    Attributes:
        facts: facts about the workers: `torch`, `python` and `accelerator`.
        refused: the number of refused calls, by operator.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    training: Training | None = None
    native: NativeTraining | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class Predicted:
    """One label for each test image, [N], or None if the prediction failed; its counts, if it was counted."""

    labels: npt.NDArray[np.int64] | None
    operations: int | None = None
    readback_bytes: int | None = None
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A training and its predictions, with the facts about both together. Their workers have ended."""

    runner: Runner
    threads: int
    runtime: Mapping[str, str]
    trained: Trained
    predicted: Predicted | None = None
    trace: Artifact | None = None
    energy: Energy | None = None

    @property
    def failure(self) -> SubmissionFailure | None:
        return (self.predicted or self.trained).failure


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of the predictions; `failure` says why the submission does not qualify, if it does not."""

    evaluation: Evaluation
    failure: SubmissionFailure | None
