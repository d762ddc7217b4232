"""The structure of a zip file: its central directory, checked against every byte of the file.

Python's zipfile tries to open every file: it renames entries, skips bytes before the archive, and lets
entries overlap. This reader refuses such files. Entries must fill the file from the first byte to the central
directory, without gap or overlap, and both descriptions of an entry must agree.

Layout of the structures: PKWARE, APPNOTE.TXT, .ZIP File Format Specification, 4.3.
"""

import stat
import struct
from dataclasses import dataclass
from typing import Final

from haet_eval.archive.names import shown
from haet_eval.errors import InvalidSubmission

STORED: Final = 0
DEFLATED: Final = 8

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_SIZES = struct.Struct("<3I")
_LOCAL_MAGIC = b"PK\x03\x04"
_CENTRAL_MAGIC = b"PK\x01\x02"
_END_MAGIC = b"PK\x05\x06"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_LONGEST_COMMENT = 0xFFFF

_ENCRYPTED = 0x0001
_SIZES_FOLLOW = 0x0008
_UTF8_NAME = 0x0800
_KNOWN_FLAGS = _ENCRYPTED | 0x0006 | _SIZES_FOLLOW | _UTF8_NAME  # 0x0006: how hard deflate tried
_ZIP64_16 = 0xFFFF
_ZIP64_32 = 0xFFFFFFFF

_SPECIAL_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """One file or folder as the central directory describes it; sizes in bytes, `data` still compressed."""

    name: str
    is_folder: bool
    method: int
    crc: int
    size: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Header:
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    mode: int
    offset: int

    @property
    def label(self) -> str:
        return shown(self.raw_name)


def read_directory(archive: bytes, max_entries: int) -> list[ArchiveEntry]:
    """Every entry, in the order in which they lie in the file.

    Raises:
        InvalidSubmission: the file is not a zip, or it is damaged or crafted.
    """
    start, count, end = _find_directory(archive)
    # Before any header is read: hundreds of thousands of them cost time and memory.
    if count > max_entries:
        raise InvalidSubmission(
            f"The zip has {count} entries; {max_entries} are allowed.", code="zip-too-many-entries"
        )
    # A directory may list entries in any order; overlaps and gaps show in the order of the file.
    headers = sorted(_read_headers(archive, start, count, end), key=lambda header: header.offset)
    entries = []
    position = 0
    previous = ""
    for header in headers:
        _check_start(header, position, previous)
        entry, position = _read_entry(archive, header, start)
        entries.append(entry)
        previous = header.label
    if position != start:
        raise InvalidSubmission(
            f"{start - position} bytes between the last entry and the zip's directory belong to no entry.",
            code="zip-gap",
        )
    return entries


def _find_directory(archive: bytes) -> tuple[int, int, int]:
    """The start of the central directory, the number of its entries, and its end."""
    # The last one counts. If it lies in the comment of another one, the checks of its place and of the gaps
    # refuse the file.
    end = archive.rfind(_END_MAGIC, max(0, len(archive) - _END.size - _LONGEST_COMMENT))
    if end < 0 or end + _END.size > len(archive):
        raise _no_zip(archive)
    _, disk, start_disk, on_disk, count, size, start, comment = _END.unpack_from(archive, end)
    # These values mean that the real ones are in a zip64 record. Two descriptions of one number are two
    # chances to lie.
    if _ZIP64_16 in (on_disk, count) or _ZIP64_32 in (size, start):
        raise InvalidSubmission(_zip64("The zip"), code="zip-zip64")
    if disk or start_disk or on_disk != count:
        raise InvalidSubmission(
            "The zip is one part of a split archive; submit it in one piece.", code="zip-split"
        )
    # Bytes that belong to nothing may be read as another archive by another tool.
    if end + _END.size + comment != len(archive):
        raise InvalidSubmission("Data stands after the end of the zip.", code="zip-trailing-data")
    if start + size < end:
        raise InvalidSubmission(
            "Data stands before the zip, or between its directory and its end: "
            "a self-extracting or otherwise prefixed archive is not accepted.",
            code="zip-prefixed",
        )
    if start + size > end:
        raise InvalidSubmission(
            "The zip's directory reaches past its own end.", code="zip-directory-past-end"
        )
    return start, count, end


def _read_headers(archive: bytes, start: int, count: int, end: int) -> list[_Header]:
    headers = []
    position = start
    for _ in range(count):
        if position + _CENTRAL.size > end or not archive.startswith(_CENTRAL_MAGIC, position):
            raise InvalidSubmission(
                f"The zip's directory lists fewer entries than the {count} it announces.",
                code="zip-directory-count",
            )
        fields = _CENTRAL.unpack_from(archive, position)
        name_size, extra_size, comment_size = fields[10:13]
        name_at = position + _CENTRAL.size
        position = name_at + name_size + extra_size + comment_size
        if position > end:
            raise InvalidSubmission(
                "An entry of the zip's directory reaches past the directory's end.",
                code="zip-directory-past-end",
            )
        header = _Header(
            raw_name=archive[name_at : name_at + name_size],
            flags=fields[3],
            method=fields[4],
            crc=fields[7],
            packed_size=fields[8],
            size=fields[9],
            # The upper half is a Unix mode. It is looked at whatever system the entry names, which may be a
            # lie.
            mode=fields[15] >> 16,
            offset=fields[16],
        )
        _check_header(header)
        headers.append(header)
    if position != end:
        raise InvalidSubmission(
            f"The zip's directory lists more entries than the {count} it announces.",
            code="zip-directory-count",
        )
    return headers


