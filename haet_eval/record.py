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

# A hundred digits: more than any count, and few enough that Python converts a hostile number at once.
_DECIMAL: Final = r"^(0|[1-9][0-9]{0,99})$"


class _CountSchema:
    """Validation in compiled code: a record holds hundreds of counts, a leaderboard thousands of records."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        digits = core_schema.str_schema(pattern=_DECIMAL, strict=True)
        return core_schema.json_or_python_schema(
            json_schema=core_schema.chain_schema([digits, core_schema.int_schema(strict=False)]),
            python_schema=core_schema.int_schema(ge=0, strict=True),
            # A string, since many readers of JSON keep numbers as doubles and round beyond 2⁵³.
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

# One zone, so that the same moment gives the same digest.
Moment: TypeAlias = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]

Stage: TypeAlias = Literal["unpack", "train", "predict", "score", "record"]

Sandbox: TypeAlias = Literal["docker", "process"]

EnergyKind: TypeAlias = Literal["measured", "estimated", "unavailable"]


class _RecordPart(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, json_schema_serialization_defaults_required=True
    )


class Status(_RecordPart):
    """What came of the evaluation."""

    verdict: Verdict
    """What it ended in. `interrupted` judges nothing: the record says how far an evaluation came that was
    stopped."""
    stage: Stage
    """The last stage that was reached."""
    reason: str
    """One sentence on why; empty if it qualified."""
    code: str = ""
    """The stable name of the reason, explained in [the catalogue of errors](errors.md); empty if there is
    none."""


class SourceFile(_RecordPart):
    """One file of the submission."""

    path: str
    """Relative, with forward slashes."""
    bytes: Size
    """Its size in bytes."""
    sha256: Sha256
    """Digest of its bytes."""


class SubmissionInfo(_RecordPart):
    """Who handed in what. Names and texts are the contestant's: untrusted."""

    name: str | None
    """The method's name, by the manifest; None if archive or manifest could not be read."""
    team: str | None
    """The team, by the manifest; None if that could not be read."""
    task: str | None
    """The task that it was judged for; None if archive or manifest could not be read."""
    sha256: Sha256
    """Digest of the content, the same for a folder and any zip of it: by it two submissions are one."""
    files: tuple[SourceFile, ...]
    """Its files; empty if archive or manifest could not be read."""
    archive_bytes: Size
    """Bytes of the file that was handed in, or of the zip that a folder was made into; in older records,
    those of the content."""
    source_bytes: Size
    """Bytes of the unpacked files."""
    description: str | None
    """What the manifest says of the method."""
    paper: str | None
    """The paper that the manifest names."""
    archive_sha256: Sha256 | None = None
    """Digest of that file or zip; None in older records."""
    archive_name: str | None = None
    """What the file or folder was called; None in older records."""
    received_at: Moment | None = None
    """When the organizer received it; None if nobody said."""
    source_bytes_compressed: Size | None = None
    """Bytes of a compressed zip of the files; None in records of version 1."""


class CompetitionInfo(_RecordPart):
    """The rules that were applied."""

    name: str
    """The competition's name."""
    digest: Sha256
    """Digest of the competition file."""
    ranking: Ranking = "complexity"
    """The figure that its prizes go by."""
    accuracy_intervals: tuple[float, ...] = ()
    """Lower bounds, as fractions from 0 to 1, of the intervals of accuracy that have a ranking each."""
    awards: Size | None = None
    """How many are awarded in each ranking; None if the record does not say."""
    judging_digest: Sha256 | None = None
    """Digest of the rules that judge the task; None in older records and for a task that the rules do not
    have."""
    counts: Counts = "first"
    """Which of several evaluations of one submission counts."""
    entries_per_team: Size | None = None
    """How many submissions of a team may rank; None for any number."""
    opens: Moment | None = None
    """The first moment at which entries are received; None for no bound."""
    closes: Moment | None = None
    """The last one; None for no bound."""
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    """The accuracy that qualifies, as a fraction from 0 to 1; None in older records and for a task that the
    rules do not have."""


class DatasetInfo(_RecordPart):
    """The data that was used."""

    name: str
    """The data set's name."""
    digest: Sha256
    """Digest of all images and labels, in order."""
    official: bool
    """Whether the digest is the published one."""


