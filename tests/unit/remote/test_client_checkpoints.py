"""torch.save and torch.load of the client: which files they read and write, and how many."""

import gzip
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from haet_eval.remote.client.checkpoints import SavedObjects
from haet_eval.remote.client.link import Refusal

FEW_FILES, MANY_FILES = 512, 600


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """This process may have fewer files open than the test saves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_there_may_be_more_files_than_a_process_may_open(tmp_path: Path) -> None:
    saved = SavedObjects()
    for number in range(MANY_FILES):
        saved.save(number, tmp_path / f"{number}.pt")
    assert [saved.load(tmp_path / f"{number}.pt") for number in range(MANY_FILES)] == list(range(MANY_FILES))


@pytest.mark.parametrize("way", ["a path", "an open file"])
def test_an_object_is_given_up_with_its_file(tmp_path: Path, way: str) -> None:
    saved, path = SavedObjects(), tmp_path / "best.pt"

    def save(value: int) -> None:
        if way == "a path":
            saved.save(value, path)
        else:
            with path.open("wb") as file:
                saved.save(value, file)

    save(1)
    (tmp_path / "copy").write_bytes(path.read_bytes())
    save(2)
    assert saved.load(path) == 2
    with pytest.raises(Refusal, match="is a copy of a note"):
        saved.load(tmp_path / "copy")


def test_two_objects_in_one_open_file_are_both_kept(tmp_path: Path) -> None:
    saved = SavedObjects()
    with (tmp_path / "both.pt").open("w+b") as file:
        saved.save("first", file)
        saved.save("second", file)
        saved.save("other", tmp_path / "other.pt")
        file.seek(0)
        assert [saved.load(file), saved.load(file)] == ["first", "second"]


def test_what_is_no_note_is_pytorchs_to_read_and_write(tmp_path: Path) -> None:
    saved, path = SavedObjects(), tmp_path / "plain.pt"
    torch.save({"epoch": 3}, path)
    with path.open("rb") as file:
        assert saved.load(file) == {"epoch": 3}
    with gzip.open(tmp_path / "packed.pt", "wb") as packed:
        saved.save({"epoch": 4}, packed)
    with gzip.open(tmp_path / "packed.pt", "rb") as packed:
        assert saved.load(packed) == {"epoch": 4}
