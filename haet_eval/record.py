"""The record of one evaluation: what was run, what it cost, how it scored, and a digest of all that."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC
from math import isclose
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from haet_eval.competition import Counts, Metric, Ranking, Runner
from haet_eval.errors import Verdict

SCHEMA_VERSION: Final = 2

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
"""Of a record's file. A larger one is no record of ours, and is not read."""

_DECIMAL: Final = r"^(0|[1-9][0-9]{0,99})$"


class _CountSchema:
    """Validation in compiled code: a record holds hundreds of counts, a leaderboard thousands of records."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        digits = core_schema.str_schema(pattern=_DECIMAL, strict=True)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([digits, core_schema.int_schema(strict=False)]),
            python_schema=core_schema.int_schema(ge=0, strict=True),
            serialization=core_schema.to_string_ser_schema(when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, str]:
        return {"type": "string", "pattern": _DECIMAL}


Count: TypeAlias = Annotated[int, _CountSchema]
"""An exact integer of any size: a Python int in code, a decimal string in JSON."""

Size: TypeAlias = Annotated[int, Field(ge=0)]
"""A number of bytes or of things that stays far below 2⁵³: a number in JSON."""

Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Joules: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]

Sha256: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

RecordId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]

Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]

Stage: TypeAlias = Literal["unpack", "train", "predict", "score", "record"]

Sandbox: TypeAlias = Literal["docker", "process"]

EnergyKind: TypeAlias = Literal["measured", "estimated", "unavailable"]


class _RecordPart(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_serialization_defaults_required=True
    )


class Status(_RecordPart):
    """The verdict, the last stage that was reached, and one sentence on why ("" when qualified).

    The verdict `interrupted` judges nothing: the record says how far an evaluation came that was stopped.
    `code` is the stable name of the reason, listed in docs/reference/errors.md.
    """

    verdict: Verdict
    stage: Stage
    reason: str
    code: str = ""


class SourceFile(_RecordPart):
    """One file of the submission; the path is relative, with forward slashes."""

    path: str
    bytes: Size
    sha256: Sha256


class SubmissionInfo(_RecordPart):
    """Who handed in what. Names and texts are the contestant's: untrusted.

    `name`, `team` and `task` are None, and `files` empty, if the archive or its manifest could not
    be read.
    `sha256` is the digest of the content, the same for a folder and any zip of it: by it two submissions are
    one. `archive_bytes` and `archive_sha256` are of the file that was handed in, or of the zip that a folder
    was made into; in older records the digest is None and the size that of the content. `archive_name` is
    what that file or folder was called. `source_bytes` is the size of the unpacked files,
    `source_bytes_compressed` that of a compressed zip of them, None in records of version 1. `received_at` is
    when the organizer received it, None if nobody said.
    """

    name: str | None
    team: str | None
    task: str | None
    sha256: Sha256
    files: tuple[SourceFile, ...]
    archive_bytes: Size
    source_bytes: Size
    description: str | None
    paper: str | None
    archive_sha256: Sha256 | None = None
    archive_name: str | None = None
    received_at: Moment | None = None
    source_bytes_compressed: Size | None = None


class CompetitionInfo(_RecordPart):
    """The rules that were applied; the digest is that of the competition file.

    `ranking` is what its prizes go by, `accuracy_intervals` the lower bounds of the intervals that each
    have their own, and `awards` how many there are, None if the record does not say. `judging_digest` is that
    of what judges the task (`Competition.judging_digest`), None in older records and for a task that the
    rules do not have. `counts` and `entries_per_team` are the rules' on repeated evaluations and on teams,
    `opens` and `closes` on when entries are received. `threshold` is the accuracy that qualifies, as a
    fraction; None in older records and for a task that the rules do not have.
    """

    name: str
    digest: Sha256
    ranking: Ranking = "complexity"
    accuracy_intervals: tuple[float, ...] = ()
    awards: Size | None = None
    judging_digest: Sha256 | None = None
    counts: Counts = "first"
    entries_per_team: Size | None = None
    opens: Moment | None = None
    closes: Moment | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class DatasetInfo(_RecordPart):
    """The data that was used; `official` says that its digest is the published one."""

    name: str
    digest: Sha256
    official: bool


class Environment(_RecordPart):
    """Where it ran. None stands for what was not used or not reached.

    `runner` says whether the evaluation was made of handles that count or of plain tensors. `host` is the
    machine's name, `cores` and `memory_bytes` are what it has. `oci_runtime` ran the containers.
    """

    sandbox: Sandbox
    image_digest: str | None
    torch: str | None
    python: str
    device: str
    accelerator: str | None
    seed: int
    haet_eval: str
    platform: str
    cpu: str
    threads: int | None
    runner: Runner = "counted"
    host: str | None = None
    cores: int | None = None
    memory_bytes: Size | None = None
    oci_runtime: str | None = None


class Artifact(_RecordPart):
    """A file `artifacts/<sha256>.<suffix>` beside the record."""

    sha256: Sha256
    bytes: Size


class HistogramArtifact(Artifact):
    """The operation histogram; `entries` is its number of distinct signatures."""

    entries: Size


class ReportHistory(Artifact):
    """What was given to `task.report`, a JSON object on each line: the first `kept` of all `reports`."""

    reports: Size
    kept: Size


class NotFinite(_RecordPart):
    """The first report, counted from 1, with a value that is not a number, or with an infinite loss."""

    report: Annotated[int, Field(ge=1)]
    name: str
    value: str


class OperatorCost(_RecordPart):
    """What one overload (`aten.add.Tensor`) cost in all."""

    operator: str
    calls: Count
    operations: Count


class UncountedOperator(_RecordPart):
    """An overload that the standard has no price for, with a few of the shapes it ran with."""

    operator: str
    calls: Count
    shapes: tuple[str, ...]
    hint: str


class Operations(_RecordPart):
    """The operations of the training, priced under version `standard` of the counting standard.

    Where `uncounted` is not empty, `total` covers the priced operators only.
    """

    standard: int
    total: Count
    by_phase: dict[str, Count]
    by_operator: tuple[OperatorCost, ...]
    uncounted: tuple[UncountedOperator, ...]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if sum(self.by_phase.values()) != self.total:
            raise ValueError("by_phase does not add up to total")
        if sum(line.operations for line in self.by_operator) != self.total:
            raise ValueError("by_operator does not add up to total")
        return self


class Parameters(_RecordPart):
    """Every number the trained model stores, each distinct storage once."""

    total: Count
    trainable: Count
    frozen: Count
    buffers: Count

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.trainable + self.frozen + self.buffers != self.total:
            raise ValueError("trainable, frozen and buffers do not add up to total")
        return self


class Precision(_RecordPart):
    """Operations of the training by the dtype that they are computed in, and in bits.

    `bit_operations` is the sum of operations times the width of their dtype in bits. `parameter_bits` is what
    the model's parameters and buffers are stored in, None if no model came back.
    """

    by_dtype: dict[str, Count]
    bit_operations: Count
    parameter_bits: Count | None


class BytesMoved(_RecordPart):
    """Bytes that the calls of the training read and write, each element of a tensor once a call."""

    read: Count
    written: Count


class PeakCall(_RecordPart):
    """The call that made the peak: its number among the training's calls from 1, operator and phase.

    Operators, selects, slices and uploads are calls. `operator` is `upload` for a constant that was sent up.
    `line` is the line of the submission that first made such a call, and `module` the module that was called
    there, None if no module was. The submission's own process says so, and nobody vouches for it.
    """

    number: Annotated[int, Field(ge=1)]
    operator: str
    phase: str
    line: str | None = None
    module: str | None = None

    @property
    def place(self) -> str:
        """The line with its module, as in `submission.py:12 in Net.layers.0`; "" if no line is known."""
        return " in ".join(filter(None, (self.line, self.module))) if self.line else ""


class TensorMemory(_RecordPart):
    """Bytes of the tensors of a training: of all storages that lived when these took the most, each once.

    They are counted from the calls, not measured, and are the same on every machine. `model_bytes` is the
    part that belongs to the returned model, None if no model came back; `other_bytes` is the rest. The
    training set is apart. `call` is None if no tensor was made.
    """

    peak_bytes: Size
    model_bytes: Size | None
    other_bytes: Size | None
    training_set_bytes: Size
    call: PeakCall | None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (self.model_bytes is None) != (self.other_bytes is None):
            raise ValueError("`model_bytes` and `other_bytes` come together")
        if self.model_bytes is not None and self.model_bytes + (self.other_bytes or 0) != self.peak_bytes:
            raise ValueError("model_bytes and other_bytes do not add up to peak_bytes")
        if (self.call is None) != (self.peak_bytes == 0):
            raise ValueError("a peak has a call that made it")
        return self


_ROUNDING_SECONDS: Final = 1e-3


class TrainingPart(_RecordPart):
    """A part of a training that went on after an interruption, up to the next one or the end.

    `host`, `cpu` and `accelerator` say where it ran. `wall_seconds`, `paused_seconds` and
    `submission_cpu_seconds` are its share of those of the training. `catch_up_seconds` is the time in which
    the submission's process came to the checkpoint once more; it is part of none of these.
    `peak_memory_bytes` is that of the executor, if it is known.
    """

    started_at: Moment
    host: str
    cpu: str
    accelerator: str | None
    wall_seconds: Seconds
    paused_seconds: Seconds
    catch_up_seconds: Seconds
    submission_cpu_seconds: Seconds | None
    peak_memory_bytes: Size | None


class Resumed(_RecordPart):
    """How a training went on that was interrupted: its parts, in order.

    `restarts` is how often it began again from its beginning, because it did not do the same as before.
    """

    parts: Annotated[tuple[TrainingPart, ...], Field(min_length=1)]
    restarts: Size


class Training(_RecordPart):
    """The train stage, as far as it came. `parameters` and `model` are None if no model came back.

    `wall_seconds` is without `paused_seconds`, in which the evaluation itself was stopped.
    `submission_cpu_seconds` is the processor time of the submission's own process since its start, imports
    included: what it computes there is not counted. None if it is not known.
    `timed_answers` are the answers that it waited for while data were worked on, and `stalls` how often it
    was kept waiting because the executor had too much to do. `constant_selects` are the selects and slices
    of tensors that depend on no data: each can make a constant. None in records of schema version 1.
    `memory` is that of its tensors, `precision` how wide the numbers are, `bytes_moved` what the calls read
    and write; all three are None in older records. `modelled_joules` is computed from them by the model of
    energy in the rules, and not measured; None if the rules have no such model.
    `resumed` is None if the training was never interrupted. `labels` are the lines and modules of calls, by
    the submission's own process; None in older records.
    """

    operations: Operations
    histogram: HistogramArtifact
    parameters: Parameters | None
    model: Artifact | None
    wall_seconds: Seconds
    readback_bytes: Size
    upload_bytes: Size
    peak_memory_bytes: Size | None
    messages: Size
    paused_seconds: Seconds = 0.0
    submission_cpu_seconds: Seconds | None = None
    timed_answers: Size | None = None
    stalls: Size | None = None
    constant_selects: Size | None = None
    memory: TensorMemory | None = None
    precision: Precision | None = None
    bytes_moved: BytesMoved | None = None
    modelled_joules: Joules | None = None
    resumed: Resumed | None = None
    labels: Artifact | None = None

    @model_validator(mode="after")
    def _has_parts_that_add_up(self) -> Self:
        for name in ("wall_seconds", "paused_seconds", "submission_cpu_seconds"):
            of_parts = [getattr(part, name) for part in self.resumed.parts] if self.resumed else []
            total = getattr(self, name)
            known = of_parts and None not in (*of_parts, total)
            if known and not isclose(sum(of_parts), total, abs_tol=_ROUNDING_SECONDS):
                raise ValueError(f"{name} of the parts do not add up to those of the training")
        return self


class NativeTraining(_RecordPart):
    """The training on plain tensors, not counted, as far as it came.

    `parameters` are what the submission's process said its model has, None if no model came back.
    `wall_seconds` is by the clock of the host, from all `nodes` ready until the model is there.
    `checkpoint_used` says that time was over and the model last given to `task.checkpoint` stands for it.
    """

    parameters: Parameters | None
    model: Artifact | None
    wall_seconds: Seconds
    peak_memory_bytes: Size | None
    nodes: Annotated[int, Field(ge=1)]
    checkpoint_used: bool


class Evaluation(_RecordPart):
    """Accuracy by the competition's metric, as a fraction, and what predicting cost.

    `correct` of `total` images got their right label. `operations` are those of the whole prediction, and
    `charged_operations` the part of them above the free ones, which counts as complexity. `readback_bytes`
    is what the prediction read back. None if the prediction ran on plain tensors; the last two also in
    records of schema version 1.
    `nan_images` have NaN among their logits, and so no label: they cannot be right.
    """

    accuracy: Annotated[float, Field(ge=0, le=1)]
    correct: Size
    total: Annotated[int, Field(ge=1)]
    operations: Count | None
    predictions: Artifact
    metric: Metric = "accuracy"
    charged_operations: Count | None = None
    readback_bytes: Size | None = None
    nan_images: Size = 0

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.charged_operations or 0) > (self.operations or 0):
            raise ValueError("more operations are charged than were counted")
        if self.metric == "accuracy" and self.accuracy != self.correct / self.total:
            raise ValueError("accuracy is not correct / total")
        return self


class Log(_RecordPart):
    """The beginning and the end of what the submission printed: untrusted text."""

    head: str
    tail: str
    dropped_bytes: Size


class Run(_RecordPart):
    """One of several runs with different seeds; its parts are as those of a record."""

    seed: int
    status: Status
    trace: Artifact | None
    training: Training | None
    complexity: Count | None
    evaluation: Evaluation | None
    log: Log
    native: NativeTraining | None = None
    energy: "Energy | None" = None


class AccuracyStatistics(_RecordPart):
    """Of the runs that predicted: mean, sample standard deviation, 95 % confidence interval of the mean.

    The interval is Student's, as if accuracies were normally distributed: it may reach past 0 or 1. One
    run has neither deviation nor interval.
    """

    runs: Size
    mean: Annotated[float, Field(ge=0, le=1)]
    standard_deviation: Annotated[float, Field(ge=0)] | None
    confidence_95: tuple[float, float] | None


class ComplexityStatistics(_RecordPart):
    """Of the runs that could be counted: the mean, rounded up, and the median, the lower one of two."""

    runs: Size
    mean: Count
    median: Count


class Statistics(_RecordPart):
    """What several runs are judged by. `p_value` is that of the one-sided test, if the rules ask for one."""

    accuracy: AccuracyStatistics | None
    complexity: ComplexityStatistics | None
    passes: Literal["mean", "every", "one_sided"]
    p_value: float | None
    ranks: Literal["mean", "median"]

    def ranked_complexity(self) -> int | None:
        """The complexity that the rules rank by."""
        return getattr(self.complexity, self.ranks) if self.complexity else None


EnergyPhase: TypeAlias = Literal["train", "predict"]

PHASE_OF_RANKING: Final[Mapping[str, EnergyPhase]] = {
    "training_energy": "train",
    "inference_energy": "predict",
}
"""The rankings by energy, and the phase whose energy counts."""

_QUIET_BUSY: Final = 0.1


class PhaseEnergy(_RecordPart):
    """Energy of one phase; `idle_joules` is what the idle machine would have used in that time."""

    phase: EnergyPhase
    joules: Joules
    seconds: Seconds
    idle_joules: Joules | None


class Quietness(_RecordPart):
    """What the machine did before the run: load of the last minute, and the part of its cores that was busy.

    `other_containers` are running containers that are not ours, None if no engine was asked.
    """

    load_average: Annotated[float, Field(ge=0)]
    busy: Annotated[float, Field(ge=0, le=1)]
    other_containers: Size | None

    @property
    def quiet(self) -> bool:
        """Whether nothing else ran: less than a tenth of the cores was busy, and no other container ran."""
        return self.busy < _QUIET_BUSY and not self.other_containers


class Energy(_RecordPart):
    """Energy in joules of all phases, gross: the share of the idle machine is part of it, and told apart.

    `joules` is that of the ranked work: the training, or one of `iterations` predictions of the test set;
    None if that was not reached or nothing could be measured, which `note` explains. An estimate is
    computed from processor time and wins nothing.
    """

    kind: EnergyKind
    meter: str
    covers: tuple[str, ...]
    joules: Joules | None
    iterations: Annotated[int, Field(ge=1)]
    idle_watts: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    phases: tuple[PhaseEnergy, ...]
    samples: Size
    longest_gap_seconds: Seconds
    quietness: Quietness
    note: str

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.kind == "unavailable" and (self.joules is not None or self.phases):
            raise ValueError("energy that is unavailable has joules")
        return self

    def counts_for_prizes(self, device: str) -> bool:
        """Whether all that the device's runs use was measured, on a machine that did nothing else."""
        meters = {"rapl", "nvml"} if device == "cuda" else {"rapl"}
        return self.kind == "measured" and meters <= set(self.meter.split("+")) and self.quietness.quiet


