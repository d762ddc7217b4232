"""Compiles the hit path with the machine's C++ compiler. Needs PyTorch's headers, but does not import it.

Usage: python build.py FILE. This file alone is also run while the sandbox image is built.
"""

import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

MODULE: Final = "haet_compiled_client"
VARIABLE: Final = "HAET_COMPILED_CLIENT"
"""Names the compiled file to a worker. To `haet-eval`, 0 means not to use it, and 1 not to do without it."""

_SOURCES: Final = Path(__file__).with_name("source")
_COMPILERS: Final = ("g++", "c++", "clang++")
_OPTIONS: Final = ("-std=c++20", "-O2", "-DNDEBUG", "-w", "-fPIC", "-shared", "-fvisibility=hidden")
_LIBRARIES: Final = ("c10", "torch_cpu", "torch", "torch_python")
_SECONDS: Final = 900
# How g++, clang++ and the linker say that a program which they have started was stopped, as by the kernel
# when memory is short, or that it had no memory: they themselves end with an ordinary exit status.
_STOPPED: Final = re.compile(
    rb"signal terminated program|terminated with signal|due to signal"
    rb"|unable to execute command|out of memory|cannot allocate memory|memory exhausted",
    re.IGNORECASE,
)
# A file that was compiled may still not be loadable, for want of a symbol. A crash must not be this
# process's.
_LOOK: Final = (
    "import sys, torch; from importlib.machinery import ExtensionFileLoader as L, ModuleSpec as S; "
    "from importlib.util import module_from_spec; l = L(sys.argv[1], sys.argv[2]); "
    "m = module_from_spec(S(sys.argv[1], l, origin=sys.argv[2])); l.exec_module(m); "
    "sys.exit(m.torch_version != torch.__version__)"
)


class NotBuilt(Exception):
    """Why the hit path could not be compiled, in a few words."""


def fingerprint() -> str:
    """What a compiled file belongs to: the sources, how they are compiled, PyTorch, Python and the machine.

    Raises:
        NotBuilt: there is no PyTorch.
    """
    digest = hashlib.sha256()
    facts = [*_OPTIONS, torch_version(), sysconfig.get_config_var("SOABI") or "", platform.machine()]
    # Sorted: the order of a folder differs between file systems, and the digest is one for all.
    for path in sorted(_SOURCES.iterdir()):
        facts += [path.name, path.read_text(encoding="utf-8")]
    for fact in facts:
        # With its length, so that no two lists of facts have the same bytes.
        digest.update(f"{len(fact)}:{fact}".encode())
    return digest.hexdigest()[:32]


def torch_version() -> str:
    """The version of this environment's PyTorch, as it states it itself.

    Raises:
        NotBuilt: there is no PyTorch.
    """
    # As text: to import PyTorch takes seconds, and the host does without it.
    text = (_torch_folder() / "version.py").read_text(encoding="utf-8")
    found = re.search(r"^__version__ = '([^']+)'", text, re.MULTILINE)
    if found is None:
        raise NotBuilt("PyTorch's version is not known")
    return found[1]


def build(target: Path) -> None:
    """Compile, see that it can be loaded, and put the file in its place: it appears whole or not at all.

    The caller sees to it that only one process at a time builds a target.

    Raises:
        NotBuilt: there is no compiler or there are no headers, or the compiled file cannot be loaded.
        OSError: the folder cannot be written to.
    """
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise NotBuilt("no C++ compiler answers")
    # The caller's lock is held, so a folder of this target is that of a compilation that was killed.
    drafts = f".haet-build-{target.stem}-"
    for left in target.parent.glob(f"{drafts}*"):
        shutil.rmtree(left, ignore_errors=True)
    # Next to the target, because a rename cannot cross file systems.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=drafts) as folder:
        draft = Path(folder) / target.name
        _run([compiler, *_arguments(), "-o", str(draft)], folder, "the C++ compiler failed")
        _run(
            [sys.executable, "-P", "-s", "-B", "-c", _LOOK, MODULE, str(draft)], folder, "it cannot be loaded"
        )
        draft.replace(target)


def _arguments() -> list[str]:
    torch = _torch_folder()
    headers = (torch / "include", torch / "include/torch/csrc/api/include", sysconfig.get_paths()["include"])
    return [
        *_OPTIONS,
        f'-DHAET_TORCH_VERSION="{torch_version()}"',
        *(part for folder in headers for part in ("-isystem", str(folder))),
        str(_SOURCES / "module.cpp"),
        f"-L{torch / 'lib'}",
        *(f"-l{library}" for library in _LIBRARIES),
    ]


def _run(command: list[str], folder: str, failure: str) -> None:
    # The compiler's own temporary files are then removed with the folder, also if it is killed.
    # In English, so that `_STOPPED` finds what it says.
    environment = os.environ | {"TMPDIR": folder, "OMP_NUM_THREADS": "1", "LC_ALL": "C"}
    with subprocess.Popen(  # noqa: S603 the machine's compiler, our own sources
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=_SECONDS)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)  # the compiler is a child of the command
            if isinstance(error, subprocess.TimeoutExpired):
                raise NotBuilt(f"{failure}: it took longer than {_SECONDS} s") from None
            raise
    # Not NotBuilt, which is remembered: neither says anything about the sources.
    if process.returncode < 0:
        raise InterruptedError(f"{failure}: it was stopped by signal {-process.returncode}")
    if process.returncode and (stopped := _STOPPED.search(said)):
        raise InterruptedError(f"{failure}: {stopped[0].decode()}")
    if process.returncode:
        lines = said.decode(errors="replace").splitlines()
        error_line = next((line for line in lines if "error" in line.lower()), "")
        raise NotBuilt(f"{failure}: {error_line or f'exit status {process.returncode}'}")


def _torch_folder() -> Path:
    found = find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise NotBuilt("PyTorch is not installed here")
    return Path(found.submodule_search_locations[0])


def main() -> None:
    """Compile into the named file; exit status 1 if that is not possible."""
    try:
        build(Path(sys.argv[1]).resolve())
    except (NotBuilt, OSError) as error:
        sys.exit(f"The client's hit path was not compiled: {error}")


if __name__ == "__main__":
    main()
