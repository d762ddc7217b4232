"""Names of PyTorch that our code uses are there: an update that renames one fails here, with the place.

Much of it is private, so no deprecation announces a change; and what replaces a name that is gone replaces
nothing.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import haet_eval

PACKAGE: Final = Path(haet_eval.__file__).parent
FOLDERS: Final = ("remote/client", "remote/executor", "counter")
FILES: Final = sorted(path for folder in FOLDERS for path in (PACKAGE / folder).rglob("*.py"))


class Custom(torch.Tensor):
    """PyTorch marks parameters of such classes by an attribute."""


SAMPLES: Final = (
    torch.zeros(1),
    torch.zeros(1, requires_grad=True).exp().grad_fn,
    torch.nn.Parameter(torch.zeros(1).as_subclass(Custom)),
    torch.nn.Buffer(torch.zeros(1)),
    torch.Generator(),
    torch.nn.Module(),
    torch.ops.aten.add.Tensor,
    torch.ops.aten.add,
    torch.distributions.Normal(0.0, 1.0),
)
"""Objects whose private attributes our code uses: a name that is not our own is that of one of these."""

OVERRIDDEN: Final = {TorchDispatchMode: ("_should_skip_dynamo",), torch.Tensor: ("_typed_storage",)}
"""What PyTorch calls by its name, and our classes answer."""


def identifier(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


class Names(ast.NodeVisitor):
    """Follows names of other packages through a file, and collects those that are not there."""

    def __init__(self, known: Mapping[str, Any], own: frozenset[str]) -> None:
        self.known = dict(known)
        self.own = own
        self.missing: list[str] = []

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            importlib.import_module(name.name)
            top = name.name if name.asname else name.name.partition(".")[0]
            self.known[name.asname or top] = importlib.import_module(top)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module is None or node.module.startswith("haet_eval") or node.module == "__future__":
            return
        module = importlib.import_module(node.module)
        for name in node.names:
            # A submodule, perhaps: some packages delete its name.
            there = hasattr(module, name.name)
            found = (
                getattr(module, name.name) if there else importlib.import_module(f"{node.module}.{name.name}")
            )
            self.known[name.asname or name.name] = found

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = node.args
        taken = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        taken += filter(None, (arguments.vararg, arguments.kwarg))
        outside = self.known
        self.known = {k: v for k, v in outside.items() if k not in {one.arg for one in taken}}
        self.generic_visit(node)
        self.known = outside

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.generic_visit(node)
        self._bind(node.target, node.value)

    def visit_For(self, node: ast.For) -> None:
        for target in ast.walk(node.target):
            self._bind(target, None)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if self._value(node.value) is not None:
            self._check(node, self._value(node.value))
        elif self._is_foreign(node.attr) and not any(hasattr(sample, node.attr) for sample in SAMPLES):
            self.missing.append(f"line {node.lineno}: no object of PyTorch has {node.attr!r}")
        self.generic_visit(node)

    def _is_foreign(self, name: str) -> bool:
        return name.startswith("_") and not name.startswith("__") and name not in self.own

    def _check(self, node: ast.Attribute, owner: Any) -> None:
        # What a call or an instance returns cannot be followed, and its type may set attributes as it runs.
        if (inspect.ismodule(owner) or inspect.isclass(owner)) and not hasattr(owner, node.attr):
            self.missing.append(f"line {node.lineno}: {ast.unparse(node)} is not there")

    def _bind(self, target: ast.AST, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            found = None if value is None else self._value(value)
            if found is None:
                self.known.pop(target.id, None)
            else:
                self.known[target.id] = found

    def _value(self, node: ast.expr) -> Any:
        """What a name or a chain of attributes is; None if that is not known."""
        if isinstance(node, ast.Name):
            return self.known.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._value(node.value)
            return None if owner is None else getattr(owner, node.attr, None)
        return None


def private_names_of_our_own() -> frozenset[str]:
    """Everything that our package defines: functions, attributes, slots."""
    return frozenset(name for path in PACKAGE.rglob("*.py") for name in _defined(ast.parse(path.read_text())))


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            yield from ast.literal_eval(node.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield from [node.attr] if ast.unparse(node.value) == "self" else []


OWN: Final = private_names_of_our_own()


def missing(source: str) -> list[str]:
    names = Names({}, OWN)
    names.visit(ast.parse(source))
    return names.missing


@pytest.mark.parametrize("path", FILES, ids=identifier)
def test_every_name_of_pytorch_is_there(path: Path) -> None:
    found = missing(path.read_text(encoding="utf-8"))
    assert not found, f"PyTorch {torch.__version__} differs for {path}: {'; '.join(found)}"


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch._C._no_such_function()",
        "import torch\nreplaced: Any = torch\nreplaced._library.no_such_module.rule = None",
        "from torch.utils.data import DataLoader\nloader = DataLoader\nloader.no_such_method = None",
        "def f(func):\n    return func._no_such_attribute",
    ],
)
def test_a_name_that_is_not_there_is_found(source: str) -> None:
    assert len(missing(source)) == 1


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in OVERRIDDEN.items() for name in names]
)
def test_what_our_classes_answer_is_asked_by_pytorch(kind: type, name: str) -> None:
    assert hasattr(kind, name)
