"""The wire between submission, meter and executor: frames, records, values. Torch-free, no pickle.

A frame is a 4-byte length, one byte that names its channel, and a payload. The payload of the stream
channel is a sequence of records; a record that wants an answer is the last of its frame. Everything is
little-endian. Every reader checks bounds and raises `WireError`; it never trusts a length in the bytes.

Tensors are named by *handles*: both sides number new tensors 1, 2, 3, … in the order in which they are made.
So no message carries the number of a new tensor, which a hostile client could choose.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias, TypeVar

from haet_eval.operators import dtypes
from haet_eval.operators.signature import SPECIAL_FLOATS, TensorMeta

MAX_FRAME_BYTES: Final = 64 << 20
MAX_DEFINITION_BYTES: Final = 1 << 20
# Room for all that PyTorch returns to honest code (decision 0053). A result that needs more fails the
# submission, not the machine.
MAX_OUTCOME_BYTES: Final = 4 << 20
BLOCK_BYTES: Final = 4 << 20
"""What a frame takes of bytes that follow a message."""

MAX_DIMENSIONS: Final = dtypes.MAX_DIMENSIONS
MAX_ARGUMENTS: Final = 64
# The reader recurses into lists. Without a limit a hostile definition could exhaust the stack of the meter's
# process.
MAX_DEPTH: Final = 3
ANY_FLOAT: Final = 255

DTYPES: Final = dtypes.DTYPES
ITEM_BYTES: Final = {dtype: dtypes.item_bytes(dtype) for dtype in DTYPES}
FORMATS: Final = dtypes.FORMATS


_BytesLike = TypeVar("_BytesLike", bytes, memoryview)


class WireError(Exception):
    """Bytes that break the protocol."""


class Channel(IntEnum):
    """The content of a frame."""

    STREAM = 0  # operator records; passed on to the executor once they are checked
    CONTROL = 1  # a JSON message between the submission and the host
    OUTPUT = 2  # output of the submission
    HOST = 3  # a JSON message from the host to the executor
    BLOCK = 4  # raw bytes that belong to the HOST message before


class AnswerStatus(IntEnum):
    """First byte of every answer."""

    OK = 0
    REFUSED = 1  # this call is not possible; the submission may go on
    FATAL = 2  # the run is over
    MISMATCH = 3  # from the executor: a tensor is not what the call's template says; the run is over
    MADE_UP = 4  # from the check, instead of OK: nothing was computed, and this value stands in for one
    CHARGED = 5  # to the submission, instead of OK: the answer depends on data and was charged as read back


class Code(IntEnum):
    """First byte of a record of the stream."""

    CALL = 1  # template, handles, floats
    DYNAMIC = 2  # the same, of a template whose outputs depend on data: answered
    DEFINE = 3  # a new template, and its first call: answered
    SELECT = 4
    SLICE = 5
    FREE = 6
    UPLOAD = 7
    SEED = 8
    READ = 9  # answered
    SAVE_STATE = 10
    LOAD_STATE = 11
    PHASE = 12


SELECT: Final = struct.Struct("<BQBq")  # code, handle, dimension, index
SLICE: Final = struct.Struct("<BQBqqq")  # code, handle, dimension, start, end, step
SEED: Final = struct.Struct("<BqQ")  # code, generator, seed
STATE: Final = struct.Struct("<BqI")  # code, generator, number of the saved state
READ: Final = struct.Struct("<BQ")  # code, handle
PHASE: Final = struct.Struct("<BB")  # code, phase
COUNTED: Final = struct.Struct("<BI")  # code, a count or a length
FRAME: Final = struct.Struct("<IB")  # length of the payload, channel
_U8, _U16, _U32, _I64 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<q")
_F64, _C128 = struct.Struct("<d"), struct.Struct("<dd")

_BITS_SHIFT: Final = 6
"""In the first byte of a tensor's metadata the dtype takes six bits, the lazy bits the two above."""

DEFAULT_GENERATOR: Final = -1

