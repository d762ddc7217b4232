"""Imports that the sandbox cannot serve."""

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import PurePosixPath

from haet_eval.archive.standard_library import STANDARD_LIBRARY
from haet_eval.check.remark import Remark
from haet_eval.check.source import PythonFile, run_nodes
from haet_eval.runtimes.image_files import sandbox_folder
from haet_eval.spelling import meant_name

_FAMOUS = ("torch", "torchvision", "numpy", "PIL")


@cache
def sandbox_packages() -> frozenset[str]:
    """Names that can be imported in the sandbox, beside the standard library.

    Those of the distributions that the image is built from; metadata on this machine lists their modules.
    """
    # The sandbox's list and not this machine's: a package that is only here works in no evaluation.
    text = (sandbox_folder() / "constraints.txt").read_text("utf-8")
    pinned = {_normal(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    known = packages_distributions()
    found = {name for name, owners in known.items() if pinned & set(map(_normal, owners))}
    # On a machine without torch its metadata are missing, and the sandbox has it all the same.
    return frozenset(found | {*_FAMOUS, "haet_eval"})


def _normal(distribution: str) -> str:
    # PEP 503: metadata and pins spell one distribution in different ways.
    return re.sub(r"[-_.]+", "-", distribution).lower()


def check_imports(
    source: PythonFile, paths: Collection[str], importable: Collection[str]
) -> Iterator[Remark]:
    """Remarks on imports that fail in the sandbox.

    Args:
        source: the file.
        paths: all of the submission.
        importable: names of packages that the sandbox has.
    """
    own = _Modules(paths)
    for node in run_nodes(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _remarks(source, node, alias.name, own, importable)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from _relative(source, node, own)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from _remarks(source, node, node.module, own, importable)


class _Modules:
    """The submission's own modules, by their dotted names."""

    def __init__(self, paths: Collection[str]) -> None:
        self.names: set[str] = set()
        for path in map(PurePosixPath, paths):
            if path.suffix == ".py":
                parts = path.with_suffix("").parts
                self.names.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))

    def top(self) -> list[str]:
        return [name for name in self.names if "." not in name]


def _remarks(
    source: PythonFile, node: ast.stmt, module: str, own: _Modules, importable: Collection[str]
) -> Iterator[Remark]:
    top = module.partition(".")[0]
    elsewhere = top in STANDARD_LIBRARY or top in importable
    # The folder of the submission comes last on the import path. Names of Python's own modules are refused.
    if top in own.names and elsewhere:
        yield source.remark(
            node, f"imports {top} of the sandbox, which hides the submission's own module: rename that."
        )
    elif top in own.names and module not in own.names:
        yield source.remark(node, f"imports {module}, which is not in the submission.")
    elif top not in own.names and not elsewhere:
        meant = meant_name(top, own.top())
        instead = f"did you mean {meant}?" if meant else "copy what you need of it into the submission."
        yield source.remark(
            node,
            f"imports {top}, which is neither in the submission nor in the sandbox (torch, torchvision, "
            f"numpy, PIL and the standard library are): {instead}",
        )


def _relative(source: PythonFile, node: ast.ImportFrom, own: _Modules) -> Iterator[Remark]:
    package = PurePosixPath(source.path).parent.parts
    # The entry module is imported by its plain name, so a file at the top has no package above it.
    if node.level > len(package):
        names = ", ".join(alias.name for alias in node.names)
        plain = f"from {node.module} import {names}" if node.module else f"import {names}"
        yield source.remark(node, f"is a relative import outside a package, which fails: write `{plain}`.")
        return
    module = ".".join((*package[: len(package) - node.level + 1], *(node.module or "").split(".")))
    if node.module and module not in own.names:
        yield source.remark(node, f"imports {module}, which is not in the submission.")
