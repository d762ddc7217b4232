"""The JSON messages beside the stream: small, rare, and checked field by field."""

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
)

from haet_eval.remote.charges import MAX_STATES
from haet_eval.remote.wire import TRACE_VERSION, WireError

MAX_MESSAGE_BYTES = 8 << 20
REPORT_VALUES, REPORT_NAME, REPORT_TEXT = 1000, 100, 500
"""Limits of one report: values, and characters of a name and of a text. The rest is cut, with a note."""
MAX_STATE_BYTES = 16 << 10
"""The state of a generator: 5,056 bytes on a CPU."""
# The numbers 0 to 65,535, and the default generator.
MAX_GENERATORS = (1 << 16) + 1
SHORT = 200
LABEL_CHARACTERS = 200
"""The limit of each text of a label."""
_LONG = 100_000

_MessageKind = TypeVar("_MessageKind")


def sendable(text: str) -> str:
    """The text with an escape for each lone surrogate, which UTF-8 cannot encode: file names may hold one."""
    return text.encode("utf-8", "backslashreplace").decode()


Text = Annotated[str, BeforeValidator(lambda value: sendable(value) if isinstance(value, str) else value)]
"""Text that the submission chose. The sender escapes it, so an honest receiver has nothing left to escape."""


class Message(BaseModel):
    # Strict, as these messages come from untrusted processes: no text passes for a number, and nothing is
    # left over.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


class Ready(Message):
    """The submission's process is up and asks for its job."""

    kind: Literal["ready"] = "ready"
    torch: str = Field(max_length=SHORT)
    python: str = Field(max_length=SHORT)


class Report(Message):
    """The submission called `task.report`."""

    kind: Literal["report"] = "report"
    values: dict[
        # One more than the sender keeps, for the sign that a text was cut.
        Annotated[Text, Field(max_length=REPORT_NAME + 1)],
        int
        | Annotated[float, Field(allow_inf_nan=False)]
        | Annotated[Text, Field(max_length=REPORT_TEXT + 1)],
    ] = Field(max_length=REPORT_VALUES + 1)
    made_up: tuple[Annotated[Text, Field(max_length=REPORT_NAME + 1)], ...] = Field(
        default=(), max_length=REPORT_VALUES + 1
    )
    """Names of values that the check made up; an evaluation makes up no values."""


class Decided(Message):
    """To `haet-eval check`: at this line the submission's code decides by a value that the check made up."""

    kind: Literal["decided"] = "decided"
    place: str = Field(max_length=SHORT)


class Labelled(Message):
    """The line that makes the first call of this template, and the module that is called there."""

    kind: Literal["label"] = "label"
    template: int = Field(ge=0)
    line: Text = Field(max_length=LABEL_CHARACTERS)
    module: Text = Field(max_length=LABEL_CHARACTERS)


class ModelTensor(Message):
    """A tensor that the returned module registers."""

    name: Text = Field(max_length=1000)
    handle: int = Field(ge=1)
    role: Literal["trainable", "frozen", "buffer"]


class Returned(Message):
    """`train` has returned a module; these are its tensors."""

    kind: Literal["returned"] = "returned"
    tensors: tuple[ModelTensor, ...] = Field(max_length=100_000)

    @field_validator("tensors")
    @classmethod
    def _have_names_of_their_own(cls, tensors: tuple[ModelTensor, ...]) -> tuple[ModelTensor, ...]:
        """The file of the weights has one tensor for each name, and safetensors reserves one name."""
        names = [tensor.name for tensor in tensors]
        if len(set(names)) < len(names) or "__metadata__" in names:
            raise ValueError("two tensors of one name, or a name that safetensors keeps for itself")
        return tensors


class Failed(Message):
    """The submission's code raised an error. `reason` is one line, `traceback` the frames of its own code.

    `code` is that of what handles refuse; it is empty for another error.
    """

    kind: Literal["failed"] = "failed"
    reason: Text = Field(max_length=_LONG)
    traceback: Text = Field(max_length=_LONG)
    # Only codes of handles, so that a submission cannot give itself a code of the evaluator.
    code: str = Field(default="", pattern=r"^(handle-[a-z0-9]{1,20}(-[a-z0-9]{1,20})?)?$")


class BatchPredicted(Message):
    """The logits of the batch before (None at first); asks for the next batch."""

    kind: Literal["predicted"] = "predicted"
    logits: int | None


class Job(Message):
    """The job of the submission's process. Times in seconds; `files` are the submission's own."""

    files: dict[str, str]
    module: str
    function: str
    images: tuple[int, ...]
    num_classes: int
    seed: int
    device: str
    time_budget_seconds: float


class ImageBatch(Message):
    """Images to predict: their handle and shape, uint8. No handle: there are no more."""

    handle: int | None
    shape: tuple[int, ...] = ()


class Logits(Message):
    """In a trace: the tensor that was the prediction for a batch, [images, classes]."""

    handle: int
    classes: int


class Load(Message):
    """To the executor: a tensor follows in BLOCK frames."""

    kind: Literal["load"] = "load"
    dtype: str
    shape: tuple[int, ...]


class Noise(Message):
    """Noise for a perturbed replay: each floating-point result is multiplied by 1 + scale · u, |u| ≤ 1.

    Results of the templates in `spared`, by their number, stay exact.
    """

    scale: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    products_only: bool = False
    spared: tuple[int, ...] = ()


