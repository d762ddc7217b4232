"""Reads PyTorch's operator schemas without PyTorch.

The grammar is that of the strings PyTorch prints, such as
`aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from haet_eval.operators.signature import Argument

KINDS: Final = frozenset(
    {
        "Tensor",
        "int",
        "float",
        "bool",
        "Scalar",
        "ScalarType",
        "MemoryFormat",
        "Layout",
        "Device",
        "Generator",
        "str",
    }
)
"""The types that a parameter can have here; PyTorch's SymInt is written `int`."""

TAGS: Final = frozenset({"pointwise", "random", "dynamic", "inplace_view"})
"""Of PyTorch's tags those that matter here. `random` is `nondeterministic_seeded`, `dynamic` stands for
`dynamic_output_shape` and for `data_dependent_output`."""

_TYPE = (
    r"(?P<type>\w+)"
    r"(?:\((?P<alias>[^)]*)\))?"
    r"(?P<inner>\?)?"
    r"(?P<list>\[(?P<size>\d*)\])?"
    r"(?P<outer>\?)?"
)
_PARAMETER = re.compile(_TYPE + r" (?P<name>\w+)(?:=(?P<default>.*))?")
_RETURN = re.compile(_TYPE + r"(?: \w+)?")
_OPERATOR = re.compile(r"(?P<space>\w+)::(?P<base>\w+)(?:\.(?P<overload>\w+))?\((?P<rest>.*)\Z")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operator.

    `type` is one of KINDS. For lists, `list_size` is the length that a lone value is repeated to (`int[2]`),
    and `optional_items` says that entries may be None. `alias` names the set of aliases the tensor belongs
    to; `written` says that the kernel changes it. `default` has a meaning only if `has_default` is true.
    """

    name: str
    type: str
    is_list: bool = False
    list_size: int | None = None
    optional: bool = False
    optional_items: bool = False
    keyword_only: bool = False
    default: Argument = None
    has_default: bool = False
    alias: str | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class Return:
    """One returned value; `alias` and `written` as in Parameter."""

    type: str
    is_list: bool = False
    alias: str | None = None
    written: bool = False


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """What the schema of an operator does not tell.

    `guard` is the name of a check of values beside the kernel (`executor/guards.py`). An `exact` operator
    names places in a storage: the offset of its result is absolute, or in elements of another size.
    `by_origin` says that its checks ask which call made its tensors, or for the size of their storages, so
    they run at every call. If it `draws_by_value`, values of its inputs decide how often it draws, so the
    next draws depend on them. One that `makes_complex` makes complex numbers of real ones. Dimensions are
    counted in its first tensor, unless `dims` is `more` (one more dimension) or `others` (those of another
    tensor, which its own checks see to). `literal` parameters must not be ANY: their value decides shapes
    or addresses. The kernel writes the tensors of `writes` although the schema does not say so.
    `dynamic_if` decides for given arguments whether the shapes or the numbers that it returns depend on
    data.
    """

    guard: str | None = None
    exact: bool = False
    by_origin: bool = False
    draws_by_value: bool = False
    makes_complex: bool = False
    dims: str = ""
    literal: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    dynamic_if: Callable[[Mapping[str, Argument]], bool] | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """An overload, such as `aten.add.Tensor`. `tags` are those of TAGS that it has."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: tuple[Return, ...]
    tags: frozenset[str]
    facts: OperatorFacts = OperatorFacts()

    @property
    def dynamic(self) -> bool:
        """Whether the shapes or the numbers it returns may depend on data.

        For a given call ask `validation.is_dynamic`: `aten.index.Tensor` is dynamic with masks only.
        """
        return "dynamic" in self.tags

    @property
    def random(self) -> bool:
        """Whether it draws from a generator."""
        return "random" in self.tags

    @property
    def inplace_view(self) -> bool:
        """Whether it changes the metadata of its first argument."""
        return "inplace_view" in self.tags

    @property
    def piecewise(self) -> bool:
        """Whether it writes the tensors of a list one by one: it may fail after writing some of them."""
        return any(parameter.written and parameter.is_list for parameter in self.parameters)

    @property
    def base(self) -> str:
        """The name without namespace and overload: `add` of `aten.add.Tensor`."""
        return self.name.split(".")[1]

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name.

        Raises:
            KeyError: the operator has no such parameter.
        """
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)


def parse(text: str, facts: OperatorFacts = OperatorFacts()) -> Operator:
    """Read one schema; after ` : ` its tags may follow.

    Raises:
        ValueError: it is not in the grammar, or has a type that is not in KINDS or a tag that is not in TAGS.
    """
    schema, _, tags = text.partition(" : ")
    # A misspelt tag would make a random or dynamic operator an ordinary one, so it must not pass in silence.
    if not TAGS.issuperset(tags.split()):
        raise ValueError(f"not tags: {tags!r}")
    match = _OPERATOR.match(schema)
    if match is None:
        raise ValueError(f"not a schema: {schema!r}")
    parameters, arrow, returns = match["rest"].rpartition(") -> ")
    if not arrow:
        raise ValueError(f"a schema without returns: {schema!r}")
    name = f"{match['space']}.{match['base']}.{match['overload'] or 'default'}"
    return Operator(
        name, tuple(_parameters(parameters)), tuple(_returns(returns)), frozenset(tags.split()), facts
    )


def _parameters(text: str) -> Iterator[Parameter]:
    keyword_only = False
    for part in _split(text):
        if part == "*":
            keyword_only = True
            continue
        match = _PARAMETER.fullmatch(part)
        if match is None:
            raise ValueError(f"not a parameter: {part!r}")
        yield _parameter(match, keyword_only)


def _parameter(match: re.Match[str], keyword_only: bool) -> Parameter:
    is_list = match["list"] is not None
    size = int(match["size"]) if match["size"] else None
    text = match["default"]
    default = None if text is None else _literal(text)
    if is_list and default is not None and not isinstance(default, tuple):
        # `int[2] stride=1` means (1, 1).
        default = (default,) * (size or 1)
    alias, written = _alias(match["alias"])
    return Parameter(
        name=match["name"],
        type=_kind(match["type"]),
        is_list=is_list,
        list_size=size,
        # `Tensor?[]` is a list whose items may be absent, `Tensor[]?` a list that may be.
        optional=bool(match["outer"]) or (bool(match["inner"]) and not is_list),
        optional_items=is_list and bool(match["inner"]),
        keyword_only=keyword_only,
        default=default,
        has_default=text is not None,
        alias=alias,
        written=written,
    )


def _returns(text: str) -> Iterator[Return]:
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    for part in _split(inner):
        match = _RETURN.fullmatch(part)
        if match is None:
            raise ValueError(f"not a returned value: {part!r}")
        alias, written = _alias(match["alias"])
        yield Return(_kind(match["type"]), match["list"] is not None, alias, written)


def _kind(text: str) -> str:
    kind = "int" if text == "SymInt" else text
    if kind not in KINDS:
        raise ValueError(f"a type that no submission can send: {text!r}")
    return kind


def _alias(text: str | None) -> tuple[str | None, bool]:
    """`a!` is written, `a -> *` is a view of `a`."""
    if text is None:
        return None, False
    name = text.split(" ")[0]
    return name.rstrip("!"), name.endswith("!")


def _split(text: str) -> Iterator[str]:
    """The parts between commas outside brackets."""
    # Aliases as `(a!)` and defaults as `[0, 1]` hold commas and brackets of their own.
    depth = start = 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            yield text[start:place].strip()
            start = place + 1
    if text[start:].strip():
        yield text[start:].strip()


_WORDS: Final[dict[str, Argument]] = {"None": None, "True": True, "False": False}


def _literal(text: str) -> Argument:
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith("["):
        return tuple(_literal(part) for part in _split(text[1:-1]))
    if text[0] in "\"'":
        return text[1:-1]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    # A word, as in `memory_format=contiguous_format`.
    return text
