"""Recorded calls in the words of the wire, as a client would send them."""

from dataclasses import dataclass
from random import Random

from haet_eval.operators.schema import Parameter
from haet_eval.operators.signature import Argument, TensorMeta
from haet_eval.remote.wire import DEFAULT_GENERATOR, Atom, Definition, Tag, Value, float_class
from tests.attacks.differential.arrangement import Wanted
from tests.attacks.recorded_calls import RecordedCall

GENERATORS = (0, 1, DEFAULT_GENERATOR)


class Unsendable(Exception):
    """A call that the wire has no words for."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A call as it goes over the wire: its definition, the tensors it needs, and its floats.

    `names` has for each tensor the parameter that it is given to.
    """

    definition: Definition
    wanted: tuple[Wanted, ...]
    floats: tuple[float, ...]
    names: tuple[str, ...]


_LOCAL = frozenset({"pin_memory", "non_blocking"})


def sent(call: RecordedCall, chance: Random) -> Sent:
    """The call on the wire.

    Raises:
        Unsendable: it has an argument that no client can send.
    """
    writer = _Writer(call, chance)
    arguments = {
        parameter.name: writer.value(parameter, call.arguments[parameter.name])
        for parameter in call.schema().parameters
        if parameter.name in call.arguments and parameter.name not in _LOCAL
    }
    classes = tuple(map(float_class, writer.floats))
    definition = Definition(call.operator, arguments, len(writer.wanted), classes)
    return Sent(definition, tuple(writer.wanted), tuple(writer.floats), tuple(writer.names))


class _Writer:
    def __init__(self, call: RecordedCall, chance: Random) -> None:
        self.wanted: list[Wanted] = []
        self.names: list[str] = []
        self.floats: list[float] = []
        self._call = call
        self._chance = chance
        self._literal = call.schema().facts.literal
        self._exact = call.schema().facts.exact

    def value(self, parameter: Parameter, argument: Argument) -> Value:
        match argument:
            case tuple():
                return tuple(self.value(parameter, item) for item in argument)
            case TensorMeta():
                return self._tensor(parameter, argument)
            case float() if parameter.name not in self._literal:
                self.floats.append(argument)
                return Atom(Tag.FLOAT, float_class(argument))
            case str():
                return self._word(parameter, argument)
            case None | bool() | float() | complex():
                return argument
            case int() if -(2**63) <= argument < 2**63:
                return argument
            case _:
                raise Unsendable(parameter.name)

    def _tensor(self, parameter: Parameter, meta: TensorMeta) -> Value:
        name = parameter.name
        single = isinstance(self._call.arguments[name], TensorMeta)
        self.names.append(name)
        self.wanted.append(
            Wanted(
                meta,
                meta.offset if self._exact else None,
                self._call.storage_bytes.get(name, 0) if single else 0,
                self._call.values.get(name) if single else None,
            )
        )
        return Atom(Tag.TENSOR, len(self.wanted) - 1)

    def _word(self, parameter: Parameter, word: str) -> Value:
        match parameter.type:
            case "ScalarType":
                return Atom(Tag.DTYPE, word)
            case "MemoryFormat":
                return Atom(Tag.FORMAT, word)
            case "Layout":
                return Atom(Tag.LAYOUT)
            case "Device":
                return Atom(Tag.DEVICE)
            case "Generator":
                return Atom(Tag.GENERATOR, self._chance.choice(GENERATORS))
            case "str":
                return word
            case _:
                raise Unsendable(parameter.name)
