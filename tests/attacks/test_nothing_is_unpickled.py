"""The host rebuilds no untrusted object: it reads bytes, JSON and safetensors, never a pickle."""

import ast
from collections.abc import Iterator
from pathlib import Path

import haet_eval

PACKAGE = Path(haet_eval.__file__).parent
FORBIDDEN = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
WORKERS = ("remote/client", "remote/executor", "native", "resources")
"""The code of the workers. It may unpickle, because untrusted code runs there anyway."""

ALLOWED = {"data/batch.py"}
"""CIFAR as its authors published it, read without running anything that a pickle asks for."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_no_module_of_the_host_can_unpickle() -> None:
    sources = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}
    hosts = {name for name in sources if not name.startswith(WORKERS)}
    assert len(hosts) > 100
    able = {
        name for name in hosts if FORBIDDEN & {module.partition(".")[0] for module in imported(sources[name])}
    }
    assert able == ALLOWED
