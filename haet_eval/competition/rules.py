"""A competition is data: tasks, thresholds, ranking, limits and budgets."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction as Exact
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from math import ceil, lgamma, log
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from haet_eval.archive import ArchiveLimits
from haet_eval.competition.faults import unknown_task
from haet_eval.errors import InvalidSubmission, UsageProblem

Ranking: TypeAlias = Literal[
    "complexity",
    "peak_memory",
    "bit_complexity",
    "modelled_energy",
    "training_energy",
    "inference_energy",
    "training_time",
    "accuracy",
]
Column: TypeAlias = Literal["complexity", "peak_memory", "bit_complexity", "modelled_energy", "training_time"]
"""Costs that a leaderboard can show beside the ranked one."""

Runner: TypeAlias = Literal["counted", "native"]
Metric: TypeAlias = Literal["accuracy", "balanced_accuracy"]
"""`accuracy` is the fraction of images with their right label, `balanced_accuracy` the mean over the classes
of that fraction, so that each class counts alike however many images it has (Brodersen et al., 2010)."""

Counts: TypeAlias = Literal["first", "last", "best"]
"""Which of several evaluations of one submission takes its place."""


def _moment(value: object) -> object:
    """A date and time of RFC 3339 with its time zone, as text or as TOML's own, in UTC."""
    # A value that is not a date goes on to pydantic, which has a message for it.
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(found, datetime):
        # Without a time zone the deadline would depend on where the organizer's machine stands.
        if found.tzinfo is None:
            raise ValueError(
                "a time zone is missing: write 2026-05-01T12:00:00Z or 2026-05-01T14:00:00+02:00"
            )
        return found.astimezone(UTC)
    return found


CompetitionMoment: TypeAlias = Annotated[datetime, BeforeValidator(_moment)]
"""A date and time with its time zone."""

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]

DEFAULT_ITERATIONS: Final = 200
MAX_IMAGE_SIDE: Final = 1024

_ABOUT_ENTRIES: Final = ("organizer", "opens", "closes", "phases")
"""Keys that say who may enter when: they judge no submission."""

_ABOUT_BOARDS: Final = ("columns", "front")
"""Keys that say what leaderboards show beside the ranking."""

_MOMENTS_EACH_SECOND: Final = 100_000

_ARCHIVE: Final = ArchiveLimits()

# `accuracy` is not here: it can be ranked with either runner.
_RUNNER_OF_RANKING: Final[dict[str, Runner]] = {
    "complexity": "counted",
    "peak_memory": "counted",
    "bit_complexity": "counted",
    "modelled_energy": "counted",
    "training_energy": "native",
    "inference_energy": "native",
    "training_time": "native",
}


class _RulesPart(BaseModel):
    # Unknown keys are errors: a misspelt limit would otherwise leave the default in force, and nobody would
    # see it.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _later(default: Any, **constraints: Any) -> Any:
    """A key that came after the first version: left out of the dump, and so the digest, at its default."""
    return Field(default=default, exclude_if=lambda value: value == default, **constraints)


class Limits(_RulesPart):
    """What a submission's archive may hold."""

    archive_bytes: int = Field(default=_ARCHIVE.archive_bytes, gt=0, description="Size of the zip.")
    unpacked_bytes: int = Field(
        default=_ARCHIVE.unpacked_bytes, gt=0, description="Sum of the sizes of its files."
    )
    entries: int = Field(default=_ARCHIVE.entries, gt=0, description="Files and folders in the zip.")

    def for_archives(self) -> ArchiveLimits:
        """With the limits that no rules change."""
        return ArchiveLimits(**self.model_dump())


