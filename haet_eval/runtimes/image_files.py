"""The folder of the sandbox's files: at the top of a checkout, or in the installed package."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import haet_eval
from haet_eval.errors import EnvironmentProblem

IMAGE = f"haet-eval-sandbox:{haet_eval.__version__}"

_PACKAGE = Path(haet_eval.__file__).parent
# The modules of the package that workers import. A change of any other module leaves the image as it is.
WORKERS_NEED = ("__init__.py", "errors.py", "counting", "native", "operators", "remote")

_INSTALLED = _PACKAGE / "resources" / "image"


def sandbox_folder() -> Path:
    """The folder with the mains of the workers and `seccomp.json`."""
    return _image_folder() / "sandbox"


@dataclass(frozen=True, slots=True)
class BuildContext:
    """A tar of the Dockerfile and the files that it copies. The same sources give the same bytes."""

    tar: bytes

    @property
    def digest(self) -> str:
        """SHA-256, by which an image of other sources is known."""
        return hashlib.sha256(self.tar).hexdigest()


def build_context() -> BuildContext:
    """The sources of the sandbox image, except its base and its packages."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in _image_files():
            content = path.read_bytes()
            # Owner, time and mode of the files stay out: they differ between checkouts, and the digest must
            # not.
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return BuildContext(buffer.getvalue())


def _image_files() -> Iterator[tuple[str, Path]]:
    """Each file of the build context with its name there, in order."""
    folder = _image_folder()
    yield "Dockerfile", folder / "Dockerfile"
    for part in WORKERS_NEED:
        for path in _files(_PACKAGE / part):
            yield f"haet_eval/{path.relative_to(_PACKAGE).as_posix()}", path
    for path in _files(folder / "sandbox"):
        yield f"sandbox/{path.relative_to(folder / 'sandbox').as_posix()}", path


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or the files below a folder, in order, without compiled ones."""
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    return (one for one in inside if one.is_file() and "__pycache__" not in one.parts)


def _image_folder() -> Path:
    for folder in (_PACKAGE.parent, _INSTALLED):
        if (folder / "Dockerfile").is_file() and (folder / "sandbox").is_dir():
            return folder
    raise EnvironmentProblem(
        f"the sandbox's files are missing beside {_PACKAGE}",
        "Install haet-eval again, from its wheel or its repository.",
        code="installation",
    )
