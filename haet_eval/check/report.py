"""What a check has found, as a whole."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from haet_eval.check.estimate import (
    EstimateRange,
    OperationsEstimate,
    estimate_memory_bytes,
    estimate_operations,
    estimate_seconds,
    why_no_seconds,
)
from haet_eval.check.sample import Sample
from haet_eval.check.standing import Standing
from haet_eval.check.static import StaticCheck
from haet_eval.competition import Budgets, Competition
from haet_eval.errors import ExitCode, InvalidSubmission, Verdict
from haet_eval.record import Record
from haet_eval.submission import Submission


@dataclass(frozen=True, slots=True)
class Estimates:
    """What the whole training will take. `complexity` is None where `train` returned no model.

    `no_seconds` says why there is no estimate of the time.
    """

    operations: OperationsEstimate
    parameters: int | None
    complexity: int | None
    seconds: EstimateRange | None
    memory_bytes: int | None
    charged_operations: int = 0
    no_seconds: str = ""


@dataclass(slots=True)
class CheckReport:
    """Filled in part by part; None is what was not come to, or not asked for.

    `budgets` are those of the task until its data are there, which may allow less.
    """

    submission: Submission
    competition: Competition
    budgets: Budgets
    look: StaticCheck
    invalid: InvalidSubmission | None = None
    real_data: bool = True
    sample: Sample | None = None
    estimates: Estimates | None = None
    standing: Standing | None = None
    record: Record | None = None
    record_path: Path | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the judge if it has judged, otherwise the failure that the check found."""
        if self.invalid is not None:
            return self.invalid.verdict
        if self.record is not None:
            verdict = self.record.status.verdict
            # Here None means that nothing stands in the way, for a sample as for a record.
            return None if verdict is Verdict.QUALIFIED else verdict
        return self.sample.verdict if self.sample else None

    @property
    def unfinished(self) -> str:
        """Why it is not known how the training goes; empty if it is, or if there is a verdict."""
        # With --full the judge has decided, and the sample's doubts are settled.
        if self.verdict is not None or self.record is not None or self.sample is None:
            return ""
        if self.sample.doubt:
            return (
                "The code has raised this after calls were no longer computed, and a value that was made up"
                f" may be the cause: {self.sample.doubt} Compute for longer: --seconds, --within."
            )
        return self._stopped(self.sample) if not self.sample.finished else ""

    def _stopped(self, sample: Sample) -> str:
        """Why a training did not come to its end, and whether its code bounds how long it runs."""
        told = f"The training was stopped {sample.stopped}, before it came to its end."
        if sample.decides:
            told += f" It decides at {', '.join(sample.decides[:3])}."
        if self.look.unbounded:
            loops = ", ".join(self.look.unbounded[:3])
            told += f" No number of rounds bounds the loop at {loops}: it may run for ever."
        return f"{told} Give it more time (--within)."

    @property
    def exit_code(self) -> ExitCode:
        """What the process says to the shell."""
        if self.verdict is not None:
            return self.verdict.exit_code
        # Not 0: a script would take it for a check that found nothing.
        return ExitCode.NOT_FINISHED if self.unfinished else ExitCode.QUALIFIED

    @property
    def reason(self) -> str:
        """What happened, to what, and what to do instead."""
        if self.invalid is not None:
            return self.invalid.reason
        if self.record is not None:
            return self.record.status.reason
        return self.unfinished or (self.sample.reason if self.sample else "")

    @property
    def code(self) -> str | None:
        """The stable name of the reason; None if nothing failed."""
        if self.invalid is not None:
            return self.invalid.code
        if self.record is not None:
            return self.record.status.code
        return self.sample.code if self.sample else None


_UNBOUNDED: Final = "not estimated: it is not known how much is computed (--seconds computes more)"


def estimate(sample: Sample, look: StaticCheck, charged: int = 0) -> Estimates | None:
    """The estimates that a sample allows; None of a training that fails, or that has not begun in time.

    `charged` are the operations of the prediction that count as complexity.
    """
    # A training that fails never costs what it would have cost.
    if sample.operations is None or (sample.verdict is not None and not sample.finished):
        return None
    operations = estimate_operations(sample, look.clock)
    # A sum or a time that rests on a made-up decision is not stated at all (decision 0080).
    bounded = operations.method != "cannot_tell"
    seconds = estimate_seconds(sample, operations) if bounded else None
    return Estimates(
        operations=operations,
        parameters=sample.parameters,
        complexity=operations.total + sample.parameters + charged
        if bounded and sample.parameters is not None
        else None,
        charged_operations=charged,
        seconds=seconds,
        no_seconds="" if seconds else why_no_seconds(sample) if bounded else _UNBOUNDED,
        memory_bytes=estimate_memory_bytes(sample),
    )


def document(report: CheckReport) -> dict[str, Any]:
    """The report in plain values, for JSON; counts of operations are decimal strings."""
    submission = report.submission
    return {
        "verdict": report.verdict or ("not_finished" if report.unfinished else None),
        "reason": report.reason,
        "code": report.code,
        "submission": {
            "name": submission.name,
            "team": submission.team,
            "task": submission.task,
            "sha256": submission.sha256,
            "archive_bytes": submission.archive_bytes,
            "archive_sha256": submission.archive_sha256,
            "source_bytes": submission.source_bytes,
            "source_bytes_compressed": submission.compressed_bytes,
        },
        "competition": report.competition.name,
        "remarks": [asdict(remark) for remark in report.look.remarks],
        "literals": [asdict(literal) for literal in report.look.literals],
        "real_data": report.real_data,
        "sample": _sample(report.sample) if report.sample else None,
        "estimate": _estimates(report.estimates) if report.estimates else None,
        "rank": _rank(report.standing) if report.standing else None,
        "full": _full(report.record) if report.record else None,
    }


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "computed_seconds": sample.computed_seconds,
        "computed": sample.computed,
        "finished": sample.finished,
        "decides": sample.decides,
        "accuracy": sample.score.accuracy if sample.score else None,
        "readback_bytes": sample.readback_bytes,
        "upload_bytes": sample.upload_bytes,
        "messages": sample.messages,
        "memory": sample.tensor_memory.model_dump(mode="json") if sample.tensor_memory else None,
        "bytes_moved": sample.bytes_moved.model_dump(mode="json") if sample.bytes_moved else None,
        "prediction_operations_per_image": sample.prediction_operations_per_image,
        "log": sample.log,
    }


def _estimates(estimates: Estimates) -> dict[str, Any]:
    operations, seconds = estimates.operations, estimates.seconds
    return {
        "complexity": None if estimates.complexity is None else str(estimates.complexity),
        "parameters": estimates.parameters,
        "operations": {
            "total": str(operations.total),
            "low": str(operations.low),
            "high": None if operations.high is None else str(operations.high),
            "method": operations.method,
            "basis": operations.basis,
        },
        "charged_operations": str(estimates.charged_operations),
        "wall_seconds": asdict(seconds) if seconds else None,
        "peak_memory_bytes": estimates.memory_bytes,
    }


def _rank(standing: Standing) -> dict[str, Any]:
    return asdict(standing) | {"best": None if standing.best is None else str(standing.best)}


def _full(record: Record) -> dict[str, Any]:
    training = record.training
    return {
        "record_id": record.record_id,
        "complexity": None if record.complexity is None else str(record.complexity),
        "operations": str(training.operations.total) if training else None,
        "wall_seconds": training.wall_seconds if training else None,
        "peak_memory_bytes": training.peak_memory_bytes if training else None,
        "accuracy": record.evaluation.accuracy if record.evaluation else None,
    }