class Budgets(_RulesPart):
    """What one training and one prediction may use. A run that passes a budget ends with its verdict.

    Operations of the prediction up to the free ones cost nothing; those above count as complexity.
    """

    wall_seconds: int = Field(default=3600, gt=0, description="Wall time of the training.")
    memory_bytes: int = Field(default=8 * 2**30, gt=0, description="Memory of each container, without swap.")
    processes: int = Field(default=128, gt=0, description="Processes and threads in a container.")
    cpus: int = Field(default=2, gt=0, description="Processors that a container may keep busy, at most.")
    output_bytes: int = Field(default=8 * 2**20, gt=0, description="What the submission may print.")
    readback_bytes: int = Field(
        default=65_536,
        ge=0,
        description="Values that the submission may see. Without this key it is 1 % of the training images, "
        "compressed, if that is less than the default.",
    )
    timed_answers: int = Field(
        default=16_384,
        gt=0,
        description="Answers that may wait for work on the data: how long they take depends on it.",
    )
    upload_bytes: int = Field(default=4 * 2**20, ge=0, description="Constants that it may bring along.")
    messages: int = Field(default=2_000_000_000, gt=0, description="Operator calls of the training.")
    operations: int | None = Field(default=None, gt=0, description="Operations of the training, if bounded.")
    peak_tensor_bytes: int | None = _later(
        None,
        gt=0,
        description="Bytes that the tensors of the training may take at any call, without the training set, "
        "if bounded. They are counted by the calls, and are the same on every machine.",
    )
    submission_cpu_seconds: int = Field(
        default=60,
        gt=0,
        description="Processor time of the submission's own process, which counts nothing: so much for "
        "starting, imports included.",
    )
    submission_cpu_microseconds: int = Field(
        default=60, ge=0, description="And so much for each message, if operations pay for it."
    )
    submission_cpu_operations: int = Field(
        default=1_000_000_000,
        gt=0,
        description="Operations that pay for each second that messages add: messages that cost nothing add "
        "nothing.",
    )
    prediction_seconds: int = Field(default=600, gt=0, description="Wall time of the prediction.")
    prediction_batch_size: int = Field(default=200, gt=0, description="Test images in one forward pass.")
    prediction_operations_per_image: int = Field(
        default=100_000_000_000,
        gt=0,
        description="Operations of the prediction, a mean over the test images.",
    )
    prediction_free_operations_per_image: int = Field(
        default=2_000_000_000,
        ge=0,
        description="Operations of the prediction that cost nothing, a mean over the test images. "
        "Those above are added to the complexity.",
    )
    readback_reason: str | None = Field(
        default=None,
        min_length=1,
        description="Why `readback_bytes` is more than 1 % of the training images, compressed. Without a "
        "reason nothing is judged by such a file.",
    )
    prediction_readback_bytes: int = Field(
        default=64, ge=0, description="Values that the submission may see of each batch of the prediction."
    )

    def cpu_allowance_seconds(self, messages: int, operations: int) -> float:
        """Processor time that the submission's process may have used after these messages and operations.

        Args:
            messages: what it has sent so far: calls, frees and the like.
            operations: priced ones of these calls.
        """
        asked = messages * self.submission_cpu_microseconds / 1e6
        paid = operations / self.submission_cpu_operations
        return self.submission_cpu_seconds + min(asked, paid)

    def timing_bytes(self) -> int:
        """The most that a submission can learn of the data from when its answers come, in bytes.

        N answers fall into T / δ moments in one of C(T / δ, N) ways, of which one is log₂ of that number of
        bits. T is the time of training and prediction, δ = 10 µs what two processes can tell apart.
        """
        moments = (self.wall_seconds + self.prediction_seconds) * _MOMENTS_EACH_SECOND
        # The number of ways is greatest for half of the moments, and a budget of more answers reveals no less
        # than that.
        answers = min(self.timed_answers, moments // 2)
        # By logarithms: the number itself has millions of digits.
        ways = lgamma(moments + 1) - lgamma(answers + 1) - lgamma(moments - answers + 1)
        return ceil(ways / log(2) / 8)

    def charged_operations(self, operations: int, images: int) -> int:
        """Those operations of predicting so many images that count as complexity."""
        return max(0, operations - self.prediction_free_operations_per_image * images)


_OF_VERSION_1: Final[dict[str, int]] = {"prediction_operations_per_image": 5_000_000_000}
"""Defaults that later versions changed, as they were in 0.1.0."""

_SINCE_VERSION_2: Final = frozenset(
    {
        "prediction_free_operations_per_image",
        "prediction_readback_bytes",
        "readback_reason",
        "submission_cpu_microseconds",
        "submission_cpu_operations",
        "submission_cpu_seconds",
        "timed_answers",
    }
)
"""Budgets that 0.1.0 did not have. They bound counted runs only."""


class OwnData(_RulesPart):
    """An organizer's own images. Paths are relative to the competition file.

    A path leads to a folder with a folder of image files for each class, or to a .npz or .safetensors
    file with the arrays `images`, uint8 [N, C, H, W], and `labels`, integers [N].
    """

    train: str = Field(min_length=1, description="The training set: a folder, a .npz or .safetensors file.")
    test: str | None = Field(default=None, min_length=1, description="The test set, unless it is secret.")
    image_size: tuple[int, int] | None = _later(
        None,
        strict=False,
        description="Height and width that image files are resized to; without it all must be of one size.",
    )

    @field_validator("image_size")
    @classmethod
    def _plausible_size(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and not all(1 <= side <= MAX_IMAGE_SIDE for side in size):
            raise ValueError(f"sides are from 1 to {MAX_IMAGE_SIDE} pixels")
        return size


class Task(_RulesPart):
    """One data set to train on. `budgets` has the competition's wherever the task sets none of its own."""

    dataset: str = Field(min_length=1, description="Name of the data set; with `data`, any new name.")
    threshold: float = Field(
        ge=0, le=1, description="Least accuracy that qualifies, as a fraction; 0 asks for none."
    )
    budgets: Budgets = Field(default=Budgets(), description="Only those that differ from the competition's.")
    train_images: int | None = _later(
        None, ge=1, description="Train on that many images, drawn from the training set by `train_seed`."
    )
    train_seed: int | None = _later(None, ge=0, description="Seed of the draw of training images.")
    test_images: int | None = _later(
        None, ge=1, description="Test on that many images: drawn by `test_seed`, or those of a secret set."
    )
    test_seed: int | None = _later(None, ge=0, description="Seed of the draw of test images.")
    secret_test: bool = _later(
        False, description="The organizer gives the test set when evaluating, with `--test-data`."
    )
    data: OwnData | None = _later(None, description="Where an organizer's own data lie.")
    digest: str | None = _later(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Of the data that official records are judged on, as `haet-eval competition check` "
        "prints it. Needed where the data are the organizer's own, or the test set is secret.",
    )

    @model_validator(mode="after")
    def _has_its_data(self) -> Self:
        # A draw without a seed could not be repeated, and a seed without a number would look as if it did
        # something.
        if (self.train_images is None) != (self.train_seed is None):
            raise ValueError("`train_images` and `train_seed` go together")
        # With a secret set `test_images` says only how many images it must have.
        if self.secret_test and self.test_seed is not None:
            raise ValueError("nothing is drawn from a secret test set: remove `test_seed`")
        if not self.secret_test and (self.test_images is None) != (self.test_seed is None):
            raise ValueError("`test_images` and `test_seed` go together")
        if self.data is not None and self.secret_test == (self.data.test is not None):
            raise ValueError("either `data.test` names the test set, or `secret_test = true`")
        return self


_P: Final = 0.05


class Runs(_RulesPart):
    """How a submission is judged by several runs of it (`--runs`). One run is judged by its own accuracy."""

    passes: Literal["mean", "every", "one_sided"] = Field(
        default="mean",
        description="What must reach the threshold: the mean accuracy, the accuracy of every run, or the "
        "mean in a one-sided t-test that finds it above.",
    )
    p: float = Field(default=_P, gt=0, lt=1, description="Greatest p-value that passes `one_sided`.")
    ranks: Literal["mean", "median"] = Field(
        default="median", description="Which complexity of the runs is ranked."
    )
    counts: Counts = _later(
        "first",
        description="Which record of a submission ranks if it was evaluated more than once, with whatever "
        "seed: the `first` that was judged, the `last`, or the `best`.",
    )

    @model_validator(mode="after")
    def _has_its_test(self) -> Self:
        if self.p != _P and self.passes != "one_sided":
            raise ValueError('`p` needs `passes = "one_sided"`')
        return self


_Picojoules: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=False)]


