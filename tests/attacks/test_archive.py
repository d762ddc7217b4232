"""Archives made to harm whoever unpacks them. Each is refused, by name, and leaves nothing on the disk."""

import io
import os
import random
import stat
import struct
import sys
import tracemalloc
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haet_eval.archive import unpack
from haet_eval.errors import InvalidSubmission, Verdict
from haet_eval.submission import ArchiveLimits, load_submission, pack

MANIFEST = b'[submission]\nname = "n"\nteam = "t"\ntask = "digits"\ndescription = "d"\n'
TRAIN = b"def train(task):\n    return None\n"
LIMITS = ArchiveLimits()


@dataclass
class Member:
    """One entry, with everything that an attacker may choose about it."""

    name: str | bytes
    content: bytes = b""
    method: int = zipfile.ZIP_STORED
    packed: bytes | None = None
    flags: int = 0
    mode: int = stat.S_IFREG | 0o644
    size: int | None = None
    crc: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    descriptor: bytes = b""

    @property
    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name

    @property
    def data(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == zipfile.ZIP_DEFLATED else self.content

    def sizes(self, announced: int | None) -> tuple[int, int, int]:
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        return crc, len(self.data), len(self.content) if announced is None else announced


@dataclass
class Zip:
    """Writes a zip by hand, because no tool writes these."""

    members: list[Member] = field(default_factory=list)
    before: bytes = b""
    between: bytes = b""
    after: bytes = b""
    comment: bytes = b""
    count: int | None = None

    def write(self) -> bytes:
        out = bytearray(self.before)
        directory = bytearray()
        for member in self.members:
            name = member.raw_name
            local_name = name if member.local_name is None else member.local_name
            offset = len(out) if member.offset is None else member.offset
            local_sizes = member.sizes(member.size if member.local_size is None else member.local_size)
            out += struct.pack("<4s5H", b"PK\3\4", 20, member.flags, member.method, 0, 0x21)
            out += struct.pack("<3I2H", *local_sizes, len(local_name), 0) + local_name
            out += member.data + member.descriptor
            directory += struct.pack("<4s6H", b"PK\1\2", 0x0314, 20, member.flags, member.method, 0, 0x21)
            directory += struct.pack("<3I", *member.sizes(member.size))
            directory += struct.pack("<5H2I", len(name), 0, 0, 0, 0, member.mode << 16, offset) + name
        out += self.between
        start = len(out)
        count = len(self.members) if self.count is None else self.count
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), start, len(self.comment))
        return bytes(out + directory + end + self.comment + self.after)


def deflated(content: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(content) + deflater.flush()


def honest() -> list[Member]:
    return [Member("haet.toml", MANIFEST), Member("submission.py", TRAIN, zipfile.ZIP_DEFLATED)]


def beside(*members: Member) -> bytes:
    """A good submission with these entries added."""
    return Zip([*honest(), *members]).write()


WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
WRITE_EVENTS = {
    "os.mkdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "subprocess.Popen",
}


class Watch:
    """Python's own audit hook: sees every file that this process opens for writing."""

    def __init__(self) -> None:
        self.active = False
        self.written: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active:
            return
        flags = arguments[2] if event == "open" else 0
        if event in WRITE_EVENTS or (isinstance(flags, int) and flags & WRITE_FLAGS):
            self.written.append(f"{event} {arguments!r}")


WATCH = Watch()
Refuse = Callable[[bytes], str]


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Refuse]:
    """Loads an archive, and gives the reason for which it was refused."""

    def refuse(archive: bytes) -> str:
        path = tmp_path / "attack.zip"
        path.write_bytes(archive)
        WATCH.written.clear()
        WATCH.active = True
        try:
            with pytest.raises(InvalidSubmission) as caught:
                load_submission(path)
        finally:
            WATCH.active = False
        assert WATCH.written == []
        assert caught.value.verdict is Verdict.INVALID_SUBMISSION
        assert caught.value.reason.isprintable()
        return caught.value.reason

    yield refuse
    assert [item.name for item in tmp_path.iterdir()] == ["attack.zip"]


