"""Archives as common tools make them are accepted, or refused for a stated reason.

Those in `tests/fixtures/archives` were made by Info-ZIP 3.0 and 7-Zip 26.02. If these tools are installed,
the tests also run the tools themselves.
"""

import io
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from haet_eval.archive import unpack
from haet_eval.errors import InvalidSubmission
from haet_eval.submission import ArchiveLimits
from tests.attacks.test_archive import MANIFEST, TRAIN

ARCHIVES = Path(__file__).parents[1] / "fixtures" / "archives"
LIMITS = ArchiveLimits()
FILES = ["haet.toml", "net/layers.py", "submission.py"]


@pytest.mark.parametrize("name", ["info-zip.zip", "info-zip-streamed.zip", "7-zip.zip"])
def test_archives_of_zip_and_7_zip_are_accepted(name: str) -> None:
    assert list(unpack((ARCHIVES / name).read_bytes(), LIMITS)) == FILES


@pytest.mark.parametrize(
    ("name", "reason"),
    [("7-zip-lzma.zip", "compressed with method 14; only"), ("7-zip.7z", "not a zip archive")],
)
def test_other_kinds_of_7_zip_are_refused(name: str, reason: str) -> None:
    with pytest.raises(InvalidSubmission, match=reason):
        unpack((ARCHIVES / name).read_bytes(), LIMITS)


@pytest.mark.parametrize(
    "command", [("zip", "-q", "-r", "made.zip", "."), ("7z", "a", "-bso0", "-bd", "made.zip", ".")]
)
def test_the_tools_of_this_machine(command: Sequence[str], tmp_path: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; its archives are among the fixtures")
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(MANIFEST if name == "haet.toml" else TRAIN)
    subprocess.run(command, cwd=tmp_path, check=True)
    assert list(unpack((tmp_path / "made.zip").read_bytes(), LIMITS)) == FILES


def test_an_archive_of_python_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "source" / "net").mkdir(parents=True)
    for name in FILES:
        (tmp_path / "source" / name).write_bytes(MANIFEST if name == "haet.toml" else TRAIN)
    made = shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "source")
    assert list(unpack(Path(made).read_bytes(), LIMITS)) == FILES


class Pipe(io.RawIOBase):
    """Takes bytes and cannot go back, so that sizes stand behind each entry, as macOS writes them."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, part: object) -> int:
        assert isinstance(part, (bytes, bytearray, memoryview))
        self.data += part
        return len(part)


UNIX_TIMES = struct.pack("<HHIIHH", 0x5855, 12, 0, 0, 501, 20)
RESOURCE_FORK = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + bytes(96)
"""AppleDouble: what macOS keeps beside a file, here with nothing in it."""


def written(entries: Sequence[tuple[str, bytes]], *, system: int, extra: bytes, streamed: bool) -> bytes:
    target = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, (2026, 11, 21, 12, 0, 0))
            info.create_system, info.extra = system, extra
            info.external_attr = (0o40755 if name.endswith("/") else 0o100644) << 16 if system == 3 else 0x20
            if name.endswith("/") and system == 0:
                info.external_attr = 0x10
            info.compress_type = zipfile.ZIP_STORED if name.endswith("/") else zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return bytes(target.data) if isinstance(target, Pipe) else target.getvalue()


def test_an_archive_of_macos_is_accepted_without_its_resource_forks() -> None:
    entries = [
        ("work/", b""),
        ("work/submission.py", TRAIN),
        ("__MACOSX/", b""),
        ("__MACOSX/work/", b""),
        ("__MACOSX/work/._submission.py", RESOURCE_FORK),
        ("work/.DS_Store", b"\x00\x00\x00\x01Bud1" + bytes(90)),
        ("work/haet.toml", MANIFEST),
        ("__MACOSX/work/._haet.toml", RESOURCE_FORK),
        ("work/net/", b""),
        ("work/net/layers.py", TRAIN),
    ]
    archive = written(entries, system=3, extra=UNIX_TIMES, streamed=True)
    assert list(unpack(archive, LIMITS)) == FILES


def test_an_archive_of_windows_explorer_is_accepted() -> None:
    entries = [("work/", b""), *((f"work/{name}", TRAIN) for name in FILES)]
    archive = written(entries, system=0, extra=b"", streamed=False)
    assert list(unpack(archive, LIMITS)) == FILES


def test_an_archive_of_an_old_windows_tool_is_refused_for_its_backslashes() -> None:
    """PowerShell 5's Compress-Archive, say."""
    slashed = written(
        [("work/haet.toml", MANIFEST), ("work/submission.py", TRAIN)], system=0, extra=b"", streamed=False
    )
    archive = slashed.replace(b"work/", b"work\\")
    with pytest.raises(InvalidSubmission, match="has a backslash: the zip was made by an old Windows tool"):
        unpack(archive, LIMITS)
