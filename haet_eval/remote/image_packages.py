"""Which packages a worker sees: those of the sandbox image, whatever else is installed on the machine.

PyTorch and other libraries choose their code by the packages that they can import (`torch.einsum` chooses its
order with opt_einsum, if installed), which would change the count. And a submission that works with a package
of this machine would fail in the sandbox.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

IMAGE_MODULES: Final = frozenset(
    {
        "PIL",
        "annotated_types",
        "filelock",
        "fsspec",
        "haet_eval",
        "jinja2",
        "markupsafe",
        "mpmath",
        "networkx",
        "numpy",
        "pydantic",
        "pydantic_core",
        "safetensors",
        "sympy",
        "torch",
        "torchvision",
        "typing_extensions",
        "typing_inspection",
        # PyTorch's own
        "_distutils_hack",
        "cuda",
        "functorch",
        "isympy",
        "nvidia",
        "pkg_resources",
        "setuptools",
        "torchgen",
        "triton",
    }
)
"""Top-level modules of the packages in `sandbox/constraints.txt`, and of those that PyTorch pins itself."""


def hide_other_packages() -> None:
    """Prevent the import of every other package of this environment, for the rest of this process.

    Modules in folders that join the import path later can be imported, such as the submission's own.
    """
    sys.meta_path[:] = [_OnlyTheImages(list(sys.meta_path), list(sys.path))]


class _OnlyTheImages(MetaPathFinder):
    """Replaces all finders, and finds no module in the environment that the image does not have.

    An additional finder could only raise an error. But many libraries ask `importlib.util.find_spec` whether
    a package exists, and that must answer no instead of raising.
    """

    def __init__(self, finders: Sequence[Any], environment: Sequence[str]) -> None:
        self._finders = finders
        self._environment = frozenset(environment)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # `sysconfig` imports a module that is named by the platform, so it is in no list.
        known = name in IMAGE_MODULES or name in sys.stdlib_module_names
        if path is None and not known and not name.startswith("_sysconfigdata"):
            # Only the folders of this process at its start are hidden, not those that joined later.
            elsewhere = [folder for folder in sys.path if folder not in self._environment]
            return PathFinder.find_spec(name, elsewhere, target)
        specs = (finder.find_spec(name, path, target) for finder in self._finders)
        return next((spec for spec in specs if spec is not None), None)

    def find_distributions(self, *args: Any, **kwargs: Any) -> Any:
        """For importlib.metadata."""
        return PathFinder.find_distributions(*args, **kwargs)

    def invalidate_caches(self) -> None:
        PathFinder.invalidate_caches()