class Environment(_RecordPart):
    """Where it ran. None stands for what was not used or not reached."""

    sandbox: Sandbox
    """What held the submission's processes."""
    image_digest: str | None
    """Digest of the sandbox image."""
    torch: str | None
    """PyTorch's version."""
    python: str
    """Python's version."""
    device: str
    """Where the kernels ran, `cpu` or `cuda`."""
    accelerator: str | None
    """The accelerator's name."""
    seed: int
    """Of every random number generator, a number from 0 to 4294967295; of several runs, the one that their
    seeds are derived from."""
    haet_eval: str
    """The version of haet-eval."""
    platform: str
    """Kernel and libraries of the machine."""
    cpu: str
    """The processor's name."""
    threads: int | None
    """How many threads the kernels had."""
    runner: Runner = "counted"
    """`counted`: on handles that count; `native`: on plain tensors."""
    host: str | None = None
    """The machine's name."""
    cores: int | None = None
    """How many processors it has."""
    memory_bytes: Size | None = None
    """Bytes of memory that it has."""
    oci_runtime: str | None = None
    """What ran the containers, as `runc`."""


class Artifact(_RecordPart):
    """A file `artifacts/<sha256>.<suffix>` beside the record."""

    sha256: Sha256
    """Digest of the file."""
    bytes: Size
    """Its size in bytes."""


class HistogramArtifact(Artifact):
    """The operation histogram: how often each distinct call was made."""

    entries: Size
    """How many distinct signatures it has."""


class ReportHistory(Artifact):
    """What was given to `task.report`, a JSON object on each line."""

    reports: Size
    """How many reports were made."""
    kept: Size
    """How many are in the file, the first ones."""


class NotFinite(_RecordPart):
    """The first report with NaN as a value, or with an infinite loss."""

    report: Annotated[int, Field(ge=1)]
    """The number of the report, from 1."""
    name: str
    """The value's name."""
    value: str
    """What it was, as in `nan`."""


class OperatorCost(_RecordPart):
    """What one overload cost in all."""

    operator: str
    """The overload, as in `aten.add.Tensor`."""
    calls: Count
    """How many calls."""
    operations: Count
    """How many operations, of all calls."""


class UncountedOperator(_RecordPart):
    """An overload that the standard has no price for."""

    operator: str
    """The overload."""
    calls: Count
    """How many calls."""
    shapes: tuple[str, ...]
    """A few of the shapes that it ran with."""
    hint: str
    """What to write instead."""


class Operations(_RecordPart):
    """The operations of the training."""

    standard: int
    """The number of the version of the counting standard that priced them."""
    total: Count
    """How many operations; if `uncounted` is not empty, those of the priced operators only."""
    by_phase: dict[str, Count]
    """How many operations in each phase: initialisation, input, forward, backward, optimizer, other."""
    by_operator: tuple[OperatorCost, ...]
    """The same by overload, the dearest first."""
    uncounted: tuple[UncountedOperator, ...]
    """The overloads without a price."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        # Leaderboards show the total without a look at the artefacts.
        if sum(self.by_phase.values()) != self.total:
            raise ValueError("by_phase does not add up to total")
        if sum(line.operations for line in self.by_operator) != self.total:
            raise ValueError("by_operator does not add up to total")
        return self


class Parameters(_RecordPart):
    """Every number that the trained model stores, each distinct storage once."""

    total: Count
    """How many numbers: the sum of the three below."""
    trainable: Count
    """How many in parameters that require gradients."""
    frozen: Count
    """How many in other parameters."""
    buffers: Count
    """How many in buffers."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.trainable + self.frozen + self.buffers != self.total:
            raise ValueError("trainable, frozen and buffers do not add up to total")
        return self


class Precision(_RecordPart):
    """How wide the numbers of the training are."""

    by_dtype: dict[str, Count]
    """How many operations are computed in each dtype."""
    bit_operations: Count
    """Operations times bits: the sum of operations times the width of their dtype in bits."""
    parameter_bits: Count | None
    """Bits that the model's parameters and buffers are stored in; None if no model came back."""


class BytesMoved(_RecordPart):
    """What the calls of the training read and write, each element of a tensor once a call."""

    read: Count
    """Bytes that are read."""
    written: Count
    """Bytes that are written."""


class PeakCall(_RecordPart):
    """The call that made the peak of the memory. Operators, selects, slices and uploads are calls."""

    number: Annotated[int, Field(ge=1)]
    """Its number among the training's calls, from 1."""
    operator: str
    """The overload; `upload` for a constant that was sent up."""
    phase: str
    """The phase that it belongs to."""
    line: str | None = None
    """The line of the submission that first made such a call. The submission's own process says so, and
    nobody vouches for it."""
    module: str | None = None
    """The module that was called there, by the same process; None if no module was."""

    @property
    def place(self) -> str:
        """The line with its module, as in `submission.py:12 in Net.layers.0`; "" if no line is known."""
        return " in ".join(filter(None, (self.line, self.module))) if self.line else ""