def test_the_watch_sees_a_file_being_written(tmp_path: Path) -> None:
    WATCH.written.clear()
    WATCH.active = True
    (tmp_path / "x").write_text("x")
    WATCH.active = False
    assert len(WATCH.written) == 1


def test_the_honest_archive_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "good.zip"
    path.write_bytes(Zip(honest(), comment=b"as git archive writes one").write())
    assert list(load_submission(path).files) == ["haet.toml", "submission.py"]


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "a/..", "../"])
def test_climbing_out(refused: Refuse, name: str) -> None:
    mode = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
    assert refused(beside(Member(name, mode=mode))) == (
        f"The entry name {name!r} climbs out of the submission with '..'."
    )


@pytest.mark.parametrize("name", ["/etc/cron.d/evil.py", "C:/evil.py", "c:evil.py", "//host/share/evil.py"])
def test_absolute_name(refused: Refuse, name: str) -> None:
    assert refused(beside(Member(name))) == f"The entry name {name!r} is absolute; names must be relative."


@pytest.mark.parametrize("name", ["a\\evil.py", "..\\evil.py", "\\\\host\\share.py"])
def test_backslashes(refused: Refuse, name: str) -> None:
    reason = refused(beside(Member(name)))
    assert f"'{name}' has a backslash" in reason
    assert "haet-eval pack" in reason


@pytest.mark.parametrize("name", ["a//b.py", "a/./b.py"])
def test_empty_parts(refused: Refuse, name: str) -> None:
    assert refused(beside(Member(name))) == (
        f"The entry name {name!r} has an empty or '.' part. Zip the folder with `haet-eval pack`."
    )


@pytest.mark.parametrize(
    "name", ["a\0.py", "a\x1b[31m.py", "a\nb.py", "a\x7f.py", "a\u202eyp.py", "a\u200b.py", "\u2028.py"]
)
def test_control_and_invisible_characters(refused: Refuse, name: str) -> None:
    assert refused(beside(Member(name))) == (
        f"The entry name {name!r} has an invisible or control character in it."
    )


def test_name_that_is_not_utf8(refused: Refuse) -> None:
    assert "entry name 'caf\\xe9.py' is not UTF-8" in refused(beside(Member(b"caf\xe9.py")))


def test_no_name(refused: Refuse) -> None:
    assert refused(beside(Member(""))) == "An entry of the zip has no name."


@pytest.mark.parametrize("name", ["con.py", "a/NUL.txt", "com1.py", "Lpt9.md", "aux/x.py"])
def test_reserved_name(refused: Refuse, name: str) -> None:
    assert refused(beside(Member(name))) == (
        f"The entry name {name!r} is reserved: it means a device on some machines."
    )


@pytest.mark.parametrize("name", ["a.py ", "a/b./c.py", " a.py"])
def test_name_that_another_system_trims(refused: Refuse, name: str) -> None:
    assert "begins or ends with a space or a dot" in refused(beside(Member(name)))


@pytest.mark.parametrize("name", ["a.py:stream", "what?.py", "<script>.md", 'a"b.py'])
def test_name_that_another_system_refuses(refused: Refuse, name: str) -> None:
    assert "has one of the characters" in refused(beside(Member(name)))


def test_endless_name(refused: Refuse) -> None:
    reason = refused(beside(Member("a" * 60_000 + ".py")))
    assert "has 60003 characters; 200 are allowed" in reason
    assert len(reason) < 200


def test_deep_folders(refused: Refuse) -> None:
    assert "lies 51 folders deep; 10 are allowed" in refused(beside(Member("a/" * 50 + "b.py")))


def test_duplicate_name(refused: Refuse) -> None:
    assert refused(beside(Member("submission.py", b"evil"))) == "The name 'submission.py' occurs twice."


