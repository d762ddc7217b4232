"""Finds the function to call in a submission's source, without running the source."""

import ast
import warnings
from collections.abc import Iterator, Mapping

from haet_eval.errors import InvalidSubmission


def check_entrypoint(files: Mapping[str, bytes], module: str, function: str) -> None:
    """Make sure that `module` is among the files, is Python, and has `function` at its top level.

    Raises:
        InvalidSubmission: names the file, the line if there is one, and the missing part.
    """
    path = _module_path(files, module)
    tree = _parse(path, files[path])
    names = set(_top_level_names(tree))
    # A star import may bring the function: only running the module would show that.
    if function not in names and "*" not in names:
        raise InvalidSubmission(
            f"{path} has no `{function}`: define `def {function}(task):` there, or name another function "
            "in haet.toml as entrypoint.",
            code="entrypoint-function",
        )


def _module_path(files: Mapping[str, bytes], module: str) -> str:
    stem = module.replace(".", "/")
    # In the order in which Python looks: a package hides a module of the same name.
    for path in (f"{stem}/__init__.py", f"{stem}.py"):
        if path in files:
            return path
    modules = sorted(path for path in files if path.endswith(".py"))
    found = ", ".join(modules[:10]) or "none"
    instead = _naming(modules[0]) if modules else ""
    raise InvalidSubmission(
        f"The entrypoint's module {stem}.py is not there. Python files found: {found}.{instead}",
        code="entrypoint-module",
    )


def _naming(path: str) -> str:
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return f' Name the one with the function in haet.toml, as in entrypoint = "{module}:train".'


def _parse(path: str, source: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings():
            # Python warns of questionable source while it parses, and the organizer's terminal is no place
            # for that.
            warnings.simplefilter("ignore")
            return ast.parse(source, filename=path)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise InvalidSubmission(
            f"{path}{line} is not valid Python: {error.msg}.", code="entrypoint-syntax"
        ) from None
    # Source can be made to exhaust the parser, which runs here on the host.
    except (RecursionError, MemoryError, ValueError):
        raise InvalidSubmission(
            f"{path} is nested too deeply to be parsed.", code="entrypoint-nesting"
        ) from None


def _top_level_names(tree: ast.Module) -> Iterator[str]:
    """Names that running the module may bind at its top level; `*` for a star import."""
    # A list and no recursion: a deep tree of untrusted source would exceed Python's limit.
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        # Functions and classes end above, because names inside them are not bound at the top level. Branches,
        # loops and `with` blocks bind theirs there.
        elif not isinstance(node, ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