class EnergyModel(_RulesPart):
    """What operations and bytes cost in a model of energy, in picojoules, with the source of the figures.

    The result is a model and not a measurement: every operation on a dtype costs the same, and every byte
    that a call reads or writes comes from the same memory.
    """

    source: str = Field(min_length=1, description="Where the figures are from: publication, year, process.")
    operation: dict[str, _Picojoules] = Field(
        min_length=1, description="Of one operation, by the dtype of its widest operand, as in `float32`."
    )
    other_operation: _Picojoules = Field(description="Of one operation on a dtype that is not listed.")
    byte: _Picojoules = Field(description="Of each byte that a call reads or writes.")

    def joules(self, by_dtype: Mapping[str, int], moved_bytes: int) -> float:
        """Modelled energy of so many operations on each dtype and so many bytes, in joules.

        The sum is exact and rounded once, so that it is the same everywhere.
        """
        # `str` gives the decimal of the file. The float itself is a binary number next to it, and sums of
        # floats depend on their order.
        operations = sum(
            Exact(str(self.operation.get(dtype, self.other_operation))) * count
            for dtype, count in by_dtype.items()
        )
        return float((operations + Exact(str(self.byte)) * moved_bytes) / 10**12)


class Phase(_RulesPart):
    """A part of a competition that has a board of its own, by the time when entries were received.

    It opens when the phase before it closes, the first one when the competition opens.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Short name, for `--phase`.")
    closes: CompetitionMoment = Field(description="When it ends.")


class Competition(_RulesPart):
    """The rules that a submission is judged by."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Short name, as on the command line.")
    title: str = Field(min_length=1, description="Name in full.")
    description: str = Field(min_length=1, description="What is asked, in prose.")
    ranking: Ranking = Field(
        description="What qualified submissions are ranked by: least first, but accuracy highest first."
    )
    awards: int = Field(ge=0, description="How many are awarded of each task, or of each accuracy interval.")
    metric: Metric = _later(
        "accuracy",
        description="What thresholds and rankings mean by accuracy: `accuracy` of all test images, or "
        "`balanced_accuracy`, the mean of the accuracies of the classes.",
    )
    runner: Runner = _later(
        "counted",
        description="`counted` runs on handles and counts; `native` on plain tensors, for time and energy.",
    )
    nodes: int = _later(1, ge=1, le=1024, description="Machines or containers that train together.")
    accuracy_intervals: tuple[Fraction, ...] = _later(
        (),
        strict=False,
        description="Bounds between the intervals of accuracy that are ranked apart, ascending, above 0 and "
        "below 1; [] for one ranking.",
    )
    inference_iterations: int = _later(
        DEFAULT_ITERATIONS,
        ge=1,
        description="Passes over the test set whose mean energy is ranked by `inference_energy`.",
    )
    overtime: Literal["fail", "checkpoint"] = _later(
        "fail",
        description="When the training's time is over: `checkpoint` judges the last model that it gave to "
        "`task.checkpoint`.",
    )
    entries_per_team: int | None = _later(
        None,
        ge=1,
        description="How many submissions of a team may rank in a task, the earliest received first. Those "
        "that failed before they were judged do not count. Without it there is no such limit.",
    )
    energy_model: EnergyModel | None = _later(
        None, description="Picojoules of operations and bytes, for `modelled_energy`."
    )
    columns: tuple[Column, ...] = _later(
        (), strict=False, description="Further costs that leaderboards show, in this order."
    )
    front: tuple[Column, ...] = _later(
        (),
        strict=False,
        description="Costs of the Pareto front that leaderboards mark: an entry is on it if no other is "
        "as good in accuracy and all of these, and better in one.",
    )
    organizer: str | None = _later(None, min_length=1, description="Who holds it, for the published page.")
    opens: CompetitionMoment | None = _later(
        None,
        description="When entries are received from: RFC 3339 with a time zone. Earlier ones are shown and "
        "do not rank.",
    )
    closes: CompetitionMoment | None = _later(
        None, description="When entries are received until. Later ones are evaluated, shown and do not rank."
    )
    phases: tuple[Phase, ...] = _later(
        (),
        strict=False,
        description="Phases that have boards of their own, in their order: a public board before the final "
        "one, say.",
    )
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    runs: Runs = Runs()
    # After `budgets`, since the validator of the tasks needs them: pydantic validates in this order.
    tasks: dict[str, Task] = Field(min_length=1, description="By the name that a manifest uses.")
    _folder: Path | None = PrivateAttr(default=None)
    _version: Literal[1, 2] = PrivateAttr(default=2)

    @field_validator("tasks")
    @classmethod
    def _complete_budgets(cls, tasks: dict[str, Task], info: ValidationInfo) -> dict[str, Task]:
        # Faulty budgets are absent here and are reported by themselves.
        shared = info.data.get("budgets", Budgets())
        return {name: _with_budgets(task, shared) for name, task in tasks.items()}

    @field_validator("accuracy_intervals")
    @classmethod
    def _ascend(cls, bounds: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(bounds)):
            raise ValueError("the bounds must ascend")
        if bounds and not (bounds[0] > 0 and bounds[-1] < 1):
            raise ValueError("the bounds must be above 0 and below 1: the first interval begins at 0")
        return bounds

    @field_validator("columns", "front")
    @classmethod
    def _are_different(cls, costs: tuple[Column, ...]) -> tuple[Column, ...]:
        if len(set(costs)) < len(costs):
            raise ValueError("a cost is named twice")
        return costs

    @model_validator(mode="after")
    def _can_be_shown(self) -> Self:
        if self.ranking in self.columns:
            raise ValueError(f'`ranking` shows "{self.ranking}" already: take it out of `columns`')
        for cost in (*self.columns, *self.front):
            # Counted trainings take time as well, so this column can always be shown.
            if self.runner != _RUNNER_OF_RANKING[cost] and cost != "training_time":
                raise ValueError(f'"{cost}" is counted, and with `runner = "{self.runner}"` nothing is')
            if cost == "modelled_energy" and self.energy_model is None:
                raise ValueError('"modelled_energy" in `columns` or `front` needs `[energy_model]`')
        return self

    @model_validator(mode="after")
    def _has_a_calendar(self) -> Self:
        ends = [*filter(None, [self.opens]), *(phase.closes for phase in self.phases)]
        # The last phase may end with the competition.
        ends += [self.closes] if self.closes and not (self.phases and self.closes == ends[-1]) else []
        if any(first >= second for first, second in pairwise(ends)):
            raise ValueError("`opens`, the `closes` of each of `phases` and `closes` must ascend")
        if len({phase.name for phase in self.phases}) < len(self.phases):
            raise ValueError("two of `phases` have one name")
        return self

    @model_validator(mode="after")
    def _can_be_measured(self) -> Self:
        wanted = _RUNNER_OF_RANKING.get(self.ranking, self.runner)
        if self.runner != wanted:
            raise ValueError(f'`ranking = "{self.ranking}"` needs `runner = "{wanted}"`')
        if self.nodes > 1 and self.ranking != "training_time":
            raise ValueError('more than one of `nodes` needs `ranking = "training_time"`')
        if self.inference_iterations != DEFAULT_ITERATIONS and self.ranking != "inference_energy":
            raise ValueError('`inference_iterations` needs `ranking = "inference_energy"`')
        if self.ranking == "modelled_energy" and self.energy_model is None:
            raise ValueError('`ranking = "modelled_energy"` needs `[energy_model]`')
        if self.overtime == "checkpoint" and self.runner != "native":
            raise ValueError('`overtime = "checkpoint"` needs `runner = "native"`')
        return self

    @property
    def folder(self) -> Path | None:
        """The folder of the competition file, which paths in it are relative to; None for a built-in one."""
        return self._folder

    def located(self, folder: Path) -> "Competition":
        """The same rules, read from a file in that folder."""
        # Rules are frozen, and other parts of the program may hold them.
        competition = self.model_copy()
        competition._folder = folder
        return competition

    @property
    def version(self) -> Literal[1, 2]:
        """1 of rules as 0.1.0 applied them, see `as_in_version_1`; else 2."""
        return self._version

    def as_in_version_1(self) -> "Competition":
        """The same file as 0.1.0 read it: the digest and the budgets that its records have.

        It is only good for checking such records: nothing is judged by it any more.
        """
        tasks = {name: _task_of_version_1(task) for name, task in self.tasks.items()}
        # Without validation: the parts have passed it, and it would fill the tasks' budgets with the present
        # defaults.
        older = Competition.model_construct(
            **dict(self) | {"budgets": _budgets_of_version_1(self.budgets), "tasks": tasks}
        )
        older._folder, older._version = self._folder, 1
        return older

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all of the rules as sorted JSON, defaults included.

        Keys that came with later versions are left out if they change nothing: the rules of older records
        keep their digest. What a path in the rules leads to is no part of it.
        """
        # Native rules have none of the later budgets, so they keep the digest that 0.1.0 gave them.
        later = self.version == 2 and self.runner == "counted"
        content = (self if later else self.as_in_version_1()).model_dump(mode="json")
        if not later:
            for budgets in (content["budgets"], *(task["budgets"] for task in content["tasks"].values())):
                for key in _SINCE_VERSION_2:
                    del budgets[key]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()

    def judging_digest(self, task_name: str) -> str:
        """Hexadecimal SHA-256 of what judges and ranks the submissions of a task, as sorted JSON.

        Left out are the name, the texts, the awards, the calendar, what leaderboards show, other tasks, and
        what says where the data lie: records of the same judging digest and the same data compete, whatever
        the file was called.

        Raises:
            InvalidSubmission: the competition has no such task.
        """
        task = self.task(task_name).model_dump(mode="json", exclude={"data", "digest"})
        rules = self.model_dump(
            mode="json",
            exclude={
                "name",
                "title",
                "description",
                "awards",
                "tasks",
                "budgets",
                *_ABOUT_ENTRIES,
                *_ABOUT_BOARDS,
            },
        )
        content = json.dumps({"rules": rules, "task": task}, sort_keys=True, separators=(",", ":"))
        return sha256(content.encode()).hexdigest()

    def window(self, phase: str | None = None) -> tuple[datetime | None, datetime | None]:
        """When entries of a phase, or of the whole competition, are received: from and until.

        Raises:
            UsageProblem: there is no such phase.
        """
        if phase is None:
            return self.opens, self.closes
        names = [one.name for one in self.phases]
        if phase not in names:
            known = f"Its phases are {', '.join(names)}." if names else "Its file has no `phases`."
            raise UsageProblem(f"{self.name} has no phase {phase!r}", known, code="phase-unknown")
        place = names.index(phase)
        return (self.phases[place - 1].closes if place else self.opens), self.phases[place].closes

    def task(self, name: str) -> Task:
        """The task that a manifest names.

        Raises:
            InvalidSubmission: the competition has no such task.
        """
        if name not in self.tasks:
            raise InvalidSubmission(
                unknown_task(name, self.tasks, f"competition {self.name}"), code="task-unknown"
            )
        return self.tasks[name]

    def budgets_for(self, task_name: str) -> Budgets:
        """The budgets of a task: its own, and the competition's for the rest.

        Raises:
            InvalidSubmission: the competition has no such task.
        """
        return self.task(task_name).budgets


def key_names() -> set[str]:
    """Every key that a competition file may have, in whichever table."""
    models: tuple[type[BaseModel], ...] = (
        *(Competition, Phase, Task, OwnData, Limits, Budgets, Runs, EnergyModel),
    )
    return {name for model in models for name in model.model_fields}


def _with_budgets(task: Task, shared: Budgets) -> Task:
    # Only what the file states: a default of the task must not replace what the competition states.
    own = task.budgets.model_dump(exclude_unset=True)
    merged = shared.model_dump(exclude_unset=True) | own
    return task.model_copy(update={"budgets": Budgets(**merged)})


def _task_of_version_1(task: Task) -> Task:
    return task.model_copy(update={"budgets": _budgets_of_version_1(task.budgets)})


def _budgets_of_version_1(budgets: Budgets) -> Budgets:
    return Budgets(**_OF_VERSION_1 | budgets.model_dump(exclude_unset=True))