TRACE_VERSION: Final = 3
"""Version 2 had no lazy bits in metadata, no inventories, and outputs that need not fill their memory."""


def frame(channel: Channel, payload: bytes | bytearray) -> bytes:
    """A whole frame, ready to be sent."""
    return FRAME.pack(len(payload), channel) + payload


def blocks(content: _BytesLike) -> Iterator[_BytesLike]:
    """Bytes that follow a message, cut into the payloads of frames."""
    return (content[start : start + BLOCK_BYTES] for start in range(0, len(content), BLOCK_BYTES))


def call_layout(tensors: int, floats: int) -> struct.Struct:
    """Layout of a CALL or DYNAMIC record: code, template, the tensors' handles, the floats."""
    return struct.Struct(f"<BI{tensors}Q{floats}d")


class Tag(IntEnum):
    """First byte of a value."""

    NONE = 0
    FALSE = 1
    TRUE = 2
    INT = 3
    FLOAT = 4  # its value travels with each call; this only says which special value it is, if any
    CONSTANT = 5  # a float that is part of the template, as the shape depends on it
    COMPLEX = 6
    STRING = 7
    LIST = 8
    TENSOR = 9  # its handle travels with each call
    DTYPE = 10
    FORMAT = 11
    LAYOUT = 12
    DEVICE = 13
    GENERATOR = 14
    FRESH = 15  # an output: a new tensor
    INPUT = 16  # an output: the n-th tensor among the inputs


@dataclass(frozen=True, slots=True)
class Atom:
    """A value for which Python has no type: its tag, and the value that goes with the tag.

    FLOAT: index into SPECIAL_FLOATS or ANY_FLOAT. DTYPE, FORMAT: their name. GENERATOR, INPUT: a number.
    """

    tag: Tag
    value: int | str = 0


_DEVICE, _LAYOUT = Atom(Tag.DEVICE), Atom(Tag.LAYOUT)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A new tensor among the outputs. `alias`: which input it shares storage with, or -1."""

    meta: TensorMeta
    alias: int


Value: TypeAlias = bool | int | float | complex | str | Atom | Fresh | tuple["Value", ...] | None


@dataclass(frozen=True, slots=True)
class Definition:
    """A template: an operator with its arguments by schema name, tensors and floats left open."""

    operator: str
    arguments: dict[str, Value]
    tensors: int
    floats: tuple[int, ...]  # for each open float its index into SPECIAL_FLOATS, or ANY_FLOAT


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outputs of a call, one entry for each returned value; `changed` are inputs with new metadata."""

    outputs: tuple[Value, ...]
    changed: tuple[tuple[int, TensorMeta], ...]


def float_class(number: float) -> int:
    """Index of a float among SPECIAL_FLOATS, or ANY_FLOAT."""
    return SPECIAL_FLOATS.index(number) if number in SPECIAL_FLOATS else ANY_FLOAT