AuditKind: TypeAlias = Literal["resplit", "disguise"]
"""What an audit trains on: another split of the images, or the same split in a disguise."""

AuditFlag: TypeAlias = Literal["failed", "gap", "drop", "cost", "operations"]
"""What an audit found: no predictions; the gap; the drop; much more complexity than what it audits; or, in
disguise, other operations than it."""


class Share(_RecordPart):
    """So many right predictions of so many."""

    correct: Size
    total: Size


class Gap(_RecordPart):
    """How much better one share is than another, in percentage points, and its standard error if it is not.

    `p_value` is that of Fisher's exact test: two-sided for the `gap` of an audit, one-sided for its `drop`
    and for both in records of schema version 1.
    """

    points: Annotated[float, Field(ge=-100, le=100)]
    standard_error_points: Annotated[float, Field(ge=0, le=100)]
    p_value: Annotated[float, Field(ge=0, le=1)]


class Audit(_RecordPart):
    """The same submission, with the seed of the (first) run, on images that were redrawn with `split_seed`.

    `dataset` is the redrawn data: another split of the same images, or the same split in a disguise. `run` is
    what came of it. `gap` is how much better it predicts former test images than former training images, and
    `drop` how much better the record does than `run` on former training images; in a disguise, on the test
    images. Shares and gaps are None if there were no predictions, and shares and `gap` for a disguise.
    """

    kind: AuditKind
    split_seed: Size
    dataset: DatasetInfo
    run: Run
    former_test: Share | None
    former_train: Share | None
    gap: Gap | None
    drop: Gap | None
    flags: tuple[AuditFlag, ...]