class TensorMemory(_RecordPart):
    """The tensors of a training: all storages that lived when these took the most, each once.

    They are counted from the calls, not measured, and are the same on every machine.
    """

    peak_bytes: Size
    """Bytes at the peak, without the training set."""
    model_bytes: Size | None
    """Bytes of them that belong to the returned model; None if no model came back."""
    other_bytes: Size | None
    """Bytes of the rest; None if no model came back."""
    training_set_bytes: Size
    """Bytes of the training set, which is apart."""
    call: PeakCall | None
    """The call that made the peak; None if no tensor was made."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (self.model_bytes is None) != (self.other_bytes is None):
            raise ValueError("`model_bytes` and `other_bytes` come together")
        if self.model_bytes is not None and self.model_bytes + (self.other_bytes or 0) != self.peak_bytes:
            raise ValueError("model_bytes and other_bytes do not add up to peak_bytes")
        if (self.call is None) != (self.peak_bytes == 0):
            raise ValueError("a peak has a call that made it")
        return self


# Parts are floats that were rounded each by themselves.
_ROUNDING_SECONDS: Final = 1e-3


class TrainingPart(_RecordPart):
    """A part of a training that went on after an interruption, up to the next one or the end."""

    started_at: Moment
    """When it began."""
    host: str
    """The machine's name."""
    cpu: str
    """The processor's name."""
    accelerator: str | None
    """The accelerator's name; None without one."""
    wall_seconds: Seconds
    """Its share, in seconds, of the training's `wall_seconds`."""
    paused_seconds: Seconds
    """Its share, in seconds, of the training's `paused_seconds`."""
    catch_up_seconds: Seconds
    """Seconds in which the submission's process came to the checkpoint once more; part of none of the
    others."""
    submission_cpu_seconds: Seconds | None
    """Its share, in seconds, of the training's `submission_cpu_seconds`."""
    peak_memory_bytes: Size | None
    """Bytes of the executor's memory at their peak; None if not known."""


class Resumed(_RecordPart):
    """How a training went on that was interrupted."""

    parts: Annotated[tuple[TrainingPart, ...], Field(min_length=1)]
    """Its parts, in order."""
    restarts: Size
    """How many times it began again from its beginning, because it did not do the same as before."""


class Training(_RecordPart):
    """The counted training, as far as it came."""

    operations: Operations
    """What it computed, priced."""
    histogram: HistogramArtifact
    """The artefact that the prices are computed from."""
    parameters: Parameters | None
    """What the model stores; None if no model came back."""
    model: Artifact | None
    """The weights; None if no model came back."""
    wall_seconds: Seconds
    """Seconds that it took, without `paused_seconds`."""
    readback_bytes: Size
    """Bytes of values that the submission read."""
    upload_bytes: Size
    """Bytes of constants that it brought along."""
    peak_memory_bytes: Size | None
    """Bytes of the executor's memory at their peak, measured; None if not known."""
    messages: Size
    """How many messages the submission's process sent."""
    paused_seconds: Seconds = 0.0
    """Seconds in which the evaluation itself was stopped."""
    submission_cpu_seconds: Seconds | None = None
    """Seconds of processor time of the submission's own process since its start, imports included: what it
    computes there is not counted. None if not known."""
    timed_answers: Size | None = None
    """How many answers it waited for while data were worked on; None in records of version 1."""
    stalls: Size | None = None
    """How many times it was kept waiting because the executor had too much to do; None in records of version
    1."""
    constant_selects: Size | None = None
    """How many selects and slices were made of tensors that depend on no data: each can make a constant. None
    in records of version 1."""
    memory: TensorMemory | None = None
    """Memory of its tensors, counted; None in older records."""
    precision: Precision | None = None
    """How wide its numbers are; None in older records."""
    bytes_moved: BytesMoved | None = None
    """What its calls read and write; None in older records."""
    modelled_joules: Joules | None = None
    """Joules by the model of energy in the rules, not measured; None if the rules have none."""
    resumed: Resumed | None = None
    """Its parts; None if it was never interrupted."""
    labels: Artifact | None = None
    """Lines and modules of calls, by the submission's own process; None in older records."""

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
    """The training on plain tensors, not counted, as far as it came."""

    parameters: Parameters | None
    """What the submission's process said its model has; None if no model came back."""
    model: Artifact | None
    """The weights; None if no model came back."""
    wall_seconds: Seconds
    """Seconds by the clock of the host, from all nodes ready until the model is there."""
    peak_memory_bytes: Size | None
    """Bytes of memory at their peak; None if not known."""
    nodes: Annotated[int, Field(ge=1)]
    """How many nodes trained."""
    checkpoint_used: bool
    """Whether time was over, and the model last given to `task.checkpoint` stands for it."""