class Writer:
    """Appends values to a buffer."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def text(self, text: str) -> None:
        raw = text.encode()
        if len(raw) > 255:
            raise WireError("text longer than 255 bytes")
        self.buffer += _U8.pack(len(raw)) + raw

    def meta(self, meta: TensorMeta) -> None:
        # The writer refuses what the reader refuses. A stride can overflow, as in `view_as_real` of a stride
        # of 2**62. The meter would take such an answer for a fault of the executor, and so of the machine.
        _check_dimensions(meta.ndim)
        _check_signs((*meta.shape, *meta.stride, meta.offset))
        self.buffer += bytes((DTYPES.index(meta.dtype) | meta.bits << _BITS_SHIFT, meta.ndim))
        self.buffer += struct.pack(f"<{2 * meta.ndim + 1}q", *meta.shape, *meta.stride, meta.offset)

    def value(self, value: Value) -> None:
        out = self.buffer
        if value is None:
            out.append(Tag.NONE)
        # A truth value is an int in Python as well, so it must be tested first.
        elif isinstance(value, bool):
            out.append(Tag.TRUE if value else Tag.FALSE)
        elif isinstance(value, int):
            out.append(Tag.INT)
            out += _I64.pack(value)
        elif isinstance(value, float):
            out.append(Tag.CONSTANT)
            out += _F64.pack(value)
        elif isinstance(value, complex):
            out.append(Tag.COMPLEX)
            out += _C128.pack(value.real, value.imag)
        elif isinstance(value, str):
            out.append(Tag.STRING)
            self.text(value)
        elif isinstance(value, tuple):
            out.append(Tag.LIST)
            out += _U16.pack(len(value))
            for item in value:
                self.value(item)
        elif isinstance(value, Fresh):
            out.append(Tag.FRESH)
            self.place(value.alias)
            self.meta(value.meta)
        else:
            self._atom(value)

    def _atom(self, atom: Atom) -> None:
        self.buffer.append(atom.tag)
        if atom.tag is Tag.DTYPE:
            self.buffer.append(DTYPES.index(str(atom.value)))
        elif atom.tag is Tag.FORMAT:
            self.buffer.append(FORMATS.index(str(atom.value)))
        elif atom.tag is Tag.FLOAT:
            self.buffer.append(int(atom.value))
        elif atom.tag in (Tag.GENERATOR, Tag.INPUT):
            self.place(int(atom.value))

    def place(self, number: int) -> None:
        """The number of an input or a generator. -1 (no input, default generator) travels as 0xFFFF."""
        # Cut to 16 bits, it would be the number of another one.
        if number >= 0xFFFF:
            raise WireError(f"an input or a generator of the number {number:,}: it must be below 65,535")
        self.buffer += _U16.pack(number & 0xFFFF)


def _check_dimensions(dimensions: int) -> None:
    if dimensions > MAX_DIMENSIONS:
        raise WireError(f"a tensor of {dimensions} dimensions, more than {MAX_DIMENSIONS}")


def _check_signs(numbers: tuple[int, ...]) -> None:
    if min(numbers) < 0:
        raise WireError("negative size, stride or offset")


class Reader:
    """Reads values from a buffer, within its bounds.

    Raises:
        WireError: from every method, if the bytes break the format.
    """

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self.data = data
        self.position = position
        self.tensors = 0
        self.floats: list[int] = []

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        try:
            values = layout.unpack_from(self.data, self.position)
        except struct.error:
            raise WireError("a record is cut short") from None
        self.position += layout.size
        return values

    def number(self, layout: struct.Struct) -> int:
        return self.unpack(layout)[0]

    def raw(self, length: int) -> bytes:
        end = self.position + length
        if length < 0 or end > len(self.data):
            raise WireError("a record is cut short")
        part = bytes(self.data[self.position : end])
        self.position = end
        return part

    def rest(self) -> bytes:
        """Everything up to the end."""
        return self.raw(len(self.data) - self.position)

    def text(self) -> str:
        try:
            return self.raw(self.number(_U8)).decode()
        except UnicodeDecodeError:
            raise WireError("text that is no UTF-8") from None

    def name(self, names: tuple[str, ...]) -> str:
        index = self.number(_U8)
        if index >= len(names):
            raise WireError(f"unknown name {index}")
        return names[index]

    def meta(self) -> TensorMeta:
        head = self.number(_U8)
        index, bits = head & (1 << _BITS_SHIFT) - 1, head >> _BITS_SHIFT
        if index >= len(DTYPES):
            raise WireError(f"unknown dtype {index}")
        dimensions = self.number(_U8)
        _check_dimensions(dimensions)
        numbers = self.unpack(struct.Struct(f"<{2 * dimensions + 1}q"))
        _check_signs(numbers)
        return TensorMeta(numbers[:dimensions], numbers[dimensions:-1], numbers[-1], DTYPES[index], bits)

    def value(self, depth: int = 0) -> Value:
        try:
            tag = Tag(self.number(_U8))
        except ValueError:
            raise WireError("unknown tag of a value") from None
        if tag is Tag.LIST:
            length = self.number(_U16)
            if depth >= MAX_DEPTH:
                raise WireError("a list too deep")
            return tuple(self.value(depth + 1) for _ in range(length))
        return self._scalar(tag)

    def _scalar(self, tag: Tag) -> Value:
        match tag:
            case Tag.NONE:
                return None
            case Tag.FALSE | Tag.TRUE:
                return tag is Tag.TRUE
            case Tag.INT:
                return self.number(_I64)
            case Tag.CONSTANT:
                return float(self.unpack(_F64)[0])
            case Tag.COMPLEX:
                return complex(*self.unpack(_C128))
            case Tag.STRING:
                return self.text()
            case Tag.FRESH:
                alias = self.number(_U16)
                return Fresh(self.meta(), -1 if alias == 0xFFFF else alias)
            case _:
                return self._atom(tag)

    def _atom(self, tag: Tag) -> Atom:
        if tag is Tag.DTYPE:
            return Atom(tag, self.name(DTYPES))
        if tag is Tag.FORMAT:
            return Atom(tag, self.name(FORMATS))
        if tag is Tag.INPUT:
            return Atom(tag, self.number(_U16))
        if tag is Tag.GENERATOR:
            number = self.number(_U16)
            return Atom(tag, DEFAULT_GENERATOR if number == 0xFFFF else number)
        if tag is Tag.TENSOR:
            # The bytes carry no position: tensors are numbered as they come, and so are the handles of each
            # call.
            self.tensors += 1
            return Atom(tag, self.tensors - 1)
        if tag is Tag.FLOAT:
            special = self.number(_U8)
            if special != ANY_FLOAT and special >= len(SPECIAL_FLOATS):
                raise WireError("unknown class of a float")
            self.floats.append(special)
            return Atom(tag, special)
        return _DEVICE if tag is Tag.DEVICE else _LAYOUT

    def end(self) -> None:
        if self.position != len(self.data):
            raise WireError("bytes left over at the end of a message")


def encode_definition(definition: Definition) -> bytes:
    """The body of a DEFINE record, without its first call."""
    writer = Writer()
    writer.text(definition.operator)
    writer.buffer.append(len(definition.arguments))
    for name, value in definition.arguments.items():
        writer.text(name)
        writer.value(value)
    return bytes(writer.buffer)


def definition_in(record: bytes) -> bytes:
    """The encoded definition in a whole DEFINE record, without the record's head and the first call."""
    _, length = COUNTED.unpack_from(record)
    return record[COUNTED.size : COUNTED.size + length]


