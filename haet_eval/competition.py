"""A competition is data: tasks, thresholds, ranking, limits and budgets, read from one TOML file."""

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from haet_eval.errors import InvalidSubmission, UsageProblem

_COMPETITION_OF_TASK = {"cifar10": "haet2021", "cifar100": "haet2021", "digits": "digits"}
_BUILTIN = files("haet_eval") / "resources" / "competitions"


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Limits(_Rules):
    """What a submission's archive may hold."""

    archive_bytes: int = Field(default=262_144, gt=0, description="Size of the zip.")
    unpacked_bytes: int = Field(default=1_048_576, gt=0, description="Sum of the sizes of its files.")
    entries: int = Field(default=200, gt=0, description="Files and folders in the zip.")


class Budgets(_Rules):
    """What one training and one prediction may use. A run that passes a budget ends with its verdict."""

    wall_seconds: int = Field(default=3600, gt=0, description="Wall time of the training.")
    memory_bytes: int = Field(default=8 * 2**30, gt=0, description="Memory of each container, without swap.")
    processes: int = Field(default=128, gt=0, description="Processes and threads in a container.")
    cpus: int = Field(default=2, gt=0, description="Processors that a container may keep busy, at most.")
    output_bytes: int = Field(default=8 * 2**20, gt=0, description="What the submission may print.")
    readback_bytes: int = Field(default=65_536, ge=0, description="Values that the submission may see.")
    upload_bytes: int = Field(default=4 * 2**20, ge=0, description="Constants that it may bring along.")
    messages: int = Field(default=2_000_000_000, gt=0, description="Operator calls of the training.")
    operations: int | None = Field(default=None, gt=0, description="Operations of the training, if bounded.")
    prediction_seconds: int = Field(default=600, gt=0, description="Wall time of the prediction.")
    prediction_batch_size: int = Field(default=200, gt=0, description="Test images in one forward pass.")
    prediction_operations_per_image: int = Field(
        default=5_000_000_000, gt=0, description="Operations of the prediction, a mean over the test images."
    )


class Task(_Rules):
    """One data set to train on. `budgets` has the competition's wherever the task sets none of its own."""

    dataset: str = Field(min_length=1, description="Name of the data set.")
    threshold: float = Field(ge=0, le=1, description="Least accuracy that qualifies, as a fraction.")
    budgets: Budgets = Field(default=Budgets(), description="Only those that differ from the competition's.")


class Runs(_Rules):
    """How a submission is judged by several runs of it (`--runs`). One run is judged by its own accuracy."""

    passes: Literal["mean", "every", "one_sided"] = Field(
        default="mean",
        description="What must reach the threshold: the mean accuracy, the accuracy of every run, or the "
        "mean in a one-sided t-test that finds it above.",
    )
    p: float = Field(default=0.05, gt=0, lt=1, description="Greatest p-value that passes `one_sided`.")
    ranks: Literal["mean", "median"] = Field(
        default="median", description="Which complexity of the runs is ranked."
    )


class Competition(_Rules):
    """The rules that a submission is judged by."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Short name, as on the command line.")
    title: str = Field(min_length=1, description="Name in full.")
    description: str = Field(min_length=1, description="What is asked, in prose.")
    ranking: Literal["complexity"] = Field(
        description="What qualified submissions are ranked by; least first."
    )
    awards: int = Field(ge=0, description="How many of each task are awarded.")
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    runs: Runs = Runs()
    tasks: dict[str, Task] = Field(min_length=1, description="By the name that a manifest uses.")

    @field_validator("tasks")
    @classmethod
    def _complete_budgets(cls, tasks: dict[str, Task], info: ValidationInfo) -> dict[str, Task]:
        shared = info.data.get("budgets", Budgets())
        return {name: _with_budgets(task, shared) for name, task in tasks.items()}

    @cached_property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of all of the rules as sorted JSON, defaults included."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return sha256(content.encode()).hexdigest()

    def task(self, name: str) -> Task:
        """The task that a manifest names.

        Raises:
            InvalidSubmission: the competition has no such task.
        """
        if name not in self.tasks:
            raise InvalidSubmission(_unknown_task(name, self.tasks, f"competition {self.name}"))
        return self.tasks[name]

    def budgets_for(self, task_name: str) -> Budgets:
        """The budgets of a task: its own, and the competition's for the rest.

        Raises:
            InvalidSubmission: the competition has no such task.
        """
        return self.task(task_name).budgets


def builtin_competitions() -> tuple[str, ...]:
    """Names of the competitions that come with the package, sorted."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _BUILTIN.iterdir()))


