"""Values that the check made up, and the lines where the submission's code decides by one.

An evaluation makes up nothing. In a check that computes no more, a number that is read back is of one of
these classes: arithmetic keeps the mark, and a comparison reports the line of the submission that made it.
Numbers that reach Python by `float(tensor)`, `int(tensor)` and the like lose the mark, so for these the line
itself is looked at: whether it is a test, or the arguments of `range`.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final

from haet_eval.remote.client.own_code import OwnCode

_ARITHMETIC: Final = (
    *(
        f"__{side}{name}__"
        for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
        for side in ("", "r")
    ),
    *("__neg__", "__abs__", "__pos__", "__round__"),
)
_DECIDING: Final = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__", "__bool__")
_OF_FINITENESS: Final = ("isfinite", "isinf", "isnan")
_TESTS: Final = (ast.If, ast.While, ast.IfExp, ast.Assert)


class Decisions:
    """Reports each line of the submission's code that decides by a value that was made up, once.

    Args:
        code: the submission's own.
        tell: is given the line, as `submission.py:12`.
    """

    # One for the process, because numbers are made by operators of Python, to which nothing can be passed.
    current: ClassVar["Decisions"]

    def __init__(self, code: OwnCode, tell: Callable[[str], None]) -> None:
        self._code = code
        self._tell = tell
        self._told: set[str] = set()

    def decide(self) -> None:
        """The code that is running decides by a value that was made up."""
        frame = self._code.frame()
        place = "code outside the submission"
        if frame is not None:
            place = f"{self._code.relative(frame.f_code.co_filename)}:{frame.f_lineno}"
        # Once for each line: a loop would send thousands, and each is a message.
        if place not in self._told:
            self._told.add(place)
            self._tell(place)

    def read(self) -> None:
        """The code that is running has read such a value: it decides by it if the line is a test."""
        frame = self._code.frame()
        if frame is not None and frame.f_lineno in _deciding_lines(frame.f_code.co_filename):
            self.decide()


def marked(value: Any) -> Any:
    """A number with the mark; lists of them element by element; everything else as it is."""
    if isinstance(value, list):
        return [marked(item) for item in value]
    mark = _MARKED.get(type(value))
    return value if mark is None else mark(value)


def is_marked(value: Any) -> bool:
    """Whether it is a number that the check made up, or was computed from one."""
    return type(value) in _MARKED.values()


@cache
def _deciding_lines(path: str) -> frozenset[int]:
    """The lines of a file's tests, and of the arguments of `range`."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    # The submission may have changed or removed the file. A line less is reported then.
    except (OSError, SyntaxError, ValueError):
        return frozenset()
    return frozenset(
        line
        for node in ast.walk(tree)
        for part in _deciding_parts(node)
        for line in range(part.lineno, (part.end_lineno or part.lineno) + 1)
    )


def _deciding_parts(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, _TESTS):
        # What the check makes up is finite, as the values of a training that goes well.
        if not _asks_whether_finite(node.test):
            yield node.test
    elif isinstance(node, ast.comprehension):
        yield from node.ifs
    elif isinstance(node, ast.Compare):
        yield node
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        yield from node.args


def _asks_whether_finite(test: ast.expr) -> bool:
    """Whether a test is one of `math.isnan` and its kin: the check makes up finite values only."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _asks_whether_finite(test.operand)
    if isinstance(test, ast.BoolOp):
        return all(map(_asks_whether_finite, test.values))
    if not isinstance(test, ast.Call):
        return False
    name = test.func.attr if isinstance(test.func, ast.Attribute) else getattr(test.func, "id", "")
    return name in _OF_FINITENESS


def _calculating(plain: type, name: str) -> Callable[..., Any]:
    calculate = getattr(plain, name)
    return lambda self, *others: marked(calculate(self, *others))


def _deciding(plain: type, name: str) -> Callable[..., Any]:
    compare = getattr(plain, name)

    def decide(self: Any, *others: Any) -> Any:
        result = compare(self, *others)
        # NotImplemented only means that Python asks the other operand, which reports for itself.
        if result is not NotImplemented and not any(other is self for other in others):  # NaN alone is not
            Decisions.current.decide()
        return result

    return decide


def _class(name: str, plain: type) -> type:
    known = [name for name in _ARITHMETIC if hasattr(plain, name)]
    members: dict[str, Any] = {name: _calculating(plain, name) for name in known}
    members |= {name: _deciding(plain, name) for name in _DECIDING}
    # A class that defines `__eq__` loses its hash otherwise, and such numbers could not be keys.
    members["__hash__"] = plain.__hash__
    return type(name, (plain,), members)


_MARKED: Final = {plain: _class(f"MadeUp{plain.__name__.title()}", plain) for plain in (float, int)}
