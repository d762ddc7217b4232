"""The JSON messages beside the stream: small, rare, and checked field by field."""

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from haet_eval.remote.wire import TRACE_VERSION, WireError

MAX_MESSAGE_BYTES = 8 << 20
_SHORT = 200
_LONG = 100_000

_Kind = TypeVar("_Kind")


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


class Ready(Message):
    """The submission's process is up and asks for its job."""

    kind: Literal["ready"] = "ready"
    torch: str = Field(max_length=_SHORT)
    python: str = Field(max_length=_SHORT)


class Report(Message):
    """The submission called `task.report`."""

    kind: Literal["report"] = "report"
    values: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=_SHORT)]] = Field(
        max_length=32
    )


class ModelTensor(Message):
    """A tensor that the returned module registers."""

    name: str = Field(max_length=1000)
    handle: int = Field(ge=1)
    role: Literal["trainable", "frozen", "buffer"]


class Returned(Message):
    """`train` has returned a module; these are its tensors."""

    kind: Literal["returned"] = "returned"
    tensors: tuple[ModelTensor, ...] = Field(max_length=100_000)


class Failed(Message):
    """The submission's code has raised. `reason` is one line, `traceback` the frames of its own code."""

    kind: Literal["failed"] = "failed"
    reason: str = Field(max_length=_LONG)
    traceback: str = Field(max_length=_LONG)


class Predicted(Message):
    """The logits of the batch before (None at first); asks for the next batch."""

    kind: Literal["predicted"] = "predicted"
    logits: int | None


class Job(Message):
    """What the submission's process is to do. Times in seconds; `files` are the submission's own."""

    files: dict[str, str]
    module: str
    function: str
    images: tuple[int, ...]
    num_classes: int
    seed: int
    device: str
    time_budget_seconds: float


class Batch(Message):
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
    """Noise for a perturbed replay: each floating-point result is multiplied by 1 + scale · u, |u| ≤ 1."""

    scale: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)
    products_only: bool = False


class Start(Message):
    """To the executor: how to run. `trace_version`: of the trace that is replayed, if one is."""

    kind: Literal["start"] = "start"
    device: str
    threads: int
    trace_version: int = TRACE_VERSION
    noise: Noise | None = None


class Seal(Message):
    """To the executor: keep these tensors, drop all others, answer with the weights as safetensors."""

    kind: Literal["seal"] = "seal"
    tensors: tuple[ModelTensor, ...]


class TakeInventory(Message):
    """To the executor: answer with the inventory of its tensors."""

    kind: Literal["inventory"] = "inventory"


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


class Started(Message):
    """From the executor, in answer to Start."""

    torch: str = Field(max_length=_SHORT)
    accelerator: str | None = Field(max_length=_SHORT)


class WeightsFollow(Message):
    """From the executor, in answer to Seal: that many bytes come in BLOCK frames."""

    weights_bytes: int = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)


FromSubmission = Annotated[Ready | Report | Returned | Failed | Predicted, Field(discriminator="kind")]
ToExecutor = Annotated[Start | Load | Seal | TakeInventory | Argmax | Fit | Drop, Field(discriminator="kind")]
_FROM_SUBMISSION: TypeAdapter[Ready | Report | Returned | Failed | Predicted] = TypeAdapter(FromSubmission)
_TO_EXECUTOR: TypeAdapter[Start | Load | Seal | TakeInventory | Argmax | Fit | Drop] = TypeAdapter(ToExecutor)


def from_submission(payload: bytes) -> Ready | Report | Returned | Failed | Predicted:
    """Decode what a submission said.

    Raises:
        WireError: it is no such message.
    """
    return decode_untrusted(_FROM_SUBMISSION, payload)


def decode_untrusted(kinds: TypeAdapter[_Kind], payload: bytes) -> _Kind:
    """Decode a message of one of these kinds, whoever sent it.

    Raises:
        WireError: it is too large, or no such message.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise WireError(f"a control message of {len(payload):,} bytes")
    try:
        return kinds.validate_json(payload)
    except ValidationError as error:
        said = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"]
        raise WireError(f"a control message that breaks its schema: {said[:_SHORT]}") from None


def to_executor(payload: bytes) -> Start | Load | Seal | TakeInventory | Argmax | Fit | Drop:
    """Decode what the host asks of the executor."""
    return _TO_EXECUTOR.validate_json(payload)