def competition_for_task(task: str) -> str:
    """The built-in competition that judges a task where the command line names none.

    Raises:
        InvalidSubmission: no built-in competition has such a task.
    """
    if task not in _COMPETITION_OF_TASK:
        raise InvalidSubmission(_unknown_task(task, _COMPETITION_OF_TASK, "any built-in competition"))
    return _COMPETITION_OF_TASK[task]


def load_competition(name_or_path: str) -> Competition:
    """A built-in competition by its name, or an organizer's own by the path of its TOML file.

    Raises:
        UsageProblem: there is none such, or the file is not a valid competition.
    """
    if name_or_path in builtin_competitions():
        return _parse((_BUILTIN / f"{name_or_path}.toml").read_text("utf-8"), name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        raise _no_such_competition(name_or_path)
    try:
        return _parse(path.read_text("utf-8"), name_or_path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{name_or_path} cannot be read: {error}", "It must be a UTF-8 text.") from error


def schema_text() -> str:
    """The JSON schema of a competition file, as it stands in `resources/competition.schema.json`."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Competition.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _with_budgets(task: Task, shared: Budgets) -> Task:
    own = task.budgets.model_dump(exclude_unset=True)
    return Task(dataset=task.dataset, threshold=task.threshold, budgets=Budgets(**shared.model_dump() | own))


def _parse(text: str, source: str) -> Competition:
    try:
        return Competition.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageProblem(
            f"{source} is no valid TOML: {error}", "Correct the file at that place."
        ) from error
    except ValidationError as error:
        faults = "; ".join(_fault(details) for details in error.errors())
        hint = "Compare it with a built-in competition; `resources/competition.schema.json` has every key."
        raise UsageProblem(f"{source} is no valid competition: {faults}", hint) from error


def _fault(details: ErrorDetails) -> str:
    """One validation error in words, led by its TOML key."""
    key = ".".join(str(part) for part in details["loc"])
    match details["type"]:
        case "missing":
            return f"`{key}` is missing"
        case "extra_forbidden":
            return f"`{key}` is no key of a competition{_suggestion(str(details['loc'][-1]), _keys())}"
        case _:
            wanted = details["msg"].removeprefix("Input ").removeprefix("String ")
            note = " (a fraction: 0.93 for 93 %)" if details["loc"][-1] == "threshold" else ""
            return f"`{key}` {wanted}{note}, and is {_shown(details['input'])}"


def _keys() -> set[str]:
    models: Sequence[type[BaseModel]] = (Competition, Task, Limits, Budgets, Runs)
    return {name for model in models for name in model.model_fields}


def _shown(value: Any) -> str:
    text = "a table" if isinstance(value, Mapping) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(name: str, known: Iterable[str]) -> str:
    match = get_close_matches(name, known, n=1)
    return f"; did you mean {match[0]}?" if match else ""


def _unknown_task(name: str, known: Iterable[str], where: str) -> str:
    return f"{_shown(name)} is no task of {where}; the tasks are {', '.join(known)}"


def _no_such_competition(name: str) -> UsageProblem:
    message = f"there is no competition {_shown(name)}{_suggestion(name, builtin_competitions())}"
    names = ", ".join(builtin_competitions())
    return UsageProblem(
        message, f"Built in are {names}. One of your own is named by the path of its TOML file."
    )
