"""Data sets: the digits, CIFAR's own files, and what stands in their place when they are wrong."""

import pickle
import sys
import tarfile
from hashlib import md5
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10 as TORCHVISION_CIFAR10
from torchvision.datasets import CIFAR100 as TORCHVISION_CIFAR100

from haet_eval.data import cifar
from haet_eval.data.cifar import Release
from haet_eval.dataset import Dataset, dataset_names, default_data_dir, load_dataset
from haet_eval.errors import EnvironmentProblem, UsageProblem
from tests.fixtures.cifar import draw, pack, pickled, write_cifar10, write_cifar100


class RunsCode:
    """Unpickling it would write the file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path, bytes]]:
        return Path.write_bytes, (self.file, b"ran")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits", Path("no folder is needed"))


@pytest.fixture
def cifar10_dir(tmp_path: Path) -> Path:
    write_cifar10(tmp_path, train_per_class=5, test_per_class=2)
    return tmp_path


def test_digits_are_the_pinned_ones_in_the_form_of_cifar(digits: Dataset) -> None:
    assert digits.official
    assert digits.num_classes == 10
    assert digits.train_images.shape == (1352, 3, 32, 32)
    assert digits.test_images.shape == (445, 3, 32, 32)
    assert digits.train_images.dtype == np.uint8
    assert digits.train_labels.dtype == np.int64
    assert (digits.train_images.min(), digits.train_images.max()) == (0, 255)


def test_a_digit_is_scikit_learns_with_every_pixel_enlarged(digits: Dataset) -> None:
    from sklearn.datasets import load_digits

    greys = load_digits().images[0]
    assert np.array_equal(digits.train_images[0, 2, ::4, ::4], np.floor(greys / 16 * 255 + 0.5).clip(0, 255))
    assert np.array_equal(digits.train_images[0, :, ::4, ::4], digits.train_images[0, :, 3::4, 3::4])


def test_digits_say_that_scikit_learn_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    with pytest.raises(EnvironmentProblem, match="scikit-learn") as caught:
        load_dataset("digits", tmp_path)
    assert caught.value.code == "installation"


def test_the_split_of_digits_is_stratified_and_disjoint(digits: Dataset) -> None:
    train, test = np.bincount(digits.train_labels), np.bincount(digits.test_labels)
    assert np.array_equal(test, (train + test) // 4)
    assert train.sum() + test.sum() == 1797


def test_cifar10_is_read_as_torchvision_reads_it(cifar10_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = load_dataset("cifar10", cifar10_dir)
    # torchvision refuses unofficial files; all that is switched off is its comparison of checksums.
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    monkeypatch.setattr(TORCHVISION_CIFAR10, "_load_meta", lambda self: None)
    for train, images, labels in (
        (True, ours.train_images, ours.train_labels),
        (False, ours.test_images, ours.test_labels),
    ):
        theirs = TORCHVISION_CIFAR10(cifar10_dir, train=train)
        assert np.array_equal(images, theirs.data.transpose(0, 3, 1, 2))
        assert labels.tolist() == theirs.targets
    assert ours.train_images.dtype == np.uint8
    assert ours.train_labels.dtype == np.int64
    assert ours.train_images.shape == (50, 3, 32, 32)


def test_cifar100_is_read_with_its_fine_labels(tmp_path: Path) -> None:
    write_cifar100(tmp_path, train_per_class=2, test_per_class=1)
    dataset = load_dataset("cifar100", tmp_path)
    assert dataset.num_classes == 100
    assert np.bincount(dataset.train_labels).tolist() == [2] * 100
    assert np.bincount(dataset.test_labels).tolist() == [1] * 100


def test_data_of_another_making_loads_and_is_not_official(cifar10_dir: Path) -> None:
    assert load_dataset("cifar10", cifar10_dir).official is False


@pytest.mark.parametrize(
    ("ours", "theirs"), [(cifar.CIFAR10, TORCHVISION_CIFAR10), (cifar.CIFAR100, TORCHVISION_CIFAR100)]
)
def test_the_published_checksums_are_those_that_torchvision_has(
    ours: Release, theirs: type[TORCHVISION_CIFAR10]
) -> None:
    assert (ours.archive, ours.archive_md5, ours.folder) == (
        theirs.filename,
        theirs.tgz_md5,
        theirs.base_folder,
    )
    assert list(ours.train_files.items()) == [tuple(pair) for pair in theirs.train_list]
    assert list(ours.test_files.items()) == [tuple(pair) for pair in theirs.test_list]
    assert f"{cifar.HOST}/{ours.archive}" == theirs.url


def test_files_with_the_published_checksums_are_official(cifar10_dir: Path) -> None:
    folder = cifar10_dir / "cifar-10-batches-py"
    checksums = {file.name: md5(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    published = Release(
        **{
            **{name: getattr(cifar.CIFAR10, name) for name in Release.__dataclass_fields__},
            "train_files": {name: checksums[name] for name in cifar.CIFAR10.train_files},
            "test_files": {"test_batch": checksums["test_batch"]},
        }
    )
    assert cifar.load_cifar(published, cifar10_dir)[1]
    (folder / "test_batch").write_bytes((folder / "data_batch_1").read_bytes())
    assert not cifar.load_cifar(published, cifar10_dir)[1]


def test_the_archive_gives_what_its_folder_gives(cifar10_dir: Path) -> None:
    from_folder = load_dataset("cifar10", cifar10_dir)
    pack(cifar10_dir, "cifar-10-batches-py", "cifar-10-python.tar.gz")
    for file in (cifar10_dir / "cifar-10-batches-py").iterdir():
        file.unlink()
    assert load_dataset("cifar10", cifar10_dir).digest == from_folder.digest


def test_the_digest_distinguishes_data_sets(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_cifar10(tmp_path / str(seed), train_per_class=5, test_per_class=1, seed=seed)
    assert load_dataset("cifar10", tmp_path / "0").digest != load_dataset("cifar10", tmp_path / "1").digest


def test_missing_data_is_reported_with_its_folder_and_the_command_to_fetch_it(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        load_dataset("cifar100", tmp_path)
    assert str(tmp_path) in caught.value.message
    assert f"haet-eval data fetch cifar100 --data-dir {tmp_path}" in caught.value.hint


def test_an_unknown_name_is_reported_with_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="did you mean cifar10"):
        load_dataset("cifar-10", tmp_path)
    assert dataset_names() == ("cifar10", "cifar100", "digits")
    assert default_data_dir().is_absolute()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_batch_does_not_run(cifar10_dir: Path, protocol: int) -> None:
    proof = cifar10_dir / "proof"
    content = pickle.dumps({b"data": RunsCode(proof), b"labels": []}, protocol=protocol)
    (cifar10_dir / "cifar-10-batches-py" / "data_batch_3").write_bytes(content)
    with pytest.raises(EnvironmentProblem, match=r"data_batch_3: .* which no CIFAR batch does"):
        load_dataset("cifar10", cifar10_dir)
    assert not proof.exists()


ROWS, LABELS = draw(10, 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "cannot be unpickled"),
        (pickled({b"data": ROWS, b"labels": LABELS})[:-500], "cannot be unpickled"),
        (pickle.dumps([1]), "holds no table"),
        (pickled({b"labels": LABELS}), "`data` is no array"),
        (pickled({b"data": ROWS[:, :3000], b"labels": LABELS}), "with 3072 columns"),
        (pickled({b"data": ROWS, b"fine_labels": LABELS}), "`labels` is no list"),
        (pickled({b"data": ROWS, b"labels": LABELS[1:]}), "10 images and 9 labels"),
        (pickled({b"data": ROWS, b"labels": [*LABELS[1:], 10]}), "from 0 to 9"),
        (pickled({b"data": ROWS[:0], b"labels": []}), "0 images"),
    ],
)
def test_a_damaged_batch_is_named_with_its_fault(cifar10_dir: Path, content: bytes, fault: str) -> None:
    (cifar10_dir / "cifar-10-batches-py" / "test_batch").write_bytes(content)
    with pytest.raises(EnvironmentProblem, match=f"is damaged: test_batch: .*{fault}") as caught:
        load_dataset("cifar10", cifar10_dir)
    assert "haet-eval data fetch cifar10" in caught.value.hint


def test_a_folder_that_lacks_a_batch_is_damaged(cifar10_dir: Path) -> None:
    (cifar10_dir / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(EnvironmentProblem, match="no data_batch_4"):
        load_dataset("cifar10", cifar10_dir)


def test_a_truncated_archive_is_damaged(cifar10_dir: Path) -> None:
    pack(cifar10_dir, "cifar-10-batches-py", "cifar-10-python.tar.gz")
    archive = cifar10_dir / "cifar-10-python.tar.gz"
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(EnvironmentProblem, match=r"cifar-10-python\.tar\.gz is damaged"):
        load_dataset("cifar10", cifar10_dir)


def test_an_archive_with_links_and_outside_names_leaves_no_trace(cifar10_dir: Path) -> None:
    inside = cifar10_dir / "data"
    inside.mkdir()
    with tarfile.open(inside / "cifar-10-python.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        link.type, link.linkname = tarfile.SYMTYPE, str(cifar10_dir / "cifar-10-batches-py" / "test_batch")
        archive.addfile(link)
        outside = tarfile.TarInfo("../outside")
        outside.size = 3
        archive.addfile(outside, BytesIO(b"out"))
    with pytest.raises(EnvironmentProblem, match="test_batch"):
        load_dataset("cifar10", inside)
    assert [file.name for file in inside.iterdir()] == ["cifar-10-python.tar.gz"]
    assert not (cifar10_dir / "outside").exists()