class Evaluation(_RecordPart):
    """The prediction of the test set."""

    accuracy: Annotated[float, Field(ge=0, le=1)]
    """By the competition's metric, as a fraction from 0 to 1."""
    correct: Size
    """How many images got their right label."""
    total: Annotated[int, Field(ge=1)]
    """How many images there are."""
    operations: Count | None
    """How many operations the whole prediction took; None if it ran on plain tensors."""
    predictions: Artifact
    """The predicted labels."""
    metric: Metric = "accuracy"
    """What `accuracy` is."""
    charged_operations: Count | None = None
    """How many operations are above the free ones, and count as complexity; None if it ran on plain tensors,
    and in records of version 1."""
    readback_bytes: Size | None = None
    """Bytes of values that the prediction read; None if it ran on plain tensors, and in records of version
    1."""
    nan_images: Size = 0
    """How many images have NaN among their logits, and so no label: they cannot be right."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.charged_operations or 0) > (self.operations or 0):
            raise ValueError("more operations are charged than were counted")
        # Exactly: the evaluator computes it by the same division.
        if self.metric == "accuracy" and self.accuracy != self.correct / self.total:
            raise ValueError("accuracy is not correct / total")
        return self


class Log(_RecordPart):
    """What the submission printed: untrusted text."""

    head: str
    """Its beginning."""
    tail: str
    """Its end."""
    dropped_bytes: Size
    """Bytes between them that were left out."""


class Run(_RecordPart):
    """One of several runs with different seeds."""

    seed: int
    """Of every random number generator, a number from 0 to 4294967295."""
    status: Status
    """What came of this run."""
    trace: Artifact | None
    """All that the submission's process sent."""
    training: Training | None
    """As in a record."""
    complexity: Count | None
    """How many parameters and operations, as in a record."""
    evaluation: Evaluation | None
    """As in a record."""
    log: Log
    """As in a record."""
    native: NativeTraining | None = None
    """As in a record."""
    energy: "Energy | None" = None
    """As in a record."""


class AccuracyStatistics(_RecordPart):
    """Of the runs that predicted. One run has neither deviation nor interval."""

    runs: Size
    """How many predicted."""
    mean: Annotated[float, Field(ge=0, le=1)]
    """Their mean accuracy, as a fraction from 0 to 1."""
    standard_deviation: Annotated[float, Field(ge=0)] | None
    """Of the sample, as a fraction."""
    confidence_95: tuple[float, float] | None
    """The 95 % interval of the mean, as fractions. It is Student's, as if accuracies were normally
    distributed, and may reach past 0 or 1."""


class ComplexityStatistics(_RecordPart):
    """Of the runs that could be counted."""

    runs: Size
    """How many could be counted."""
    mean: Count
    """Parameters and operations: how many on average, rounded up."""
    median: Count
    """How many in the median run, the lower one of two."""


class Statistics(_RecordPart):
    """What several runs are judged by."""

    accuracy: AccuracyStatistics | None
    """None if no run predicted."""
    complexity: ComplexityStatistics | None
    """None if no run could be counted."""
    passes: Literal["mean", "every", "one_sided"]
    """What must reach the threshold: the mean, every run, or the mean by a one-sided test."""
    p_value: float | None
    """Of the one-sided test, a probability from 0 to 1; None if the rules ask for none."""
    ranks: Literal["mean", "median"]
    """Which complexity ranks."""

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
    """Energy of one phase."""

    phase: EnergyPhase
    """Training or prediction."""
    joules: Joules
    """Joules in all."""
    seconds: Seconds
    """Seconds that it took."""
    idle_joules: Joules | None
    """Joules that the idle machine would have used in that time; None if that was not measured."""


