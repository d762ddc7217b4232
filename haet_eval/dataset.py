"""The data sets: images and labels as arrays, with their digest and whether they are the published ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from haet_eval.competition import Task
from haet_eval.data.arrays import Arrays, Images, Labels
from haet_eval.data.cifar import CIFAR10, CIFAR100, HOST, load_cifar
from haet_eval.data.digits import OFFICIAL_DIGEST, load_digits
from haet_eval.data.drawing import draw
from haet_eval.data.own import ImageSet, count_classes, join, read_set
from haet_eval.errors import UsageProblem
from haet_eval.progress import Observer
from haet_eval.spelling import quoted, suggested_name

_DIGITS = "digits"
_RELEASES = {release.name: release for release in (CIFAR10, CIFAR100)}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images are uint8 [N, C, H, W], C being 1 or 3, and labels int64 [N] from 0 to num_classes − 1.

    Attributes:
        digest: hexadecimal SHA-256 of all four arrays.
        official: whether they are the published ones, or those that the competition names, bit for bit.
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
    """The folder for fetched data if the user names none."""
    return user_data_path("haet-eval", appauthor=False) / "datasets"


def load_dataset(name: str, data_dir: Path) -> Dataset:
    """The data set, read from `data_dir` and checked.

    Raises:
        UsageProblem: there is no data set of that name.
        EnvironmentProblem: the data set is missing or damaged.
    """
    _check_name(name)
    if name == _DIGITS:
        arrays = load_digits()
        return _dataset(name, 10, arrays, arrays.digest() == OFFICIAL_DIGEST)
    arrays, official = load_cifar(_RELEASES[name], data_dir)
    return _dataset(name, _RELEASES[name].num_classes, arrays, official)


def load_task_data(
    task: Task, data_dir: Path, folder: Path | None = None, test_data: Path | None = None
) -> Dataset:
    """The data set of a task: a published one or the organizer's own, or some images of it.

    Args:
        task: names the data set.
        data_dir: folder of the published data sets.
        folder: the folder of the competition file; the organizer's paths are relative to it.
        test_data: the test set, if it is secret; a folder or a file.

    Raises:
        UsageProblem: the competition's data are not valid, or its test set is not given.
        EnvironmentProblem: a published data set is missing or damaged.
    """
    _check_task(task, test_data)
    if task.data is None:
        published = load_dataset(task.dataset, data_dir)
        train = ImageSet(published.train_images, published.train_labels)
        test = ImageSet(published.test_images, published.test_labels)
        num_classes, official, size = published.num_classes, published.official, None
    else:
        base, size, test_path = folder or Path(), task.data.image_size, task.data.test
        train = read_set(base / task.data.train, size)
        # The rules name the test set unless it is secret; `_check_task` has refused both together.
        test_data = test_data if test_path is None else base / test_path
        num_classes, official = count_classes(train), task.digest is not None
    if test_data is not None:
        # The class folders of the training set number the classes of the test set.
        test = read_set(test_data, size, train.classes)
    arrays = _drawn(task, join(train, test, num_classes))
    # A secret set is official only by the digest that the rules state (decision 0096).
    if task.secret_test or task.digest:
        official = official and arrays.digest() == task.digest
    return _dataset(task.dataset, num_classes, arrays, official)


def fetch_dataset(name: str, data_dir: Path, observer: Observer, mirrors: Sequence[str] = ()) -> Path:
    """Puts the published archive into `data_dir`, verified, and returns its path.

    An interrupted download continues where it stopped. `mirrors` are addresses of folders that hold the
    archive under its own name. They are tried in order instead of the authors' host.

    Raises:
        UsageProblem: there is no data set of that name.
        EnvironmentProblem: the archive could not be fetched or written.
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


def _drawn(task: Task, arrays: Arrays) -> Arrays:
    """The images that the task draws; all images if it states no number."""
    train_images, train_labels = _some(task.train_images, task.train_seed, *arrays[:2], "training")
    test_images, test_labels = _some(task.test_images, task.test_seed, *arrays[2:], "test")
    return Arrays(train_images, train_labels, test_images, test_labels)


def _some(
    count: int | None, seed: int | None, images: Images, labels: Labels, what: str
) -> tuple[Images, Labels]:
    # A number without a seed draws nothing: it states how many images there must be.
    if count is None or (seed is None and count == len(images)):
        return images, labels
    if seed is None or count > len(images):
        raise UsageProblem(
            f"the {what} set has {len(images):,} images, and the competition asks for {count:,}",
            f"Give another {what} set, or change `{'train' if what == 'training' else what}_images`.",
            code="data-too-few-images",
        )
    drawn = draw(len(images), count, seed)
    return images[drawn], labels[drawn]


def _check_task(task: Task, test_data: Path | None) -> None:
    if task.data is not None and task.dataset in dataset_names():
        raise UsageProblem(
            f"`dataset` is {quoted(task.dataset)}, which is a published data set, and the task has data of "
            "its own",
            "Give the organizer's data a name of their own.",
            code="competition-data",
        )
    if task.secret_test and test_data is None:
        raise UsageProblem(
            f"the test set of {quoted(task.dataset)} is secret and must be given",
            "`--test-data PATH` names it: a folder with a folder of images for each class, or a .npz or "
            ".safetensors file. Contestants use the practice rules, such as haet2023-practice.",
            code="test-data-needed",
        )
    if test_data is not None and not task.secret_test:
        raise UsageProblem(
            f"the competition has a test set for {quoted(task.dataset)} of its own",
            "Leave out `--test-data`.",
            code="test-data-unwanted",
        )


def _check_name(name: str) -> None:
    if name in dataset_names():
        return
    raise UsageProblem(
        f"there is no data set {quoted(name)}{suggested_name(name, dataset_names())}",
        f"The data sets are {', '.join(dataset_names())}.",
        code="dataset-unknown",
    )
