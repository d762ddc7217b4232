"""The literals that weigh most in a submission's source: numbers and texts that were written into it."""

import ast
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from haet_eval.check.source import PythonFile

_LEAST_BYTES: Final = 256
_SHOWN: Final = 3
_COLLECTIONS: Final = (ast.List, ast.Tuple, ast.Set, ast.Dict)


@dataclass(frozen=True, slots=True)
class HeavyLiteral:
    """A text, or a collection of literals, as it stands in the source.

    Attributes:
        path, line: where it begins.
        bytes: its length in the source, in UTF-8.
        bytes_compressed: after DEFLATE at level 9, alone.
    """

    path: str
    line: int
    bytes: int
    bytes_compressed: int


def heaviest_literals(sources: Iterable[PythonFile], texts: Mapping[str, bytes]) -> tuple[HeavyLiteral, ...]:
    """Up to three literals of 256 bytes and more, those first that weigh most when compressed.

    Docstrings do not count. A collection counts as one literal if all that it holds is literal.

    Args:
        sources: the files that are Python.
        texts: the content of each file, by its path.
    """
    found = [literal for source in sources for literal in _literals(source, texts[source.path])]
    return tuple(sorted(found, key=lambda one: (-one.bytes_compressed, one.path, one.line))[:_SHOWN])


def _literals(source: PythonFile, content: bytes) -> Iterator[HeavyLiteral]:
    lines = content.splitlines(keepends=True)
    waiting: list[ast.AST] = [source.tree]
    while waiting:
        node = waiting.pop()
        # A docstring is no data that the program could use.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring, or what does nothing
        if isinstance(node, ast.expr) and _is_literal(node):
            text = _text(node, lines)
            if len(text) >= _LEAST_BYTES:
                yield HeavyLiteral(source.path, node.lineno, len(text), len(zlib.compress(text, 9)))
        else:
            waiting += ast.iter_child_nodes(node)


def _is_literal(node: ast.expr) -> bool:
    """Whether it is written out: a constant, a signed one, or a collection of such."""
    # No recursion: a literal that was written by a program may be thousands deep.
    waiting: list[ast.AST] = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Constant | ast.expr_context | ast.unaryop):
            continue
        if not isinstance(part, (*_COLLECTIONS, ast.UnaryOp)):
            return False
        waiting += ast.iter_child_nodes(part)
    return True


def _text(node: ast.expr, lines: list[bytes]) -> bytes:
    """The source of an expression; columns of a syntax tree count bytes of UTF-8."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    chosen = lines[first : last + 1]
    chosen[-1] = chosen[-1][: node.end_col_offset]
    chosen[0] = chosen[0][node.col_offset :]
    return b"".join(chosen)