def decode_definition(data: bytes | memoryview) -> Definition:
    """Inverse of `encode_definition`.

    Raises:
        WireError: not a definition, or one that names an argument twice.
    """
    if len(data) > MAX_DEFINITION_BYTES:
        raise WireError("a definition that is too long")
    reader = Reader(data)
    operator = reader.text()
    count = reader.number(_U8)
    if count > MAX_ARGUMENTS:
        raise WireError("too many arguments")
    arguments: dict[str, Value] = {}
    for _ in range(count):
        name = reader.text()
        if name in arguments:
            raise WireError("an argument given twice")
        arguments[name] = reader.value()
    reader.end()
    # Arguments and outputs share their tags. An output here would be an argument without a handle, which no
    # check of arguments expects.
    if any(_is_output(value) for value in flatten(tuple(arguments.values()))):
        raise WireError("an output among the arguments")
    return Definition(operator, arguments, reader.tensors, tuple(reader.floats))


def encode_outcome(outcome: Outcome) -> bytes:
    """The answer to a DEFINE or DYNAMIC record.

    Raises:
        WireError: `decode_outcome` would refuse it: a tensor has too many dimensions or a stride that has
            overflown, or it is too long.
    """
    writer = Writer()
    writer.value(outcome.outputs)
    writer.buffer += _U16.pack(len(outcome.changed))
    for position, meta in outcome.changed:
        writer.place(position)
        writer.meta(meta)
    _check_outcome_length(writer.buffer)
    return bytes(writer.buffer)


