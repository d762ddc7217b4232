"""A submission's Python files, parsed and never run."""

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from haet_eval.check.remark import Remark

_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass(frozen=True, slots=True)
class PythonFile:
    """One file. `names`: what its imports bind, with the full name of what that is."""

    path: str
    tree: ast.Module
    names: Mapping[str, str]

    def full_name(self, node: ast.AST) -> str:
        """`torch.nn.functional.pad` for `F.pad`; empty where the name comes from no import or builtin."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        # A bare name may be a builtin such as `open`. `x.open` is the method of some object.
        first = self.names.get(node.id, "" if parts else node.id)
        return ".".join((first, *reversed(parts))) if first else ""

    def remark(self, node: ast.AST, text: str) -> Remark:
        """A remark on the line of a node."""
        return Remark(self.path, getattr(node, "lineno", 1), text)


def parse_sources(files: Mapping[str, bytes]) -> tuple[list[PythonFile], list[Remark]]:
    """The Python files, and a remark on each file that should be Python but does not parse."""
    sources, remarks = [], []
    for path, content in files.items():
        if PurePosixPath(path).suffix != ".py":
            continue
        try:
            # `"\d"` in a submission makes Python print a SyntaxWarning for a file that the user did not run.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(content, filename=path)
        except SyntaxError as error:
            remarks.append(Remark(path, error.lineno or 1, f"is not valid Python: {error.msg}."))
        # The parser raises these for deep nesting; ValueError for a null byte.
        except (RecursionError, MemoryError, ValueError):
            remarks.append(Remark(path, 1, "is nested too deeply to be parsed."))
        else:
            sources.append(PythonFile(path, tree, dict(_bound_by_imports(tree))))
    return sources, remarks


def _bound_by_imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that a run can reach: what stands under `if __name__ == "__main__"` is left out.

    So are type checkers' imports, and imports whose failure is caught.
    """
    waiting = [(node, False)]  # no recursion: a sum of a thousand terms is a thousand deep
    while waiting:
        found, is_caught = waiting.pop()
        holds = _holds(found.test) if isinstance(found, ast.If) else None
        if isinstance(found, ast.If) and holds is not None:
            children: list[ast.AST] = [*(found.body if holds else found.orelse)]
        else:
            if not (is_caught and isinstance(found, ast.Import | ast.ImportFrom)):
                yield found
            children = list(ast.iter_child_nodes(found))
        # Such code has another way if the import fails, so there is nothing to advise.
        is_caught = is_caught or (isinstance(found, ast.Try) and any(map(_catches_imports, found.handlers)))
        waiting += [(child, is_caught) for child in reversed(children)]


def _holds(test: ast.expr) -> bool | None:
    """Whether a condition holds when the submission is imported; None if that is not known from the text."""
    inverted = False
    # No recursion here: the parser bounds how deep parentheses are nested, and not the number of `not`s.
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, inverted = test.operand, not inverted
    known = _plainly_holds(test)
    return None if known is None else known is not inverted


def _plainly_holds(test: ast.expr) -> bool | None:
    # `typing.TYPE_CHECKING` is an attribute.
    if getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING":
        return False
    if isinstance(test, ast.BoolOp):
        parts = {_holds(part) for part in test.values}
        # One part that does not hold decides an `and`, one that holds an `or`.
        decisive = isinstance(test.op, ast.Or)
        return decisive if decisive in parts else (None if None in parts else not decisive)
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        sides = {getattr(side, "id", getattr(side, "value", None)) for side in _plain(test)}
        if sides == {"__name__", "__main__"}:
            return {ast.Eq: False, ast.NotEq: True}.get(type(test.ops[0]))
    return None


def _plain(test: ast.Compare) -> Iterator[ast.expr]:
    return (side for side in (test.left, *test.comparators) if isinstance(side, ast.Name | ast.Constant))


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(one, ast.Name) and one.id in _IMPORT_ERRORS for one in caught)
