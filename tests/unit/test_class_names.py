"""A name of a class or of a type stands for one thing in the whole package."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "haet_eval"

OUTSIDE_NAMES = {"resources": "files for users, which import nothing of the package"}
"""Folders whose modules do not belong to the program."""


def types_of(source: str) -> Iterator[str]:
    """The classes of a module, also those in functions, and its type aliases and type variables."""
    tree = ast.parse(source)
    yield from (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias":
            yield ast.unparse(node.target)
        elif isinstance(node, ast.Assign) and _is_type(node.value):
            yield from map(ast.unparse, node.targets)


def _is_type(value: ast.expr) -> bool:
    """Whether an unannotated assignment makes a type: `X[...]`, a union, another name, or a type variable."""
    match value:
        case ast.Subscript(value=ast.Name(id="Annotated" | "Literal" | "tuple")):
            return True
        case ast.Subscript(value=ast.Attribute(attr="NDArray")):
            return True
        case ast.BinOp(op=ast.BitOr(), left=left):
            return _is_type(left)
        case ast.Name(id=name):
            return name.lstrip("_")[:1].isupper() and not name.isupper()
        case ast.Call(func=ast.Name(id="TypeVar")):
            return True
    return False


def defined_twice() -> dict[str, list[str]]:
    """Names without their leading underscores, as `_Entry` reads as `Entry` does."""
    homes: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE)
        if place.parts[0] not in OUTSIDE_NAMES:
            for name in types_of(path.read_text(encoding="utf-8")):
                homes[name.lstrip("_")].append(f"{place.as_posix()}: {name}")
    return {name: places for name, places in homes.items() if len(places) > 1}


def test_no_type_is_named_as_another_one_is() -> None:
    assert defined_twice() == {}


def test_classes_aliases_unions_and_type_variables_are_all_looked_at() -> None:
    source = """
class Whole:
    class Inner: ...
def function():
    class Local: ...
Alias: TypeAlias = dict[str, int]
Bounded = Annotated[int, Field(ge=0)]
Either = Whole | Inner | None
Free = TypeVar("Free")
NUMBER = 1 | 2
"""
    names = {"Whole", "Inner", "Local", "Alias", "Bounded", "Either", "Free"}
    assert set(types_of(source)) == names
