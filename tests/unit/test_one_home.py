"""What one module knows, no other module says again: constants, tables and the bodies of functions."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import haet_eval

PACKAGE = Path(haet_eval.__file__).parent
LONG_BODY = 60
"""Characters; shorter bodies are alike by chance."""

LARGE = 1000
"""Smaller numbers are alike by chance."""

OF_EACH_MODULE = {"mib", "chunk_bytes"}
"""A unit, and how much a module reads at once, whatever others do."""

FORMER_PRICES = "operators/version_1.py"
"""A former version of the standard stays as it was, whatever becomes of the present one."""

WRITTEN_BY_CONTESTANTS = "resources/"


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name != FORMER_PRICES and not name.startswith(WRITTEN_BY_CONTESTANTS):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The module's constants and what they are set to."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            yield statement.targets[0].id, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield ast.unparse(statement.target), statement.value


def written_out(value: ast.expr) -> str:
    """A value, with arithmetic on numbers done: `1 << 20` and `1024**2` are one value."""
    text = ast.unparse(value)
    arithmetic = (ast.BinOp, ast.UnaryOp, ast.Constant, ast.operator, ast.unaryop)
    if all(isinstance(node, arithmetic) for node in ast.walk(value)):
        return repr(eval(text, {"__builtins__": {}}))  # numbers alone
    return text


def is_by_chance(value: ast.expr) -> bool:
    """Whether two modules may well have such a constant of one name: a small number, an alias, an object."""
    text = written_out(value)
    small = text.lstrip("-").replace(".", "", 1).isdecimal() and float(text) <= LARGE
    return small or isinstance(value, ast.Attribute | ast.Name | ast.Call) or text in ("{}", "[]", "()")


def is_telling(value: ast.expr) -> bool:
    """Whether nobody writes this value twice by chance: a table, a pattern, a set of names."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in ("re.compile", "frozenset")
    return isinstance(value, ast.Dict | ast.Set | ast.Tuple | ast.List) and any(
        isinstance(node, ast.Attribute) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
        for node in ast.walk(value)
    )


def bodies(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each function and what it does, without its documentation."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            yield node.name, "\n".join(map(ast.unparse, node.body[documented:]))


def in_two_modules(found: dict[str, set[str]]) -> dict[str, set[str]]:
    return {what: modules for what, modules in found.items() if len(modules) > 1}


def test_no_two_modules_set_a_constant_of_one_name_to_one_value() -> None:
    found = defaultdict(set)
    for module, tree in trees():
        for name, value in constants(tree):
            plain = name.strip("_").lower()
            if not is_by_chance(value) and plain not in OF_EACH_MODULE:
                found[f"{plain} = {written_out(value)}"].add(module)
    assert not in_two_modules(found)


def test_no_two_modules_write_the_same_table_or_pattern() -> None:
    found = defaultdict(set)
    for module, tree in trees():
        for _, value in constants(tree):
            if is_telling(value):
                found[ast.unparse(value)].add(module)
    assert not in_two_modules(found)


def test_no_two_modules_have_a_function_that_does_the_same() -> None:
    found = defaultdict(set)
    for module, tree in trees():
        for _, body in bodies(tree):
            if len(body) >= LONG_BODY:
                found[body].add(module)
    assert not in_two_modules(found)