def decode_outcome(data: bytes | memoryview, inputs: int) -> Outcome:
    """Inverse of `encode_outcome`, for a call with that many input tensors.

    Raises:
        WireError: not an outcome, or one that refers to an input that does not exist.
    """
    _check_outcome_length(data)
    reader = Reader(data)
    outputs = reader.value()
    if not isinstance(outputs, tuple):
        raise WireError("outputs are no list")
    changed = []
    for _ in range(reader.number(_U16)):
        position = reader.number(_U16)
        changed.append((position, reader.meta()))
    reader.end()
    # The executor may be taken over. The meter indexes its inputs with these numbers, so all must be in
    # range.
    for value in flatten(outputs):
        if isinstance(value, str) or (isinstance(value, Atom) and value.tag is not Tag.INPUT):
            raise WireError("an argument among the outputs")
        alias = value.alias if isinstance(value, Fresh) else -1
        chosen = int(value.value) if isinstance(value, Atom) and value.tag is Tag.INPUT else -1
        if max(alias, chosen) >= inputs:
            raise WireError("an output that refers to no input")
    if any(position >= inputs for position, _ in changed):
        raise WireError("a change of no input")
    return Outcome(outputs, tuple(changed))


def _check_outcome_length(data: bytes | bytearray | memoryview) -> None:
    if len(data) > MAX_OUTCOME_BYTES:
        raise WireError("more outputs than one answer can describe")


def without_bits(data: bytes, inputs: int) -> bytes:
    """An outcome as traces of version 2 hold it, without lazy bits; `inputs` as in `decode_outcome`."""
    outcome = decode_outcome(data, inputs)
    changed = tuple((position, replace(meta, bits=0)) for position, meta in outcome.changed)
    return encode_outcome(Outcome(tuple(map(_without_bits, outcome.outputs)), changed))


def _without_bits(value: Value) -> Value:
    if isinstance(value, tuple):
        return tuple(map(_without_bits, value))
    return Fresh(replace(value.meta, bits=0), value.alias) if isinstance(value, Fresh) else value


def _is_output(value: Value) -> bool:
    return isinstance(value, Fresh) or (isinstance(value, Atom) and value.tag is Tag.INPUT)


def flatten(value: Value) -> Iterator[Value]:
    """Every value that is not a list, depth first."""
    if isinstance(value, tuple):
        for item in value:
            yield from flatten(item)
    else:
        yield value


def encode_upload(meta: TensorMeta, raw: bytes) -> bytes:
    """An UPLOAD record: a contiguous tensor with its bytes."""
    writer = Writer()
    writer.buffer.append(Code.UPLOAD)
    writer.meta(meta)
    writer.buffer += _U32.pack(len(raw))
    writer.buffer += raw
    return bytes(writer.buffer)


def decode_upload(data: bytes | memoryview, position: int) -> tuple[TensorMeta, bytes, int]:
    """Metadata, bytes and end of the UPLOAD record at `position`.

    Raises:
        WireError: the bytes are not those of a contiguous tensor of that shape. A truth value is a byte of 0
            or 1: another byte would be eight bits at the price of one, and kernels may do anything with it.
    """
    # The byte at `position` is the code of the record.
    reader = Reader(data, position + 1)
    meta = reader.meta()
    raw = reader.raw(reader.number(_U32))
    if meta.offset or meta.bits or meta.stride != contiguous_stride(meta.shape):
        raise WireError("an upload that is not contiguous")
    if len(raw) != meta.numel * ITEM_BYTES[meta.dtype]:
        raise WireError("an upload whose length does not fit its shape")
    if meta.dtype == "bool" and raw.translate(None, b"\0\1"):
        raise WireError("an upload of truth values that are not 0 or 1")
    return meta, raw, reader.position


def contiguous_stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a row-major tensor."""
    stride = []
    step = 1
    for size in reversed(shape):
        stride.append(step)
        # PyTorch does the same: the strides of an empty tensor are those of one with 1 in the place of each
        # 0.
        step *= max(size, 1)
    return tuple(reversed(stride))
