"""What a source weighs when compressed, in whatever form it is handed in."""

from pathlib import Path

from haet_eval.archive import ArchiveLimits, pack_compressed, unpack
from haet_eval.submission import load_submission
from haet_eval.submission.packing import pack_submission
from tests.fixtures.submissions import write_competition, write_submission

NUMBERS = "\n".join(f"# {number * number}" for number in range(12_000))


def test_a_folder_and_its_zip_weigh_the_same_and_fit_alike(tmp_path: Path) -> None:
    """A source of 100,000 bytes and more that compresses to less than 65,536."""
    rules = write_competition(tmp_path / "rules.toml")
    rules.write_text(rules.read_text() + "\n[limits]\narchive_bytes = 65_536\n")
    source = write_submission(tmp_path / "it", f"{NUMBERS}\ndef train(task):\n    return Linear()\n")
    packed = pack_submission(source, competition=str(rules))
    limits = ArchiveLimits(archive_bytes=65_536)
    here, there = load_submission(source, limits), load_submission(packed.path, limits)
    assert here == there
    assert here.source_bytes > 100_000
    assert here.compressed_bytes == packed.path.stat().st_size < 65_536


def test_files_that_would_expand_too_far_are_stored() -> None:
    files = {"long.txt": b"\n" * 50_000, "short.py": b"import torch\n" * 20}
    zipped = pack_compressed(files)
    assert len(zipped) > 50_000
    assert unpack(zipped, ArchiveLimits()) == files
