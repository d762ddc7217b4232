"""CIFAR-10 and CIFAR-100 from a folder, in the form in which their authors publish them."""

import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import numpy as np

from haet_eval.data.arrays import Arrays, Images, Labels
from haet_eval.data.batch import read_batch
from haet_eval.errors import EnvironmentProblem

HOST = "https://www.cs.toronto.edu/~kriz"
_LARGEST_FILE_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Release:
    """A data set as its authors published it: the archive, its folder, the files with images, their MD5."""

    name: str
    num_classes: int
    archive: str
    archive_md5: str
    folder: str
    label_key: bytes
    train_files: Mapping[str, str]
    test_files: Mapping[str, str]

    @property
    def md5_of_file(self) -> Mapping[str, str]:
        """The MD5 of every file that holds images."""
        return {**self.train_files, **self.test_files}


CIFAR10 = Release(
    name="cifar10",
    num_classes=10,
    archive="cifar-10-python.tar.gz",
    archive_md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    label_key=b"labels",
    train_files={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test_files={"test_batch": "40351d587109b95175f43aff81a1287e"},
)
CIFAR100 = Release(
    name="cifar100",
    num_classes=100,
    archive="cifar-100-python.tar.gz",
    archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    folder="cifar-100-python",
    label_key=b"fine_labels",
    train_files={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test_files={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
)


class NotFetched(EnvironmentProblem):
    """The data set is not in the data folder."""


def load_cifar(release: Release, data_dir: Path) -> tuple[Arrays, bool]:
    """The images, and whether every file is the published one.

    The archive is preferred to its unpacked folder. It is read in memory, and nothing is written to disk.

    Raises:
        NotFetched: the data set is not in the folder.
        EnvironmentProblem: the data set is damaged.
    """
    contents = _contents(release, data_dir)
    try:
        train = _join(release, contents, release.train_files)
        test = _join(release, contents, release.test_files)
    except ValueError as error:
        raise _damaged(release, data_dir, str(error)) from error
    official = all(_md5(contents[file]) == known for file, known in release.md5_of_file.items())
    return Arrays(*train, *test), official


def _contents(release: Release, data_dir: Path) -> dict[str, bytes]:
    archive, folder = data_dir / release.archive, data_dir / release.folder
    if not archive.is_file() and not folder.is_dir():
        raise NotFetched(
            f"{release.name} is not in {data_dir}: neither {release.archive} nor {release.folder}/ is there",
            f"Run `{fetch_command(release, data_dir)}`.",
            code="data-missing",
        )
    try:
        contents = _from_archive(release, archive) if archive.is_file() else _from_folder(release, folder)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise _damaged(release, data_dir, f"reading failed: {error}") from error
    missing = release.md5_of_file.keys() - contents.keys()
    if missing:
        raise _damaged(release, data_dir, f"no {', '.join(sorted(missing))} of a plausible size is in it")
    return contents


def _from_folder(release: Release, folder: Path) -> dict[str, bytes]:
    paths = [folder / file for file in release.md5_of_file]
    plausible = (path for path in paths if path.is_file() and path.stat().st_size <= _LARGEST_FILE_BYTES)
    return {path.name: path.read_bytes() for path in plausible}


def _from_archive(release: Release, archive: Path) -> dict[str, bytes]:
    file_of_member = {f"{release.folder}/{file}": file for file in release.md5_of_file}
    contents = {}
    with tarfile.open(archive, "r:gz") as members:
        # In one pass: reading members in another order would unpack the archive again for each.
        for member in members:
            # Links and outside names have nothing to act on: no member is written to the disk (decision
            # 0004).
            if member.name in file_of_member and member.isreg() and member.size <= _LARGEST_FILE_BYTES:
                stream = members.extractfile(member)
                contents[file_of_member[member.name]] = stream.read() if stream else b""
    return contents


def _join(release: Release, contents: Mapping[str, bytes], names: Iterable[str]) -> tuple[Images, Labels]:
    batches = []
    for name in names:
        try:
            batches.append(read_batch(contents[name], release.label_key, release.num_classes))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _md5(content: bytes) -> str:
    # Machines under FIPS rules refuse MD5 otherwise. It decides `official` only, never whether a file is
    # read.
    return md5(content, usedforsecurity=False).hexdigest()


def fetch_command(release: Release, data_dir: Path) -> str:
    """The command that fetches the data."""
    return f"haet-eval data fetch {release.name} --data-dir {data_dir}"


def _damaged(release: Release, data_dir: Path, fault: str) -> EnvironmentProblem:
    source = release.archive if (data_dir / release.archive).is_file() else f"{release.folder}/"
    return EnvironmentProblem(
        f"{data_dir / source} is damaged: {fault}",
        f"Remove it and run `{fetch_command(release, data_dir)}`.",
        code="data-damaged",
    )
