"""Files that a command writes where its user wants them, whole or not at all."""

from pathlib import Path

from haet_eval.atomic import write_output
from haet_eval.cli.boundary import say_line
from haet_eval.errors import EnvironmentProblem, output_not_writable


def write_file(path: Path, content: bytes) -> None:
    """Write a file, and the folders that it lies in.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A page that is replaced while someone reads it is either the old one or the new one.
        write_output(path, content)
    except OSError as error:
        raise output_not_writable(Path(error.filename or path), error) from None


def remove_file(path: Path) -> None:
    """Remove a file that an earlier call has written.

    Raises:
        EnvironmentProblem: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be removed: {error.strerror}",
            "Check the owner of its folder.",
            code="output-not-writable",
        ) from None


def write_page(path: Path, text: str) -> None:
    """Write a page, and say so.

    Raises:
        EnvironmentProblem: it cannot be written.
    """
    content = text.encode()
    write_file(path, content)
    say_line(f"{path}: {len(content):,} bytes, to be read in any browser")
