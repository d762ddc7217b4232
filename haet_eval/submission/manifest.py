"""`haet.toml`: what a submission says about itself. All of it is untrusted text."""

import difflib
import unicodedata
from typing import Annotated, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from haet_eval.archive.names import INVISIBLE
from haet_eval.competition import builtin_tasks
from haet_eval.errors import InvalidSubmission
from haet_eval.spelling import suggested_name
from haet_eval.toml import parse_toml

MANIFEST_NAME: Final = "haet.toml"

_MOST_BYTES = 64 * 1024
_JOINERS = frozenset("\u200c\u200d")  # Persian words and composed emoji need them

_EXAMPLE: Final = {
    "name": 'name = "ResNet-9, ten epochs"',
    "team": 'team = "Ada and Grace"',
    "task": 'task = "cifar10"',
    "entrypoint": 'entrypoint = "submission:train"',
    "description": 'description = "what the method does"',
    "paper": 'paper = "https://…"',
}


def _printable(text: str, allowed: str = "") -> str:
    for character in text:
        if (
            unicodedata.category(character) in INVISIBLE
            and character not in _JOINERS
            and character not in allowed
        ):
            raise ValueError(f"has the control or invisible character U+{ord(character):04X} in it")
    return text


def _printable_lines(text: str) -> str:
    return _printable(text.replace("\r\n", "\n"), allowed="\n\t")


def _line(max_length: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=max_length)


_Title = Annotated[str, _line(80), AfterValidator(_printable)]
_TaskName = Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
_Entrypoint = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
]
_Description = Annotated[str, _line(4000), AfterValidator(_printable_lines)]
_Paper = Annotated[
    str, StringConstraints(max_length=300, pattern=r"^https?://[^\s<>\"]+$"), AfterValidator(_printable)
]


class Manifest(BaseModel):
    """The table `[submission]` of `haet.toml`."""

    # Unknown keys are refused, because most of them are misspelt known ones.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Title
    team: _Title
    task: _TaskName
    entrypoint: _Entrypoint = "submission:train"
    description: _Description | None = None
    paper: _Paper | None = None

    @model_validator(mode="after")
    def _is_described(self) -> Self:
        if self.description is None and self.paper is None:
            raise ValueError('describe the method: add `description = "…"` or `paper = "https://…"`')
        return self


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    submission: Manifest


def read_manifest(content: bytes) -> Manifest:
    """Parse `haet.toml`.

    Raises:
        InvalidSubmission: names every key that is missing, unknown or wrong, and what to write.
    """
    if len(content) > _MOST_BYTES:
        raise InvalidSubmission(
            f"{MANIFEST_NAME} is larger than {_MOST_BYTES} bytes.", code="manifest-too-large"
        )
    try:
        table = parse_toml(content.decode())
    except ValueError as error:
        raise InvalidSubmission(f"{MANIFEST_NAME} is not valid TOML: {error}", code="manifest-toml") from None
    try:
        return _File.model_validate(table).submission
    except ValidationError as error:
        # At most five: a file of ten thousand wrong keys must not fill the record.
        problems = "; ".join(_problems(error.errors(include_url=False))[:5])
        problems += "" if problems.endswith("?") else "."
        raise InvalidSubmission(f"{MANIFEST_NAME}: {problems}", code="manifest-invalid") from None


def _problems(details: list[ErrorDetails]) -> list[str]:
    """Each mistake once: a misspelt key is not missing as well, nor are keys outside a table not begun."""
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    misspelt = {(*loc[:-1], meant) for loc in unknown if (meant := _meant(str(loc[-1]), len(loc) > 1))}
    told = [detail for detail in details if detail["type"] != "missing" or detail["loc"] not in misspelt]
    if any(detail["type"] == "missing" and detail["loc"] == ("submission",) for detail in told):
        told = [detail for detail in told if detail["loc"][0] not in Manifest.model_fields]
    return [_explain(detail) for detail in told]


def _explain(detail: ErrorDetails) -> str:
    """One problem in the words of someone who edits the file."""
    where = [str(part) for part in detail["loc"]]
    key = where[-1] if where else ""
    kind = detail["type"]
    if where == ["submission"] and kind in ("missing", "model_type"):
        return "the table [submission] is missing; begin the file with the line [submission]"
    if kind == "missing":
        return f"`{key}` is missing; add a line like {_EXAMPLE[key]}"
    if kind == "extra_forbidden":
        return _explain_unknown(key, inside=len(where) > 1)
    if kind == "string_type":
        return f"`{key}` must be text in quotes, as in {_EXAMPLE[key]}"
    if kind == "string_too_long":
        return f"`{key}` is longer than {detail['ctx']['max_length']} characters"
    if kind == "string_too_short":
        return f"`{key}` is empty; write something like {_EXAMPLE[key]}"
    if kind == "string_pattern_mismatch" and key == "entrypoint":
        return f"`entrypoint` is not of the form MODULE:FUNCTION, as in {_EXAMPLE[key]}"
    if kind == "string_pattern_mismatch" and key == "task":
        return _explain_task(str(detail["input"]))
    if kind == "string_pattern_mismatch":
        return f"`{key}` is not of the form {_EXAMPLE[key]}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"`{key}` {message}" if key in _EXAMPLE else message


def _explain_task(task: str) -> str:
    meant = suggested_name(task, builtin_tasks())
    return f"`task` is {task[:40]!r}, and the name of a task has small letters, digits and . _ - only{meant}"


def _explain_unknown(key: str, inside: bool) -> str:
    if meant := _meant(key, inside):
        return f"unknown key {key[:40]!r}; did you mean `{meant}`?"
    if key in Manifest.model_fields:
        return f"`{key}` stands outside the table; move it below the line [submission]"
    return f"unknown key {key[:40]!r}; the keys are {', '.join(f'`{name}`' for name in _known(inside))}"


def _meant(key: str, inside: bool) -> str:
    return next(iter(difflib.get_close_matches(key, _known(inside), n=1)), "")


def _known(inside: bool) -> list[str]:
    return list(Manifest.model_fields) if inside else ["submission"]