class Integrity(_RecordPart):
    """`record_sha256` is `document_digest` of the record."""

    record_sha256: Sha256


class Rank(_RecordPart):
    """The place among the qualified records that lie beside this one when it is shown; nothing in its file.

    Records compete where competition, task, sandbox, data and interval of accuracy are the same. `official`
    says that these were the Docker sandbox and the published data, and that a ranked energy was measured on
    a machine that did nothing else.
    """

    position: Annotated[int, Field(ge=1)]
    of: Annotated[int, Field(ge=1)]
    task: str
    official: bool


class Content(_RecordPart):
    """All that a record says of an evaluation, before it is sealed. Stages not reached are None.

    `complexity` is parameters + operations of the training + charged operations of the prediction, None
    where parameters or operations are not known. `training` is the counted one
    and `native` the one on plain tensors; if there are both, `evaluation`, `reports` and `log` are of the
    one that `environment.runner` names. `reports` are the values given to `task.report`, in order,
    the first and the last of them: untrusted text and numbers. `history` is the artefact with all of them,
    `not_finite` the first that has a value which is not finite.

    With several `runs`, `status` and `complexity` follow from their `statistics`, and `trace`, `training`,
    `native`, `energy`, `evaluation`, `reports` and `log` are those of one of them: the run whose ranked
    figure is the median, or the first that failed. `environment.seed` is the one that the seeds of the runs
    are derived from. `second_audit` is of another kind than `audit`, if both kinds were asked for.

    `rerun_of` is the id of the record that this evaluation repeated, by `haet-eval verify --rerun`; such a
    record never ranks.
    """

    schema_version: Literal[1, 2] = 2
    created_at: Moment
    status: Status
    submission: SubmissionInfo
    competition: CompetitionInfo | None
    dataset: DatasetInfo | None
    environment: Environment
    trace: Artifact | None
    training: Training | None
    complexity: Count | None
    evaluation: Evaluation | None
    energy: Energy | None = None
    reports: tuple[dict[str, int | Annotated[float, Field(allow_inf_nan=False)] | str], ...]
    log: Log
    runs: tuple[Run, ...] | None = None
    statistics: Statistics | None = None
    native: NativeTraining | None = None
    audit: Audit | None = None
    rerun_of: RecordId | None = None
    history: ReportHistory | None = None
    not_finite: NotFinite | None = None
    second_audit: Audit | None = None

    @property
    def audits(self) -> tuple[Audit, ...]:
        """All of them."""
        return tuple(filter(None, [self.audit, self.second_audit]))

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        submission, rules = self.submission, self.competition
        training = self.training
        added = (
            *(submission.archive_sha256, submission.archive_name, self.history, self.not_finite),
            *((rules.judging_digest, rules.opens, rules.closes, rules.threshold) if rules else ()),
            *((training.memory, training.precision, training.bytes_moved) if training else ()),
            *((training.modelled_joules, training.resumed) if training else ()),
        )
        if self.schema_version == 1 and any(part is not None for part in added):
            raise ValueError("a record of version 1 has parts that version 2 has added")
        if (self.runs is None) != (self.statistics is None):
            raise ValueError("runs without statistics, or statistics without runs")
        if self.statistics is None and self.complexity != complexity(self.training, self.evaluation):
            raise ValueError("complexity is not parameters + operations")
        if self.statistics and self.complexity not in (None, self.statistics.ranked_complexity()):
            raise ValueError("complexity is not the one of the runs that is ranked")
        cost = self.complexity if self.native is None else self.native
        if self.status.verdict is Verdict.INTERRUPTED and self.evaluation is not None:
            raise ValueError("an interrupted record has no evaluation")
        if self.schema_version == 1 and self.submission.source_bytes_compressed is not None:
            raise ValueError("a record of version 1 has no `source_bytes_compressed`")
        if self.second_audit and (self.audit is None or self.audit.kind == self.second_audit.kind):
            raise ValueError("the second audit has no first one, or is of its kind")
        reached = (self.competition, self.submission.task, self.dataset, cost, self.evaluation)
        if self.status.verdict is Verdict.QUALIFIED and None in reached:
            raise ValueError(
                "a qualified record has a competition, task, dataset, evaluation, and complexity or native"
            )
        return self


