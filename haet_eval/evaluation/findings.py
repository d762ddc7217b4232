"""What an evaluation has found out so far, and the record that it makes of it."""

import hashlib
import os
import platform
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from haet_eval import __version__
from haet_eval.competition import Competition
from haet_eval.counting.bill import bill
from haet_eval.counting.operations import priced, with_refused
from haet_eval.counting.parameters import ParameterCount
from haet_eval.dataset import Dataset
from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.native.node import HandedIn
from haet_eval.record import (
    Artifact,
    CompetitionInfo,
    Content,
    DatasetInfo,
    Energy,
    Environment,
    Evaluation,
    HistogramArtifact,
    Log,
    NativeTraining,
    Parameters,
    Record,
    Runner,
    SourceFile,
    Stage,
    Status,
    SubmissionInfo,
    Training,
    complexity,
    seal,
)
from haet_eval.remote.log import OutputLog
from haet_eval.remote.meter import Meter
from haet_eval.scoring import Score
from haet_eval.store import Store
from haet_eval.submission import Submission

KEPT_REPORTS: Final = 200


@dataclass
class Findings:
    """Filled in stage by stage; `None` is what was not reached."""

    store: Store
    sandbox: Literal["docker", "process"]
    device: str
    seed: int
    stage: Stage = "unpack"
    submission: Submission | None = None
    unread: SubmissionInfo | None = None
    competition: Competition | None = None
    dataset: Dataset | None = None
    threads: int | None = None
    runtime_facts: Mapping[str, str] = field(default_factory=dict)
    executor_facts: Mapping[str, Any] = field(default_factory=dict)
    trace: Artifact | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    training: Training | None = None
    native: NativeTraining | None = None
    energy: Energy | None = None
    runner: Runner = "counted"
    prediction_operations: int | None = None
    predictions: npt.NDArray[np.int64] | None = None
    evaluation: Evaluation | None = None
    reports: deque[dict[str, str]] = field(default_factory=lambda: deque(maxlen=KEPT_REPORTS))
    log: OutputLog = field(default_factory=OutputLog)

    def take_training(self, meter: Meter, wall_seconds: float) -> None:
        """Price what the meter has counted and keep its histogram."""
        histogram = meter.histogram()
        kept = self.store.put_artifact(histogram.to_json(), "histogram.json")
        self.refused = dict(meter.refused)
        self.training = Training(
            operations=priced(bill(histogram)),
            histogram=HistogramArtifact(sha256=kept.sha256, bytes=kept.bytes, entries=len(histogram)),
            parameters=None,
            model=None,
            wall_seconds=wall_seconds,
            readback_bytes=meter.charges.readback_bytes,
            upload_bytes=meter.charges.upload_bytes,
            peak_memory_bytes=None,
            messages=meter.charges.messages,
        )

    def take_model(self, parameters: ParameterCount, weights: bytes, peak_memory_bytes: int) -> None:
        """Keep the weights of the returned model."""
        assert self.training is not None
        self.training = self.training.model_copy(
            update={
                "parameters": _parameters(parameters),
                "model": self.store.put_artifact(weights, "safetensors"),
                "peak_memory_bytes": peak_memory_bytes,
            }
        )

    def take_native_training(self, wall_seconds: float, peak_memory_bytes: int | None, nodes: int) -> None:
        """Keep what a training on plain tensors took."""
        self.native = NativeTraining(
            parameters=None,
            model=None,
            wall_seconds=wall_seconds,
            peak_memory_bytes=peak_memory_bytes,
            nodes=nodes,
            checkpoint_used=False,
        )

    def take_native_model(self, handed_in: HandedIn) -> None:
        """Keep the weights that a node handed in, and what it says of them."""
        assert self.native is not None
        self.native = self.native.model_copy(
            update={
                "parameters": _parameters(handed_in.parameters),
                "model": self.store.put_artifact(handed_in.weights, "safetensors"),
                "checkpoint_used": handed_in.from_checkpoint,
            }
        )

    def take_evaluation(self, score: Score, predictions: npt.NDArray[np.int64]) -> None:
        """Keep the predictions: one label in each line, in the order of the test images."""
        self.predictions = predictions
        text = "".join(f"{label}\n" for label in predictions)
        self.evaluation = Evaluation(
            accuracy=score.accuracy,
            metric=self.competition.metric if self.competition else "accuracy",
            correct=score.correct,
            total=score.total,
            operations=self.prediction_operations,
            predictions=self.store.put_artifact(text.encode(), "predictions.txt"),
        )

    def record(self, failure: SubmissionFailure | None) -> Record:
        """The sealed record of all this; without a failure the submission qualifies."""
        verdict = failure.verdict if failure else Verdict.QUALIFIED
        reason, code = (failure.reason, failure.code) if failure else ("", "")
        if verdict is Verdict.UNCOUNTABLE and self.training is not None:
            operations = with_refused(self.training.operations, self.refused, reason)
            self.training = self.training.model_copy(update={"operations": operations})
        return seal(
            Content(
                created_at=datetime.now(UTC),
                status=Status(verdict=verdict, stage=self.stage, reason=reason, code=code),
                submission=self._submission(),
                competition=self._competition(),
                dataset=self._dataset(),
                environment=self._environment(),
                trace=self.trace,
                training=self.training,
                complexity=complexity(self.training),
                evaluation=self.evaluation,
                native=self.native,
                energy=self.energy,
                reports=tuple(self.reports),
                log=Log(head=self.log.head, tail=self.log.tail, dropped_bytes=self.log.dropped_bytes),
            )
        )

    def _competition(self) -> CompetitionInfo | None:
        rules = self.competition
        if rules is None:
            return None
        return CompetitionInfo(
            name=rules.name,
            digest=rules.digest,
            ranking=rules.ranking,
            accuracy_intervals=rules.accuracy_intervals,
            awards=rules.awards,
        )

    def _dataset(self) -> DatasetInfo | None:
        data = self.dataset
        return DatasetInfo(name=data.name, digest=data.digest, official=data.official) if data else None

    def _submission(self) -> SubmissionInfo:
        if self.submission is None:
            assert self.unread is not None
            return self.unread
        source = self.submission
        return SubmissionInfo(
            name=source.name,
            team=source.team,
            task=source.task,
            sha256=source.sha256,
            files=tuple(
                SourceFile(path=path, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
                for path, content in source.files.items()
            ),
            archive_bytes=source.archive_bytes,
            source_bytes=source.source_bytes,
            description=source.description or None,
            paper=source.paper,
        )

    def _environment(self) -> Environment:
        return Environment(
            sandbox=self.sandbox,
            image_digest=self.runtime_facts.get("image_digest"),
            oci_runtime=self.runtime_facts.get("oci_runtime"),
            torch=self.executor_facts.get("torch"),
            python=platform.python_version(),
            device=self.device,
            accelerator=self.executor_facts.get("accelerator"),
            seed=self.seed,
            haet_eval=__version__,
            platform=platform.platform(),
            cpu=cpu_name(),
            threads=self.threads,
            runner=self.runner,
            host=platform.node(),
            cores=os.cpu_count(),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        )


def _parameters(count: ParameterCount) -> Parameters:
    return Parameters(
        total=count.total, trainable=count.trainable, frozen=count.frozen, buffers=count.buffers
    )


def unread_submission(path: Path) -> SubmissionInfo:
    """What can be said of a submission whose archive or manifest could not be read.

    The digest is that of the file; of a folder, that of the names and sizes of what lies in it.
    """
    digest, archive_bytes = hashlib.sha256(), 0
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            digest.update(
                f"{file.relative_to(path)}\0{file.lstat().st_size}\n".encode(errors="surrogateescape")
            )
    if path.is_file():
        with path.open("rb") as archive:
            digest = hashlib.file_digest(archive, "sha256")
        archive_bytes = path.stat().st_size
    return SubmissionInfo(
        name=None,
        team=None,
        task="",
        sha256=digest.hexdigest(),
        files=(),
        archive_bytes=archive_bytes,
        source_bytes=0,
        description=None,
        paper=None,
    )


def cpu_name() -> str:
    """What this machine's processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
