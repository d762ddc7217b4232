"""What each stage of an evaluation found. Frozen: a later stage adds its own and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from haet_eval.competition import Competition
from haet_eval.errors import SubmissionFailure
from haet_eval.evaluation.request import Assignment
from haet_eval.record import Artifact, Energy, Evaluation, NativeTraining, Runner, SubmissionInfo, Training


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A submission that was read, with its rules. It is no assignment where it breaks one: see `failure`."""

    submission: SubmissionInfo
    competition: Competition | None
    assignment: Assignment | None = None
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """A training, as far as it came: neither counted nor native parts where it did not begin.

    Attributes:
        facts: what the worker with the kernels said of itself, `torch` and `accelerator`.
        refused: how often each operator was asked for that may not be called.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    training: Training | None = None
    native: NativeTraining | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class Predicted:
    """One label for each test image, [N], None where it failed; what was counted, where it was."""

    labels: npt.NDArray[np.int64] | None
    operations: int | None = None
    readback_bytes: int | None = None
    failure: SubmissionFailure | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A training and its predictions in workers that are gone now, with what is known of both together."""

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
    """How good the predictions are; `failure` says why the submission does not qualify, if it does not."""

    evaluation: Evaluation
    failure: SubmissionFailure | None