class Record(Content):
    """A sealed record: its content, named by the content's digest. Made by `seal`."""

    record_id: RecordId
    integrity: Integrity
    rank: Rank | None

    @property
    def official(self) -> bool:
        """Whether it ran in Docker on the published data."""
        return self.environment.sandbox == "docker" and self.dataset is not None and self.dataset.official


def complexity(training: Training | None, evaluation: Evaluation | None) -> int | None:
    """Parameters + operations of a training + charged operations of its prediction, if it predicted.

    None without a model or with operators left uncounted.
    """
    if training is None or training.parameters is None or training.operations.uncounted:
        return None
    charged = (evaluation and evaluation.charged_operations) or 0
    return training.parameters.total + training.operations.total + charged


_OUTSIDE_THE_DIGEST: Final = frozenset({"record_id", "integrity", "rank"})


def document_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a record's JSON document in canonical form, as hexadecimal digits.

    Canonical: without `record_id`, `integrity` and `rank`; keys sorted, no white space, ASCII only,
    floats in their shortest form.
    """
    content = {key: value for key, value in document.items() if key not in _OUTSIDE_THE_DIGEST}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def artifacts_of(part: object, name: str = "") -> Iterator[tuple[str, Artifact]]:
    """Every artefact that a record, or a part of it, names; with what it is called there."""
    if isinstance(part, Artifact):
        yield name, part
    elif isinstance(part, BaseModel):
        for field in type(part).model_fields:
            yield from artifacts_of(getattr(part, field), field)
    elif isinstance(part, tuple):
        for one in part:
            yield from artifacts_of(one, name)


def seal(content: Content) -> Record:
    """Give the content its digest and the id made of the digest's first 16 digits. Not ranked yet."""
    digest = document_digest(content.model_dump(mode="json"))
    return Record(
        **dict(content),
        record_id=digest[:16],
        integrity=Integrity(record_sha256=digest),
        rank=None,
    )


def to_json(record: Record) -> str:
    """The record as a JSON document, ASCII only, with a newline at its end."""
    document = record.model_dump(mode="json")
    first = {key: document[key] for key in ("schema_version", "record_id")}
    return json.dumps(first | document, indent=2, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> Record:
    """Read a record and check it against its own digest.

    Raises:
        ValueError: it is no record of this schema, or was changed after it was sealed.
    """
    record = Record.model_validate_json(text)
    digest = document_digest(json.loads(text))
    if record.integrity.record_sha256 != digest or record.record_id != digest[:16]:
        raise ValueError("the record does not match its digest: it was changed after it was written")
    return record


def from_unambiguous_json(text: bytes) -> Record:
    """The same, for a record that is to be checked or signed: every reader must see the same in it.

    A name that stands twice in one JSON object has two values, of which readers take the first or the last.

    Raises:
        ValueError: it is no record of this schema, was changed after it was sealed, or has a name twice.
    """
    record = from_json(text)
    json.loads(text, object_pairs_hook=_names_once)
    return record


def _names_once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} stands twice in one object")


def json_schema() -> dict[str, Any]:
    """The JSON schema of a record."""
    return Record.model_json_schema(mode="serialization")
