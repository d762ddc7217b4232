"""Where the pieces of the sandbox lie: at the top of a checkout, or in the package once it is installed."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import haet_eval
from haet_eval.errors import EnvironmentProblem

_PACKAGE = Path(haet_eval.__file__).parent
# What the two workers import of the package. Changes of the rest leave the image as it is.
WORKERS_NEED = ("__init__.py", "errors.py", "counting", "remote")

_INSTALLED = _PACKAGE / "resources" / "image"


def sandbox_folder() -> Path:
    """The folder with the mains of the two workers and `seccomp.json`."""
    return _image_folder() / "sandbox"


def source_digest() -> str:
    """SHA-256 over everything that the sandbox image is built from but its base and its packages."""
    digest = hashlib.sha256()
    for name, path in _image_files():
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def build_context() -> bytes:
    """A tar of what the Dockerfile copies. The same sources give the same bytes, so layers are reused."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in _image_files():
            content = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _image_files() -> Iterator[tuple[str, Path]]:
    """Each file of the build context with its name there, in order."""
    folder = _image_folder()
    for name in ("Dockerfile", "constraints.txt"):
        yield name, folder / name
    for part in WORKERS_NEED:
        for path in _files(_PACKAGE / part):
            yield f"haet_eval/{path.relative_to(_PACKAGE).as_posix()}", path
    for path in _files(folder / "sandbox"):
        yield f"sandbox/{path.relative_to(folder / 'sandbox').as_posix()}", path


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or the files below a folder, in order, but for compiled ones."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    return (one for one in inside if one.is_file() and "__pycache__" not in one.parts)


def _image_folder() -> Path:
    for folder in (_PACKAGE.parent, _INSTALLED):
        if (folder / "Dockerfile").is_file() and (folder / "sandbox").is_dir():
            return folder
    raise EnvironmentProblem(
        f"the sandbox's files are missing beside {_PACKAGE}",
        "install haet-eval again, from its wheel or its repository",
    )