class Quietness(_RecordPart):
    """What the machine did before the run."""

    load_average: Annotated[float, Field(ge=0)]
    """How many processes wanted a processor, on average of the last minute."""
    busy: Annotated[float, Field(ge=0, le=1)]
    """The fraction of its cores that was busy, from 0 to 1."""
    other_containers: Size | None
    """How many running containers are not ours; None if no engine was asked."""

    @property
    def quiet(self) -> bool:
        """Whether nothing else ran: less than a tenth of the cores was busy, and no other container ran."""
        return self.busy < _QUIET_BUSY and not self.other_containers


class Energy(_RecordPart):
    """Energy of all phases, gross: the share of the idle machine is part of it, and told apart."""

    kind: EnergyKind
    """An estimate is computed from processor time, and wins nothing."""
    meter: str
    """What measured it, as `rapl+nvml`."""
    covers: tuple[str, ...]
    """The parts of the machine that it covers."""
    joules: Joules | None
    """Joules of the ranked work: the training, or one prediction of the test set. None if that was not
    reached or nothing could be measured, which `note` explains."""
    iterations: Annotated[int, Field(ge=1)]
    """How many times the test set was predicted."""
    idle_watts: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    """Watts of the idle machine; None if that was not measured."""
    phases: tuple[PhaseEnergy, ...]
    """Each phase by itself."""
    samples: Size
    """How many readings were made."""
    longest_gap_seconds: Seconds
    """Seconds between two readings, at most."""
    quietness: Quietness
    """Whether the machine did other things."""
    note: str
    """Why something is missing; empty if nothing is."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.kind == "unavailable" and (self.joules is not None or self.phases):
            raise ValueError("energy that is unavailable has joules")
        return self

    def counts_for_prizes(self, device: str) -> bool:
        """Whether all that the device's runs use was measured, on a machine that did nothing else."""
        # With a GPU, processor and GPU both use energy: a part of it wins nothing.
        meters = {"rapl", "nvml"} if device == "cuda" else {"rapl"}
        return self.kind == "measured" and meters <= set(self.meter.split("+")) and self.quietness.quiet


AuditKind: TypeAlias = Literal["resplit", "disguise"]
"""What an audit trains on: another split of the images, or the same split in a disguise."""

AuditFlag: TypeAlias = Literal["failed", "gap", "drop", "cost", "operations"]
"""What an audit found: no predictions; the gap; the drop; much more complexity than what it audits; or, in
disguise, other operations than it."""


class Share(_RecordPart):
    """Right predictions among images."""

    correct: Size
    """How many are right."""
    total: Size
    """How many images."""


class Gap(_RecordPart):
    """How much better one share is than another."""

    points: Annotated[float, Field(ge=-100, le=100)]
    """Percentage points."""
    standard_error_points: Annotated[float, Field(ge=0, le=100)]
    """Percentage points: the standard error of the difference, if both shares are equal in truth."""
    p_value: Annotated[float, Field(ge=0, le=1)]
    """Of Fisher's exact test, a probability from 0 to 1: two-sided for the `gap` of an audit, one-sided for
    its `drop` and for both in records of version 1."""


class Audit(_RecordPart):
    """The same submission, with the seed of the (first) run, on changed images."""

    kind: AuditKind
    """Another split of the same images, or the same split in a disguise."""
    split_seed: Size
    """The number that split or disguise were drawn from."""
    dataset: DatasetInfo
    """The changed data."""
    run: Run
    """What came of it."""
    former_test: Share | None
    """Right predictions of former test images; None for a disguise, and without predictions."""
    former_train: Share | None
    """The same of former training images."""
    gap: Gap | None
    """How much better it predicts former test images than former training images; None if there are no
    shares."""
    drop: Gap | None
    """How much better the record does than `run` on former training images; in a disguise, on the test
    images. None without predictions."""
    flags: tuple[AuditFlag, ...]
    """What was found: no predictions, the gap, the drop, much more complexity than what it audits, or in
    disguise other operations."""


class Integrity(_RecordPart):
    """What the record can be checked against."""

    record_sha256: Sha256
    """Digest of the document in canonical form, without `record_id`, `integrity` and `rank`: keys sorted, no
    white space, ASCII."""


class Rank(_RecordPart):
    """The place among the qualified records that lie beside this one when it is shown; nothing in its file.

    Records compete if competition, task, sandbox, data and interval of accuracy are the same.
    """

    position: Annotated[int, Field(ge=1)]
    """The place, a number from 1."""
    of: Annotated[int, Field(ge=1)]
    """How many compete."""
    task: str
    """The task."""
    official: bool
    """Whether these were the Docker sandbox and the published data, and a ranked energy was measured on a
    machine that did nothing else."""


