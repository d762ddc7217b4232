"""The data sets: images and labels as arrays, with their digest and whether they are the published ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from platformdirs import user_data_path

from haet_eval.data.arrays import Arrays, Images, Labels
from haet_eval.data.cifar import CIFAR10, CIFAR100, HOST, load_cifar
from haet_eval.data.digits import OFFICIAL_DIGEST, load_digits
from haet_eval.errors import UsageProblem
from haet_eval.progress import Observer

_DIGITS = "digits"
_RELEASES = {release.name: release for release in (CIFAR10, CIFAR100)}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images are uint8 [N, 3, 32, 32], labels int64 [N] from 0 to num_classes − 1.

    Attributes:
        digest: hexadecimal SHA-256 of all four arrays.
        official: they are the published ones, bit for bit.
    """

    name: str
    num_classes: int
    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels
    digest: str
    official: bool


def dataset_names() -> tuple[str, ...]:
    """Every data set that can be loaded."""
    return (*_RELEASES, _DIGITS)


def default_data_dir() -> Path:
    """The folder for fetched data where the user names none."""
    return user_data_path("haet-eval", appauthor=False) / "datasets"


def load_dataset(name: str, data_dir: Path) -> Dataset:
    """The data set, read from `data_dir` and checked.

    Raises:
        UsageProblem: there is no data set of that name.
        EnvironmentProblem: it is not there, or damaged.
    """
    _check_name(name)
    if name == _DIGITS:
        arrays = load_digits()
        return _dataset(name, 10, arrays, arrays.digest() == OFFICIAL_DIGEST)
    arrays, official = load_cifar(_RELEASES[name], data_dir)
    return _dataset(name, _RELEASES[name].num_classes, arrays, official)


def fetch_dataset(name: str, data_dir: Path, observer: Observer, mirrors: Sequence[str] = ()) -> Path:
    """Puts the published archive into `data_dir`, verified, and gives its path.

    An interrupted download goes on where it stopped. `mirrors` are addresses of folders that hold the
    archive under its own name, tried in order instead of the authors' host.

    Raises:
        UsageProblem: there is no data set of that name.
        EnvironmentProblem: it could not be fetched, or not be written.
    """
    _check_name(name)
    if name == _DIGITS:
        observer.note("digits comes with scikit-learn: there is nothing to fetch.")
        return data_dir
    from haet_eval.data.download import download  # brings in pooch and requests

    release = _RELEASES[name]
    urls = [f"{folder.rstrip('/')}/{release.archive}" for folder in mirrors or (HOST,)]
    return download(urls, data_dir / release.archive, release.archive_md5, observer)


def _dataset(name: str, num_classes: int, arrays: Arrays, official: bool) -> Dataset:
    return Dataset(name, num_classes, *arrays, digest=arrays.digest(), official=official)


def _check_name(name: str) -> None:
    if name in dataset_names():
        return
    match = get_close_matches(name, dataset_names(), n=1)
    suggestion = f"; did you mean {match[0]}?" if match else ""
    raise UsageProblem(
        f"there is no data set {name!r}{suggestion}", f"The data sets are {', '.join(dataset_names())}."
    )
