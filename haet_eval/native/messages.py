"""The messages between the host and a node: small JSON messages; arrays follow them in BLOCK frames."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from haet_eval.remote.messages import SHORT, Failed, Job, Message, Report, decode_untrusted

_MOST: Final = 2**50

_HexDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_BoundedCount = Annotated[int, Field(ge=0, le=_MOST)]


class NodeJob(Job):
    """To a node: its job. The training images, uint8, and their labels, int64, follow.

    Attributes:
        checkpoints: whether the last model given to `task.checkpoint` counts when the time is over.
        node: the number of this node; node 0 returns the model and predicts.
    """

    kind: Literal["setting"] = "setting"
    threads: int
    checkpoints: bool
    node: int


class Begin(Message):
    """To a node: run the submission. The clock has started."""

    kind: Literal["begin"] = "begin"


class ModelKept(Message):
    """To a node, in answer to a Model: whether the model was in time."""

    kind: Literal["kept"] = "kept"
    in_time: bool


class ImagesFollow(Message):
    """To a node: the test images follow, uint8."""

    kind: Literal["images"] = "images"
    shape: tuple[int, ...]


class Predict(Message):
    """To a node: predict all test images `iterations` times, and send the labels of the last pass."""

    kind: Literal["predict"] = "predict"
    iterations: int
    batch_size: int


class Loaded(Message):
    """The data has arrived and nothing of the submission has run. `problem`: why the node cannot go on."""

    kind: Literal["loaded"] = "loaded"
    torch: str = Field(max_length=SHORT)
    python: str = Field(max_length=SHORT)
    accelerator: str | None = Field(max_length=SHORT)
    problem: str = Field(max_length=SHORT)


class ModelOffered(Message):
    """A model that may be judged: its weights' digest and size as safetensors, and its stored numbers.

    `origin` is one of three: a checkpoint of a training that goes on, the model that `train` has returned, or
    the last kept checkpoint, because the time is over. In the last two cases the weights follow after the
    host has answered that they are in time.
    """

    kind: Literal["model"] = "model"
    origin: Literal["checkpoint", "returned", "last_checkpoint"]
    sha256: _HexDigest
    weights_bytes: _BoundedCount
    trainable: _BoundedCount
    frozen: _BoundedCount
    buffers: _BoundedCount


class TrainReturned(Message):
    """`train` has returned on a node other than node 0."""

    kind: Literal["finished"] = "finished"


class ImagesArrived(Message):
    """The test images have arrived."""

    kind: Literal["ready"] = "ready"


class LabelsFollow(Message):
    """The predicted labels follow, int64, one for each test image."""

    kind: Literal["labels"] = "labels"


FromNode = Loaded | ModelOffered | TrainReturned | ImagesArrived | LabelsFollow | Report | Failed
ToNode = NodeJob | Begin | ModelKept | ImagesFollow | Predict
_FROM_NODE: TypeAdapter[FromNode] = TypeAdapter(Annotated[FromNode, Field(discriminator="kind")])
_TO_NODE: TypeAdapter[ToNode] = TypeAdapter(Annotated[ToNode, Field(discriminator="kind")])


def from_node(payload: bytes) -> FromNode:
    """Decode a message of a node.

    Raises:
        WireError: the bytes are not such a message.
    """
    return decode_untrusted(_FROM_NODE, payload)


def to_node(payload: bytes) -> ToNode:
    """Decode a message of the host to a node."""
    return _TO_NODE.validate_json(payload)
