"""From the bytes of a zip to the files in it, all in memory, every cap enforced while reading."""

import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import replace

from haet_eval.archive.directory import STORED, ArchiveEntry, read_directory
from haet_eval.archive.limits import ArchiveLimits
from haet_eval.archive.litter import is_litter
from haet_eval.archive.names import check_distinct, check_kind, check_path, shown
from haet_eval.archive.text import check_text
from haet_eval.errors import InvalidSubmission

_HERE = "./"


def unpack(archive: bytes, limits: ArchiveLimits) -> dict[str, bytes]:
    """The text files of a submission by relative posix path, sorted.

    Files that tools leave behind (`is_litter`) are left out without being read, whatever their names are. If
    one folder wraps all files, as in the zip of a folder, its name is removed, and so is a leading `./`,
    which tar writes. Names are returned in Unicode's composed form (NFC), in whatever form the zip has them.

    Raises:
        InvalidSubmission: the archive or a file in it breaks a rule; names the entry and the rule.
    """
    if len(archive) > limits.archive_bytes:
        raise InvalidSubmission(
            f"The archive is larger than {limits.archive_bytes} bytes. "
            "A submission is code: leave out data, weights and notebooks.",
            code="zip-too-large",
        )
    entries = [_from_here(entry) for entry in read_directory(archive, limits.entries)]
    entries = [entry for entry in entries if entry.name != _HERE and not is_litter(entry.name)]
    for entry in entries:
        check_path(entry.name, limits)
    check_distinct(entry.name for entry in entries)
    files = [entry for entry in entries if not entry.is_folder]
    if not files:
        raise InvalidSubmission(
            "The submission has no files in it; `haet-eval new FOLDER` writes one to begin with.",
            code="zip-empty",
        )
    # After the checks of all names: a wrapper that leads elsewhere is refused and not taken off.
    wrapper = _wrapping_folders([entry.name for entry in files])
    contents: dict[str, bytes] = {}
    left = limits.unpacked_bytes
    for entry in files:
        # macOS writes names decomposed, and imports name modules in the composed form.
        path = unicodedata.normalize("NFC", entry.name.removeprefix(wrapper))
        check_kind(path)
        # The room is what the files before have left, so that many files together are bounded, too.
        contents[path] = _read(entry, min(left, limits.file_bytes), limits.expansion)
        left -= len(contents[path])
        check_text(path, contents[path])
    return dict(sorted(contents.items()))


def _from_here(entry: ArchiveEntry) -> ArchiveEntry:
    """The entry without the `./` that its name begins with; the folder itself stays `./`."""
    name = entry.name
    while name.startswith(_HERE) and name != _HERE:
        name = name.removeprefix(_HERE)
    return entry if name == entry.name else replace(entry, name=name)


def _wrapping_folders(paths: Sequence[str]) -> str:
    """The folders that hold every file, with their slashes, or nothing."""
    wrapper = ""
    while True:
        tops = {path.removeprefix(wrapper).partition("/")[:2] for path in paths}
        folder, slash = tops.pop()
        if tops or not slash:
            return wrapper
        wrapper += folder + slash


def _read(entry: ArchiveEntry, room: int, expansion: int) -> bytes:
    """The content of a file: at most `room` bytes, and at most `expansion` times the stored bytes."""
    label = shown(entry.name)
    # One byte more than announced: a lie shows, and a bomb does not unfold beyond it.
    content = bytes(entry.data) if entry.method == STORED else _inflate(entry, min(room, entry.size) + 1)
    if len(content) > room:
        raise InvalidSubmission(
            f"{label} does not fit: the files are larger than a submission may be.",
            code="zip-unpacked-too-large",
        )
    # Deflate reaches 1032 to one. Text does not, so such content is data in disguise or a bomb.
    if len(content) > expansion * len(entry.data):
        raise InvalidSubmission(
            f"{label} expands more than {expansion}-fold, as no ordinary text does; store it uncompressed.",
            code="zip-bomb",
        )
    if len(content) != entry.size:
        raise InvalidSubmission(
            f"{label} is not of the {entry.size} bytes that the zip announces.", code="zip-size-lie"
        )
    if zlib.crc32(content) != entry.crc:
        raise InvalidSubmission(
            f"{label} is damaged: its checksum (CRC-32) is wrong. Zip it again.", code="zip-damaged"
        )
    return content


def _inflate(entry: ArchiveEntry, max_size: int) -> bytes:
    label = shown(entry.name)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(entry.data, max_size)
        if len(content) < max_size:
            content += inflater.decompress(inflater.unconsumed_tail, max_size - len(content))
    except zlib.error:
        raise InvalidSubmission(
            f"{label} is damaged: its compressed data make no sense.", code="zip-damaged"
        ) from None
    if len(content) < max_size and (not inflater.eof or inflater.unused_data):
        raise InvalidSubmission(
            f"The compressed data of {label} end too early or too late.", code="zip-damaged"
        )
    return content