@pytest.mark.parametrize("name", ["Submission.py", "SUBMISSION.PY", "haet.TOML", "ſubmission.py"])
def test_names_equal_but_for_case(refused: Refuse, name: str) -> None:
    reason = refused(beside(Member(name)))
    assert repr(name) in reason
    assert "differ only in case or in the form of a letter" in reason


def test_folders_equal_but_for_case(refused: Refuse) -> None:
    assert "'Net' and 'net' differ only in case" in refused(beside(Member("net/a.py"), Member("Net/b.py")))


def test_names_equal_but_for_unicode_form(refused: Refuse) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.py") for form in ("NFC", "NFD"))
    reason = refused(beside(Member(composed, flags=0x0800), Member(decomposed, flags=0x0800)))
    assert "differ only in case or in the form of a letter" in reason


def test_file_that_is_a_folder_too(refused: Refuse) -> None:
    reason = refused(beside(Member("net.txt"), Member("net.txt/a.py")))
    assert reason == "'net.txt' is both a file and a folder."


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        (stat.S_IFLNK, "a symbolic link"),
        (stat.S_IFIFO, "a FIFO"),
        (stat.S_IFCHR, "a character device"),
        (stat.S_IFBLK, "a block device"),
        (stat.S_IFSOCK, "a socket"),
    ],
)
def test_special_entry(refused: Refuse, kind: int, called: str) -> None:
    reason = refused(beside(Member("data.txt", b"/etc/shadow", mode=kind | 0o777)))
    assert reason == f"'data.txt' is {called}; only files and folders are accepted."


def test_unknown_kind_of_entry(refused: Refuse) -> None:
    assert "'x.txt' is of an unknown kind" in refused(beside(Member("x.txt", mode=0o170000)))


@pytest.mark.parametrize(("name", "kind"), [("net/", stat.S_IFREG), ("net.py", stat.S_IFDIR)])
def test_file_in_one_place_and_folder_in_another(refused: Refuse, name: str, kind: int) -> None:
    assert "called a file in one place and a folder in another" in refused(beside(Member(name, mode=kind)))


def test_folder_with_content(refused: Refuse) -> None:
    reason = refused(beside(Member("net/", b"hidden", mode=stat.S_IFDIR)))
    assert reason == "'net/' is a folder and yet has content."


def test_encrypted_entry(refused: Refuse) -> None:
    assert "'x.py' is encrypted" in refused(beside(Member("x.py", b"?" * 20, flags=1)))


