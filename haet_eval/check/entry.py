"""The function that the evaluator calls: takes the task, returns the model."""

import ast
from collections.abc import Iterator
from typing import Final

from haet_eval.check.remark import Remark
from haet_eval.check.source import PythonFile
from haet_eval.spelling import suggested_name

TASK_ATTRIBUTES: Final = (
    "images",
    "labels",
    "num_classes",
    "seed",
    "device",
    "time_budget_seconds",
    "report",
    "checkpoint",
)
"""What `train(task)` finds in the task: the public fields and methods of SubmissionTask."""


def check_entry(source: PythonFile, function: str) -> Iterator[Remark]:
    """Remarks on how the function is defined and how it uses the task; `source` is its module."""
    found = [
        node
        for node in source.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    if not found:  # it comes from an import or an assignment
        return
    # A second definition replaces the first one, as when Python runs the file.
    entry = found[-1]
    if isinstance(entry, ast.AsyncFunctionDef):
        yield source.remark(entry, f"{function} is async: write `def {function}(task):`.")
    if not _takes_one(entry.args):
        yield source.remark(
            entry, f"{function} is called with one argument, the task: write `def {function}(task):`."
        )
        return
    if not any(isinstance(node, ast.Return) and node.value is not None for node in _own_nodes(entry)):
        yield source.remark(entry, f"{function} returns nothing: return the model, a torch.nn.Module.")
    yield from _uses(source, entry)


def _takes_one(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    takes = bool(positional) or arguments.vararg is not None
    return takes and required <= 1 and all(default is not None for default in arguments.kw_defaults)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function, without those of functions inside it."""
    waiting = [function]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                yield child
                waiting.append(child)


def _uses(source: PythonFile, entry: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Remark]:
    first = [*entry.args.posonlyargs, *entry.args.args][:1]
    # Nested functions too: `task` is mostly used in closures.
    for node in ast.walk(entry):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        if first and node.value.id == first[0].arg and node.attr not in TASK_ATTRIBUTES:
            meant = suggested_name(node.attr, TASK_ATTRIBUTES) or f": it has {', '.join(TASK_ATTRIBUTES)}."
            yield source.remark(node, f"the task has no {node.attr}{meant}")