class Start(Message):
    """To the executor: how to run. `trace_version`: of the trace that is replayed, if one is.

    `nan_is_greatest`: a replay labels images with NaN among their logits as version 1 of the record did.
    """

    kind: Literal["start"] = "start"
    device: str
    threads: int
    trace_version: int = TRACE_VERSION
    nan_is_greatest: bool = False
    noise: Noise | None = None


class Seal(Message):
    """To the executor: keep these tensors, drop all others, answer with the weights as safetensors."""

    kind: Literal["seal"] = "seal"
    tensors: tuple[ModelTensor, ...]


class TakeInventory(Message):
    """To the executor: answer with the inventory of its tensors."""

    kind: Literal["inventory"] = "inventory"


class Mark(Message):
    """To the executor: answer when everything that came before is done."""

    kind: Literal["mark"] = "mark"


class Argmax(Message):
    """To the executor: answer with the arg max over the last dimension, as int64."""

    kind: Literal["argmax"] = "argmax"
    handle: int


class Fit(Message):
    """To the executor, under noise: cut or repeat the new tensors of the next answer to these sizes.

    `layouts` has shape and strides of each, in the order of the outputs.
    """

    kind: Literal["fit"] = "fit"
    layouts: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


class Drop(Message):
    """To the executor: forget these tensors."""

    kind: Literal["drop"] = "drop"
    handles: tuple[int, ...]


class TellMemory(Message):
    """To the executor: answer with its peak memory so far."""

    kind: Literal["memory"] = "memory"


class MemoryTold(Message):
    """From the executor, in answer to TellMemory."""

    peak_memory_bytes: int = Field(ge=0)


class TakeState(Message):
    """To the executor: answer with its state. `storages` has a tensor of each storage to send."""

    kind: Literal["take_state"] = "take_state"
    storages: tuple[int, ...]


class StateFollows(Message):
    """From the executor, in answer to TakeState: its state comes in BLOCK frames.

    First come the bytes of each storage, then the state of each of the `generators` (number and bytes), then
    each of the saved `states` of generators, by number (bytes).
    """

    peak_memory_bytes: int = Field(ge=0)
    generators: tuple[tuple[int, Annotated[int, Field(ge=0, le=MAX_STATE_BYTES)]], ...] = Field(
        max_length=MAX_GENERATORS
    )
    states: tuple[Annotated[int, Field(ge=0, le=MAX_STATE_BYTES)], ...] = Field(max_length=MAX_STATES)


class Restore(Message):
    """To a fresh executor that has its data: take up a state, whose bytes follow as those of StateFollows.

    `next` is the number of the next new tensor. Each of `storages` has its size in bytes, and the number of
    the data tensor whose storage it is; if that is 0, its bytes follow. Tensors come in Place messages.
    """

    kind: Literal["restore"] = "restore"
    next: int
    storages: tuple[tuple[int, int], ...]
    generators: tuple[tuple[int, int], ...]
    states: tuple[int, ...]


Placed: TypeAlias = tuple[int, int, str, tuple[int, ...], tuple[int, ...], int, int]
"""A tensor: its number, the place of its storage in Restore, dtype, shape, strides, offset, lazy bits."""


class PlaceTensors(Message):
    """To the executor, after Restore: these are its tensors, or some of them; `last` if no more come."""

    kind: Literal["place"] = "place"
    tensors: tuple[Placed, ...]
    last: bool


Laid: TypeAlias = tuple[str, tuple[int, ...], tuple[int, ...], int, int]
"""An input of a call: its dtype, shape, strides, offset and lazy bits before the call."""


class Recall(Message):
    """To the executor, after Restore: the next template. A BLOCK frame has the definition and the outcome."""

    kind: Literal["recall"] = "recall"
    definition_bytes: int
    inputs: tuple[Laid, ...]


class ExecutorStarted(Message):
    """From the executor, in answer to Start."""

    torch: str = Field(max_length=SHORT)
    accelerator: str | None = Field(max_length=SHORT)


class WeightsFollow(Message):
    """From the executor, in answer to Seal: that many bytes come in BLOCK frames."""

    weights_bytes: int = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)


FromSubmission: TypeAlias = Ready | Report | Decided | Labelled | Returned | Failed | BatchPredicted
ToExecutor: TypeAlias = (
    Start
    | Load
    | Seal
    | TakeInventory
    | Mark
    | TellMemory
    | Argmax
    | Fit
    | Drop
    | TakeState
    | Restore
    | PlaceTensors
    | Recall
)
_FROM_SUBMISSION: TypeAdapter[FromSubmission] = TypeAdapter(
    Annotated[FromSubmission, Field(discriminator="kind")]
)
_TO_EXECUTOR: TypeAdapter[ToExecutor] = TypeAdapter(Annotated[ToExecutor, Field(discriminator="kind")])


def from_submission(payload: bytes) -> FromSubmission:
    """Decode a message of the submission.

    Raises:
        WireError: the bytes are not such a message.
    """
    return decode_untrusted(_FROM_SUBMISSION, payload)


def decode_untrusted(kinds: TypeAdapter[_MessageKind], payload: bytes) -> _MessageKind:
    """Decode a message of one of these kinds, whoever sent it.

    Raises:
        WireError: the bytes are too many, or not such a message.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError(f"a control message of {len(payload):,} bytes")
    try:
        return kinds.validate_json(payload)
    except ValidationError as error:
        said = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        raise WireError(f"a control message that breaks its schema: {said[:SHORT]}") from None


def to_executor(payload: bytes) -> ToExecutor:
    """Decode a message of the host to the executor."""
    return _TO_EXECUTOR.validate_json(payload)