@pytest.mark.parametrize("flag", [0x0020, 0x0040, 0x2000])
def test_rare_zip_features(refused: Refuse, flag: int) -> None:
    assert "'x.py' uses a rare zip feature" in refused(beside(Member("x.py", flags=flag)))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_that_expands_without_bound(refused: Refuse, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("haet.toml", MANIFEST)
        archive.writestr("bomb.txt", bytes(8 << 20))
    reason = refused(buffer.getvalue())
    assert f"compressed with method {method}; only 'stored' and 'deflate'" in reason


def test_bomb_that_announces_its_size(refused: Refuse) -> None:
    bomb = Member("bomb.txt", b" " * (64 << 20), zipfile.ZIP_DEFLATED)
    assert "'bomb.txt' does not fit" in refused(beside(bomb))


def test_bomb_that_lies_about_its_size(refused: Refuse) -> None:
    bomb = Member("bomb.txt", b" " * (64 << 20), zipfile.ZIP_DEFLATED, size=100)
    tracemalloc.start()
    try:
        reason = refused(beside(bomb))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "'bomb.txt' is not of the 100 bytes that the zip announces" in reason
    assert peak_bytes < 4 << 20


def test_bomb_within_the_total_but_hardly_stored(refused: Refuse) -> None:
    bomb = Member("bomb.txt", b" " * 900_000, zipfile.ZIP_DEFLATED)
    assert "'bomb.txt' expands more than 200-fold" in refused(beside(bomb))


def test_many_files_that_are_too_much_together(refused: Refuse) -> None:
    line = random.Random(0).randbytes(2000).hex().encode()
    members = [Member(f"part{number}.txt", line * 16, zipfile.ZIP_DEFLATED) for number in range(30)]
    assert "does not fit: the files are larger" in refused(beside(*members))


def test_archive_that_is_too_large(refused: Refuse) -> None:
    assert "The archive is larger than 262144 bytes" in refused(beside(Member("big.txt", b"x" * 300_000)))


def test_thousands_of_entries(refused: Refuse) -> None:
    members = [Member(f"{number}.py") for number in range(2500)]
    assert refused(Zip([*honest(), *members]).write()) == "The zip has 2502 entries; 200 are allowed."


@pytest.mark.parametrize(("count", "word"), [(1, "more"), (3, "fewer"), (150, "fewer")])
def test_directory_with_another_number_of_entries(refused: Refuse, count: int, word: str) -> None:
    assert f"lists {word} entries than the {count} it announces" in refused(
        Zip(honest(), count=count).write()
    )


def test_overlapping_entries(refused: Refuse) -> None:
    """Many names for one piece of compressed data: the bomb that needs no nesting."""
    kernel = Member("submission.py", TRAIN, zipfile.ZIP_DEFLATED)
    again = Member("again.py", TRAIN, zipfile.ZIP_DEFLATED, offset=0)
    assert "overlaps" in refused(Zip([kernel, again]).write())


def test_entry_inside_another(refused: Refuse) -> None:
    """A quoted local header: the outer entry's data hold the inner entry whole."""
    inner = Zip([Member("inner.py", b"evil")]).write()
    inside = struct.calcsize("<4s5H3I2H") + len("outer.txt")
    members = [Member("outer.txt", inner), Member("inner.py", b"evil", offset=inside)]
    assert refused(Zip(members).write()) == (
        "'inner.py' overlaps 'outer.txt': two entries share the same bytes."
    )


def test_data_before_the_zip(refused: Refuse) -> None:
    assert "data stand before the first entry" in refused(Zip(honest(), before=b"#!/bin/sh\n").write())
    assert "Data stands before the zip" in refused(b"#!/bin/sh\n" + Zip(honest()).write())


def test_data_after_the_zip(refused: Refuse) -> None:
    assert refused(Zip(honest(), after=b"more").write()) == "Data stands after the end of the zip."


def test_two_zips_in_one_file(refused: Refuse) -> None:
    """Which of the two is unpacked depends on the tool."""
    assert "Data stands before the zip" in refused(Zip(honest()).write() * 2)


def test_second_directory_hidden_in_the_comment(refused: Refuse) -> None:
    hidden = Zip(honest()).write()
    assert "Data stands before the zip" in refused(Zip(honest(), comment=hidden).write())


def test_data_between_the_entries(refused: Refuse) -> None:
    gap = Member("gap.txt", descriptor=b"hidden")
    assert "6 bytes between 'gap.txt' and 'z.py' belong to no entry" in refused(beside(gap, Member("z.py")))
    assert "6 bytes between the last entry and the zip's directory" in refused(beside(gap))


def test_zip64(refused: Refuse) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("haet.toml", MANIFEST)
    head, magic, tail = buffer.getvalue().rpartition(b"PK\5\6")
    forced = tail[:4] + b"\xff" * 12 + tail[16:]
    assert "The zip uses the zip64 format" in refused(head + magic + forced)
    assert "'x.py' uses the zip64 format" in refused(beside(Member("x.py", size=0xFFFFFFFF)))


def test_split_archive(refused: Refuse) -> None:
    archive = bytearray(Zip(honest()).write())
    archive[-18] = 1
    assert "one part of a split archive" in refused(bytes(archive))


def test_size_that_reaches_past_the_end(refused: Refuse) -> None:
    data = b"x" * 100
    archive = beside(Member("x.py", data)).replace(
        struct.pack("<2I", 100, 100), struct.pack("<2I", 9999, 9999)
    )
    assert "'x.py' reaches into the zip's directory or past its end" in refused(archive)


def test_offset_that_points_nowhere(refused: Refuse) -> None:
    archive = beside(Member("x.py", b"a", offset=10**9))
    assert "bytes between 'submission.py' and 'x.py' belong to no entry" in refused(archive)
    damaged = Zip(honest()).write().replace(b"PK\3\4", b"PK\3\5", 1)
    assert "'haet.toml' is not where the zip's directory says it is" in refused(damaged)


def test_stored_size_that_lies(refused: Refuse) -> None:
    archive = beside(Member("x.py", b"abc", size=2))
    assert "'x.py' is not of the 2 bytes that the zip announces" in refused(archive)


@pytest.mark.parametrize(
    "lie", [Member("x.py", b"a", local_name=b"y.py"), Member("x.py", b"a", local_size=9)]
)
def test_two_descriptions_that_contradict_each_other(refused: Refuse, lie: Member) -> None:
    assert "'x.py' is described in two ways that contradict each other" in refused(beside(lie))


def test_sizes_behind_the_entry_that_lie(refused: Refuse) -> None:
    lie = Member("x.py", b"a", flags=8, descriptor=struct.pack("<3I", 1, 2, 3))
    assert "'x.py' is followed by sizes that contradict" in refused(beside(lie))


def test_wrong_checksum(refused: Refuse) -> None:
    assert "'x.py' is damaged: its checksum (CRC-32) is wrong" in refused(beside(Member("x.py", b"a", crc=1)))


def test_compressed_nonsense(refused: Refuse) -> None:
    nonsense = Member("x.py", b"a" * 9, zipfile.ZIP_DEFLATED, packed=b"\xff" * 9)
    assert "'x.py' is damaged: its compressed data make no sense" in refused(beside(nonsense))


@pytest.mark.parametrize("packed", [deflated(b"a" * 50) + b"hidden", deflated(bytes(range(50)))[:-4]])
def test_compressed_data_of_another_length(refused: Refuse, packed: bytes) -> None:
    entry = Member("x.txt", b"a" * 50, zipfile.ZIP_DEFLATED, packed=packed)
    assert "'x.txt' end too early or too late" in refused(beside(entry))


@pytest.mark.parametrize(
    "name",
    ["random.pyc", "net.so", "weights.pt", "w.npy", "run.exe", "inner.zip", "submission", "Makefile.am"],
)
def test_file_that_is_not_text_by_its_name(refused: Refuse, name: str) -> None:
    assert f"{name!r} is not of a text type" in refused(beside(Member(name, b"x")))


@pytest.mark.parametrize("name", ["README", "LICENSE", "LICENSE-MIT.txt", "docs/a.md", "c.json", "r.yml"])
def test_text_files_are_accepted(name: str) -> None:
    assert name in unpack(beside(Member(name, b"x")), LIMITS)


def test_compiled_code_under_the_name_of_a_source(refused: Refuse) -> None:
    assert "'x.py' is not UTF-8 text (line 1 has the byte 0xa7)" in refused(
        beside(Member("x.py", b"\xa7\r\r\n\0\0\0\0"))
    )
    assert "'x.txt' has a NUL character in it" in refused(beside(Member("x.txt", b"a\0b")))


def test_compiled_code_in_a_cache_folder_is_never_read() -> None:
    """Left out, as every zip of a folder in which Python has run has one."""
    cached = Member("__pycache__/submission.cpython-311.pyc", b"\xa7\r\r\n", crc=1)
    assert list(unpack(beside(cached), LIMITS)) == ["haet.toml", "submission.py"]


@pytest.mark.parametrize(
    "source", [b"# coding: utf-7\n", b"#!/usr/bin/python\n# -*- coding: utf_16 -*-\n", b"# coding: hex\n"]
)
def test_source_that_reads_otherwise_to_python(refused: Refuse, source: bytes) -> None:
    assert "'x.py' declares" in refused(beside(Member("x.py", source)))


@pytest.mark.parametrize(
    "name", ["sitecustomize.py", "usercustomize.py", "a/sitecustomize.py", "SiteCustomize.py", "x.pth"]
)
def test_file_that_python_runs_at_its_start(refused: Refuse, name: str) -> None:
    assert f"{name!r} has a name that Python runs when it starts" in refused(beside(Member(name)))


@pytest.mark.parametrize(
    "name", ["random.py", "json/__init__.py", "torch.py", "torch/nn.py", "numpy.py", "haet_eval/meter.py"]
)
def test_module_that_shadows_another(refused: Refuse, name: str) -> None:
    module = name.partition("/")[0].removesuffix(".py")
    assert refused(beside(Member(name))) == (
        f"{name!r} would take the place of the module {module!r}; rename it."
    )


def test_shadowing_module_behind_a_wrapping_folder(refused: Refuse) -> None:
    members = [Member(f"mine/{name}", data) for name, data in (("haet.toml", MANIFEST), ("random.py", b""))]
    assert "'random.py' would take the place" in refused(Zip(members).write())


def test_folders_that_wrap_everything_are_taken_off() -> None:
    members = [Member("a/", mode=stat.S_IFDIR), Member("a/a/x.py"), Member("a/a/b/y.py")]
    assert list(unpack(Zip(members).write(), LIMITS)) == ["b/y.py", "x.py"]


@pytest.mark.parametrize("archive", [b"PK", b"PK\5\6", b"\x1f\x8b\x08" + bytes(50), TRAIN])
def test_file_that_is_not_a_zip(refused: Refuse, archive: bytes) -> None:
    assert "not a zip archive" in refused(archive)


def test_file_of_no_bytes(refused: Refuse) -> None:
    assert "The file is empty" in refused(b"")


def test_zip_that_is_cut_short(refused: Refuse) -> None:
    assert "is cut short" in refused(beside(Member("x.py", b"x"))[:60])


def test_empty_zip(refused: Refuse) -> None:
    assert "The submission has no files in it; `haet-eval new" in refused(Zip().write())


def test_every_cut_of_a_zip_is_refused() -> None:
    archive = Zip(honest()).write()
    for length in range(len(archive)):
        with pytest.raises(InvalidSubmission):
            unpack(archive[:length], LIMITS)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_mutated_zip_is_refused_or_read_within_the_limits(data: st.DataObject) -> None:
    seed = Zip([*honest(), Member("net/", mode=stat.S_IFDIR), Member("net/a.py", b"x = 1\n" * 50, 8)]).write()
    archive = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 8))):
        position = data.draw(st.integers(0, len(archive) - 1))
        width = data.draw(st.sampled_from([0, 1, 2, 4]))
        archive[position : position + width] = data.draw(st.binary(max_size=4))
    limits = ArchiveLimits(unpacked_bytes=4096)
    try:
        files = unpack(bytes(archive), limits)
    except InvalidSubmission:
        return
    assert sum(map(len, files.values())) <= limits.unpacked_bytes
    assert unpack(pack(files), limits) == files


NAMES = st.text(max_size=30) | st.lists(
    st.sampled_from(["a", "A", "é", "e\u0301", "..", ".", "con", "x.py", "haet.toml", ""]), max_size=4
).map("/".join)


@given(names=st.lists(NAMES, max_size=6), contents=st.lists(st.binary(max_size=40), min_size=6, max_size=6))
@settings(max_examples=300, deadline=None)
def test_whatever_is_accepted_packs_and_unpacks_to_itself(names: list[str], contents: list[bytes]) -> None:
    members = [
        Member(name.encode("utf-8", "surrogatepass"), content)
        for name, content in zip(names, contents, strict=False)
    ]
    try:
        files = unpack(Zip(members).write(), LIMITS)
    except InvalidSubmission:
        return
    for path in files:
        assert not path.startswith("/")
        assert not {"..", ".", ""} & set(path.split("/"))
        assert path == unicodedata.normalize("NFC", path)
    assert unpack(pack(files), LIMITS) == files