def _check_header(header: _Header) -> None:
    label = header.label
    if header.flags & _ENCRYPTED:
        raise InvalidSubmission(f"{label} is encrypted; zip it without a password.", code="zip-encrypted")
    if header.flags & ~_KNOWN_FLAGS:
        raise InvalidSubmission(
            f"{label} uses a rare zip feature (flags {header.flags:#06x}).", code="zip-rare-feature"
        )
    if header.method not in (STORED, DEFLATED):
        raise InvalidSubmission(
            f"{label} is compressed with method {header.method}; only 'stored' and 'deflate' are accepted.",
            code="zip-compression",
        )
    if _ZIP64_32 in (header.packed_size, header.size, header.offset):
        raise InvalidSubmission(_zip64(label), code="zip-zip64")
    kind = stat.S_IFMT(header.mode)
    if kind in _SPECIAL_KINDS:
        raise InvalidSubmission(
            f"{label} is {_SPECIAL_KINDS[kind]}; only files and folders are accepted.",
            code="zip-special-file",
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise InvalidSubmission(
            f"{label} is of an unknown kind (mode {header.mode:#o}).", code="zip-unknown-kind"
        )
    is_folder = header.raw_name.endswith(b"/")
    # Tools would differ in what they unpack: some go by the name and some by the mode.
    if kind and is_folder != (kind == stat.S_IFDIR):
        raise InvalidSubmission(
            f"{label} is called a file in one place and a folder in another.", code="zip-file-or-folder"
        )
    if is_folder and header.size:
        raise InvalidSubmission(f"{label} is a folder and yet has content.", code="zip-folder-with-content")


def _check_start(header: _Header, position: int, previous: str) -> None:
    """An entry must begin exactly where the one before it ended."""
    if header.offset < position:
        raise InvalidSubmission(
            f"{header.label} overlaps {previous}: two entries share the same bytes.", code="zip-overlap"
        )
    if header.offset > position and not previous:
        raise InvalidSubmission(
            f"{header.offset} bytes of data stand before the first entry of the zip.", code="zip-prefixed"
        )
    if header.offset > position:
        raise InvalidSubmission(
            f"{header.offset - position} bytes between {previous} and {header.label} belong to no entry.",
            code="zip-gap",
        )


def _read_entry(archive: bytes, header: _Header, limit: int) -> tuple[ArchiveEntry, int]:
    """The entry, and the position of the first byte after it; `limit` is where the entries must end."""
    label = header.label
    if header.offset + _LOCAL.size > limit or not archive.startswith(_LOCAL_MAGIC, header.offset):
        raise InvalidSubmission(
            f"{label} is not where the zip's directory says it is.", code="zip-header-elsewhere"
        )
    fields = _LOCAL.unpack_from(archive, header.offset)
    flags, method, sizes = fields[2], fields[3], fields[6:9]
    name_at = header.offset + _LOCAL.size
    data_at = name_at + fields[9] + fields[10]
    after = data_at + header.packed_size
    if after > limit:
        raise InvalidSubmission(
            f"{label} reaches into the zip's directory or past its end: a size is a lie.", code="zip-size-lie"
        )
    expected = (header.crc, header.packed_size, header.size)
    # A tool that writes to a stream does not know the sizes yet. They follow the data then.
    agreed = sizes == expected or flags & _SIZES_FOLLOW
    same_name = archive[name_at : name_at + fields[9]] == header.raw_name
    if not same_name or method != header.method or (flags ^ header.flags) & _ENCRYPTED or not agreed:
        raise InvalidSubmission(
            f"{label} is described in two ways that contradict each other.", code="zip-headers-differ"
        )
    if flags & _SIZES_FOLLOW:
        after = _skip_descriptor(archive, after, limit, expected, label)
    data = memoryview(archive)[data_at : data_at + header.packed_size]
    name = _decode_name(header)
    return ArchiveEntry(name, name.endswith("/"), method, header.crc, header.size, data), after


def _skip_descriptor(
    archive: bytes, position: int, limit: int, expected: tuple[int, int, int], label: str
) -> int:
    """The position after the sizes that some tools write behind an entry."""
    # The format leaves this signature out or in.
    if archive.startswith(_DESCRIPTOR_MAGIC, position):
        position += len(_DESCRIPTOR_MAGIC)
    after = position + _SIZES.size
    if after > limit or _SIZES.unpack_from(archive, position) != expected:
        raise InvalidSubmission(
            f"{label} is followed by sizes that contradict the zip's directory.", code="zip-headers-differ"
        )
    return after


def _decode_name(header: _Header) -> str:
    """Entry names are read as UTF-8 with or without the flag: macOS writes UTF-8 without the flag."""
    try:
        return header.raw_name.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidSubmission(
            f"The entry name {header.label} is not UTF-8; rename the file with plain letters.",
            code="name-not-utf8",
        ) from None


def _no_zip(content: bytes) -> InvalidSubmission:
    if not content:
        return InvalidSubmission(
            "The file is empty: copy it once more, or zip the submission again.", code="zip-not-a-zip"
        )
    if content.startswith(_LOCAL_MAGIC):
        return InvalidSubmission(
            "The zip archive is cut short, or has data after its end: copy it once more, "
            "or zip the submission again.",
            code="zip-not-a-zip",
        )
    return InvalidSubmission(
        "The file is not a zip archive: name the folder that haet.toml lies in, "
        "or make a zip of it by `haet-eval pack FOLDER`.",
        code="zip-not-a-zip",
    )


def _zip64(what: str) -> str:
    return f"{what} uses the zip64 format, meant for archives above 4 GiB; zip it again without."
