"""Packs a submission that is still a folder, so that it is judged like its zip."""

import os
from collections.abc import Iterator
from pathlib import Path

from haet_eval.archive.limits import ArchiveLimits
from haet_eval.archive.litter import is_litter
from haet_eval.archive.names import check_path, shown
from haet_eval.archive.pack import pack_compressed
from haet_eval.errors import InvalidSubmission


def pack_folder(folder: Path, limits: ArchiveLimits) -> bytes:
    """The zip of a folder, compressed, without the files that tools leave behind (`is_litter`).

    Reads no more than the limits allow, and follows no symbolic link.

    Raises:
        InvalidSubmission: something in the folder is not a plain file, or the folder holds too much.
    """
    files: dict[str, bytes] = {}
    left = limits.unpacked_bytes
    for path, file in _walk(folder, ""):
        check_path(path, limits)
        if len(files) == limits.entries:
            raise InvalidSubmission(
                f"The folder has more than {limits.entries} files.", code="folder-too-many-files"
            )
        with file.open("rb") as stream:
            # One byte more than is left shows a file that is too large, and no more of it is read.
            files[path] = stream.read(left + 1)
        left -= len(files[path])
        if left < 0:
            raise InvalidSubmission(
                f"With {shown(path)} the folder is larger than {limits.unpacked_bytes} bytes. "
                "A submission is code: leave out data, weights and notebooks.",
                code="folder-too-large",
            )
    return pack_compressed(files)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Plain files below `folder` with their relative posix paths, in a fixed order."""
    with os.scandir(folder) as listing:
        # A file system lists names in any order, and the error should name the same file each time.
        items = sorted(listing, key=lambda item: item.name)
    for item in items:
        path = prefix + item.name
        # Before links are looked at: virtual environments are full of them.
        if is_litter(path):
            continue
        if item.is_symlink():
            raise InvalidSubmission(
                f"{shown(path)} is a symbolic link; put the file itself in its place.",
                code="folder-symbolic-link",
            )
        if item.is_dir():
            yield from _walk(Path(item.path), f"{path}/")
        elif item.is_file():
            yield path, Path(item.path)
        else:
            raise InvalidSubmission(
                f"{shown(path)} is neither a file nor a folder.", code="folder-special-file"
            )