class Content(_RecordPart):
    """All that a record says of an evaluation, before it is sealed. Stages not reached are None.

    With several `runs`, `status` and `complexity` follow from their `statistics`, and `trace`, `training`,
    `native`, `energy`, `evaluation`, `reports` and `log` are those of one of them: the run whose ranked
    figure is the median, or the first that failed.
    """

    schema_version: Literal[1, 2] = 2
    """The number of the version of this form."""
    created_at: Moment
    """When the record was made."""
    status: Status
    """What came of it."""
    submission: SubmissionInfo
    """What was judged."""
    competition: CompetitionInfo | None
    """The rules."""
    dataset: DatasetInfo | None
    """The data."""
    environment: Environment
    """The machine and the software."""
    trace: Artifact | None
    """All that the submission's process sent: the proof of the count."""
    training: Training | None
    """The counted one. If there is a native one too, `evaluation`, `reports` and `log` are of the one that
    `environment.runner` names."""
    complexity: Count | None
    """How many parameters, operations of the training and charged operations of the prediction, together;
    None if parameters or operations are not known."""
    evaluation: Evaluation | None
    """How good the model is."""
    energy: Energy | None = None
    """Energy, if it was measured or estimated."""
    # JSON has no NaN; `not_finite` has the first report with one.
    reports: tuple[dict[str, int | Annotated[float, Field(allow_inf_nan=False)] | str], ...]
    """Values given to `task.report`, the first and the last of them: untrusted text and numbers, in units of
    the submission."""
    log: Log
    """What was printed."""
    runs: tuple[Run, ...] | None = None
    """All runs, if there are several."""
    statistics: Statistics | None = None
    """What several runs come to."""
    native: NativeTraining | None = None
    """The training on plain tensors."""
    audit: Audit | None = None
    """A second training on changed images, if it was asked for."""
    rerun_of: RecordId | None = None
    """The id of the record that this evaluation repeated, by `haet-eval verify --rerun`; such a record never
    ranks."""
    history: ReportHistory | None = None
    """The artefact with all reports."""
    not_finite: NotFinite | None = None
    """The first report with a value that is not finite."""
    second_audit: Audit | None = None
    """An audit of the other kind, if both were asked for."""

    @property
    def audits(self) -> tuple[Audit, ...]:
        """All of them."""
        return tuple(filter(None, [self.audit, self.second_audit]))

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        submission, rules = self.submission, self.competition
        training = self.training
        # Version 2 added these keys. A record that names version 1 and has them was not made by 0.1.0.
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
        # Otherwise an interruption could be read as a result (decision 0082).
        if self.status.verdict is Verdict.INTERRUPTED and self.evaluation is not None:
            raise ValueError("an interrupted record has no evaluation")
        if self.schema_version == 1 and self.submission.source_bytes_compressed is not None:
            raise ValueError("a record of version 1 has no `source_bytes_compressed`")
        if self.second_audit and (self.audit is None or self.audit.kind == self.second_audit.kind):
            raise ValueError("the second audit has no first one, or is of its kind")
        # Ranking and leaderboards take all of this for granted in a qualified record.
        reached = (self.competition, self.submission.task, self.dataset, cost, self.evaluation)
        if self.status.verdict is Verdict.QUALIFIED and None in reached:
            raise ValueError(
                "a qualified record has a competition, task, dataset, evaluation, and complexity or native"
            )
        return self


class Record(Content):
    """A sealed record: its content, named by the content's digest. Made by `seal`."""

    record_id: RecordId
    """The first 16 digits of `integrity.record_sha256`."""
    integrity: Integrity
    """Its digest."""
    rank: Rank | None
    """Its place, if it is shown with one."""

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


# The first two follow from the digest. The rank changes as other records come.
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
    # All fields and not a list of them: an export or a batch's parcel would lack the artefact of a field that
    # is added later.
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
    # A person who opens the file sees first which record it is; the digest does not depend on the order.
    first = {key: document[key] for key in ("schema_version", "record_id")}
    return json.dumps(first | document, indent=2, allow_nan=False) + "\n"


def from_json(text: str | bytes) -> Record:
    """Read a record and check it against its own digest.

    Raises:
        ValueError: it is no record of this schema, or was changed after it was sealed.
    """
    record = Record.model_validate_json(text)
    # Of the text and not of the model: an older record lacks keys that the model would add with their
    # defaults.
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
    # A second pass: `from_json` reads thousands of records for a listing, and only a check or a signature
    # needs this.
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
