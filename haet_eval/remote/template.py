"""A template as the meter keeps it: a call whose metadata is settled, so that a repetition is cheap."""

import struct
from dataclasses import dataclass, field

from haet_eval.counting.histogram import PHASES
from haet_eval.operators.schema import Operator
from haet_eval.operators.signature import ANY, SPECIAL_FLOATS, Argument, Signature, TensorMeta
from haet_eval.remote.handles import HeldTensor, intern_layout, size_bytes
from haet_eval.remote.wire import (
    ANY_FLOAT,
    DEFAULT_GENERATOR,
    Atom,
    Definition,
    Fresh,
    Outcome,
    Tag,
    Value,
    WireError,
    call_layout,
    flatten,
    float_class,
)

PREDICTION = len(PHASES)
"""Index of the calls that prediction makes, after those of the training's phases."""


def new_calls() -> list[int]:
    """A row of counters: one for each phase of the training, and one for prediction."""
    return [0] * (PREDICTION + 1)


@dataclass(frozen=True, slots=True)
class NewTensor:
    """An output that is a new tensor. `alias`: index of the input whose storage it shares, or -1.

    `made` is its layout and its offset, relative to that input's. The offset is absolute if there is no such
    input, or if the template is exact. `output` is its place among the outputs, lists flattened.
    """

    made: tuple[TensorMeta, int]
    alias: int
    output: int
    size_bytes: int


# Compared and hashed by identity: templates are keys of the tally, and makers in the origins of tensors.
@dataclass(slots=True, eq=False)
class Template:
    """One settled call.

    `exact`: offsets of inputs are part of it (operators that name an absolute offset).
    `guarded`: the origin of the inputs matters, so each call is validated again.
    `moves`: the first input gets the storage of the second (`set_`).
    `draws`: the generator from which it draws, if any; `spills`: the number of draws depends on values.
    `written`: the inputs that the kernel writes. `changed`: inputs with new layout and offset (see
    NewTensor). `new_bytes`: the size of the storages that a call makes. `number`: its place among the
    templates.
    """

    operator: Operator
    definition: Definition
    layouts: list[TensorMeta]
    offsets: list[int]
    exact: bool
    dynamic: bool
    guarded: bool
    moves: bool
    draws: int | None
    spills: bool
    written: tuple[int, ...]
    record: struct.Struct
    number: int = -1
    new: tuple[NewTensor, ...] = ()
    new_bytes: int = 0
    changed: tuple[tuple[int, TensorMeta, int], ...] = ()
    signature: Signature | None = None
    price: int | None = None
    calls: list[int] = field(default_factory=new_calls)
    accepted: set[tuple[object, ...]] = field(default_factory=set)


def new_tensors(outcome: Outcome, inputs: list[HeldTensor], exact: bool) -> tuple[NewTensor, ...]:
    """The new tensors of a call, in order."""
    return tuple(
        _new_tensor(value, output, inputs, exact)
        for output, value in enumerate(flatten(outcome.outputs))
        if isinstance(value, Fresh)
    )


def _new_tensor(fresh: Fresh, output: int, inputs: list[HeldTensor], exact: bool) -> NewTensor:
    # Then one record calls the template on views at every offset of a storage.
    relative = fresh.alias >= 0 and not exact
    offset = fresh.meta.offset - inputs[fresh.alias].offset if relative else fresh.meta.offset
    layout = intern_layout(fresh.meta)
    return NewTensor((layout, offset), fresh.alias, output, size_bytes(layout, fresh.meta.offset))


def new_bytes(new: tuple[NewTensor, ...]) -> int:
    """Bytes of the storages that come into being with these tensors."""
    return sum(tensor.size_bytes for tensor in new if tensor.alias < 0)


def changed_inputs(
    outcome: Outcome, inputs: list[HeldTensor], exact: bool
) -> tuple[tuple[int, TensorMeta, int], ...]:
    """The inputs whose metadata a call has changed: position, layout, offset (as in NewTensor)."""
    return tuple(
        (position, intern_layout(meta), meta.offset - (0 if exact else inputs[position].offset))
        for position, meta in outcome.changed
    )


def generator_of(operator: Operator, definition: Definition) -> int | None:
    """The generator from which a call draws; None if the call does not draw."""
    if not operator.random:
        return None
    for value in definition.arguments.values():
        if isinstance(value, Atom) and value.tag is Tag.GENERATOR:
            return int(value.value)
    # A call without a generator draws from PyTorch's default one.
    return DEFAULT_GENERATOR


def written_inputs(definition: Definition, written: frozenset[str]) -> tuple[int, ...]:
    """Positions, among the tensors of a call, of those that belong to the parameters in `written`."""
    return tuple(
        int(atom.value)
        for name, value in definition.arguments.items()
        if name in written
        for atom in flatten(value)
        if isinstance(atom, Atom) and atom.tag is Tag.TENSOR
    )


def single_tensors(definition: Definition) -> dict[str, int]:
    """Parameters that were given one tensor, with its position among the tensors of the call."""
    return {
        name: int(value.value)
        for name, value in definition.arguments.items()
        if isinstance(value, Atom) and value.tag is Tag.TENSOR
    }


def arguments_of(definition: Definition, metas: list[TensorMeta]) -> dict[str, Argument]:
    """Arguments by name, with these tensors in the open places. Constant floats keep their value.

    Raises:
        WireError: a value that no argument can have.
    """
    return {name: _argument(value, metas) for name, value in definition.arguments.items()}


def outputs_of(outcome: Outcome, metas: list[TensorMeta]) -> tuple[Argument, ...]:
    """Outputs as a signature has them; `metas` are those of the inputs after the call."""
    return tuple(_argument(value, metas) for value in outcome.outputs)


def normalized(value: Argument) -> Argument:
    """An argument as a signature has it: a float is special or ANY, a tensor has offset 0."""
    match value:
        case tuple():
            return tuple(normalized(item) for item in value)
        case TensorMeta():
            return intern_layout(value)
        case float():
            return _float(float_class(value))
        case _:
            return value


def _float(special: int) -> Argument:
    # Signatures that differ in an ordinary float have one price, so they are one entry of the histogram.
    return ANY if special == ANY_FLOAT else SPECIAL_FLOATS[special]


def _argument(value: Value, metas: list[TensorMeta]) -> Argument:
    match value:
        case tuple():
            return tuple(_argument(item, metas) for item in value)
        case Fresh():
            return intern_layout(value.meta)
        case Atom():
            return _atom(value, metas)
        case _:
            return value


def _atom(atom: Atom, metas: list[TensorMeta]) -> Argument:
    match atom.tag:
        case Tag.TENSOR | Tag.INPUT:
            return metas[int(atom.value)]
        case Tag.FLOAT:
            return _float(int(atom.value))
        case Tag.DTYPE | Tag.FORMAT:
            return str(atom.value)
        case Tag.LAYOUT:
            return "strided"
        # Handles look like tensors on a CPU wherever the executor keeps them, so a count is the same on every
        # device.
        case Tag.DEVICE:
            return "cpu"
        # No price depends on which generator it is.
        case Tag.GENERATOR:
            return "generator"
        case _:
            raise WireError(f"a value of kind {atom.tag.name} among the arguments")


def record_of(definition: Definition) -> struct.Struct:
    """Layout of the records that call this template."""
    return call_layout(definition.tensors, len(definition.floats))
