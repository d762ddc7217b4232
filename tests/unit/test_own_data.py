"""An organizer's own data: folders of images, arrays in files, secret test sets, and draws."""

import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import ImageFolder

from haet_eval.competition import OwnData, Task, load_competition
from haet_eval.data.drawing import draw
from haet_eval.data.own import read_set
from haet_eval.dataset import Dataset, load_dataset, load_task_data
from haet_eval.errors import UsageProblem
from tests.fixtures.cifar import write_cifar10
from tests.fixtures.own_data import some_digits, write_competition, write_folder, write_set

PUBLISHED_DRAW = [24, 35, 42, 45, 62, 72]
FORMS = ("", ".npz", ".safetensors")


def load(file: Path) -> Dataset:
    competition = load_competition(str(file))
    return load_task_data(competition.task("three"), Path("no data folder"), competition.folder)


def task(train: Path, test: Path | None = None, **facts: object) -> Task:
    data = OwnData(train=str(train), test=str(test) if test else None)
    return Task.model_validate({"dataset": "own", "threshold": 0.5, "data": data, **facts})


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_images_and_labels_that_were_written(tmp_path: Path, form: str) -> None:
    images, labels = some_digits(0, 30)
    found = read_set(write_set(tmp_path / f"set{form}", images, labels))
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int64
    if form:
        assert np.array_equal(found.images, images)
        assert np.array_equal(found.labels, labels)
    else:
        names = ("one", "two", "zero")
        assert found.classes == names
        order = sorted(range(30), key=lambda row: (names.index(("zero", "one", "two")[labels[row]]), row))
        assert np.array_equal(found.images, images[order])


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")  # of torchvision's reader
def test_a_folder_is_read_as_torchvision_reads_it(tmp_path: Path) -> None:
    write_folder(tmp_path, *some_digits(0, 12))
    Image.new("L", (8, 12), 77).save(tmp_path / "one" / "grey.png")
    Image.new("RGBA", (8, 12), (1, 2, 3, 4)).save(tmp_path / "one" / "transparent.png")
    palette = Image.new("P", (8, 12), 1)
    palette.putpalette(bytes(range(30)))
    palette.save(tmp_path / "one" / "palette.png", transparency=bytes([0, 100, 200]))
    Image.new("RGB", (8, 12), (200, 100, 0)).save(tmp_path / "zero" / "photo.JPG", "JPEG")
    (tmp_path / "one" / "notes.txt").write_text("no image")
    ours, theirs = read_set(tmp_path), ImageFolder(str(tmp_path))
    assert list(ours.classes) == theirs.classes
    assert ours.labels.tolist() == theirs.targets
    for row, (image, _) in enumerate(theirs):
        assert np.array_equal(ours.images[row], np.asarray(image).transpose(2, 0, 1))


def test_class_folders_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / str(number)).mkdir()
        Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / str(number) / "a.png")
    found = read_set(tmp_path)
    assert found.classes == tuple(map(str, range(11)))
    assert found.images[:, 0, 0, 0].tolist() == list(range(11))


def test_an_image_size_resizes_by_pillows_bilinear_filter(tmp_path: Path) -> None:
    write_folder(tmp_path, *some_digits(0, 12))
    large = Image.fromarray(np.arange(20 * 20 * 3, dtype=np.uint8).reshape(20, 20, 3))
    large.save(tmp_path / "one" / "0000.png")
    found = read_set(tmp_path, (12, 8))
    expected = np.asarray(large.resize((8, 12), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert np.array_equal(found.images[0], expected)


def test_images_of_several_sizes_are_never_resized_silently(tmp_path: Path) -> None:
    write_folder(tmp_path, *some_digits(0, 12))
    Image.new("RGB", (9, 12)).save(tmp_path / "two" / "wide.png")
    with pytest.raises(UsageProblem, match=r"two/wide.png is 9×12 and one/\d+.png 8×12 pixels; `image_size"):
        read_set(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_a_competition_on_own_data_is_official_by_the_digest_that_it_states(
    tmp_path: Path, form: str
) -> None:
    first = load(write_competition(tmp_path, form))
    assert not first.official
    assert first.name == "three-digits"
    assert (first.num_classes, first.train_images.shape, first.test_images.shape) == (
        3,
        (90, 3, 12, 8),
        (30, 3, 12, 8),
    )
    assert load(write_competition(tmp_path, form, first.digest)).official
    assert not load(write_competition(tmp_path, form, "0" * 64)).official


def test_a_secret_test_set_has_the_classes_of_the_training_folder(tmp_path: Path) -> None:
    train = write_folder(tmp_path / "train", *some_digits(0, 30))
    images, labels = some_digits(30, 20)
    twos = labels == 2
    secret = write_folder(tmp_path / "secret", images[twos], labels[twos])
    rules = task(train, secret_test=True)
    found = load_task_data(rules, tmp_path, None, secret)
    assert set(found.test_labels.tolist()) == {1}
    (secret / "three").mkdir()
    with pytest.raises(UsageProblem, match="its folder three/ is not one of the classes one, two, zero"):
        load_task_data(rules, tmp_path, None, secret)


def test_files_that_tools_leave_in_a_folder_of_images_are_ignored(tmp_path: Path) -> None:
    train = write_folder(tmp_path / "train", *some_digits(0, 30))
    rules = task(train, secret_test=True)
    secret = write_folder(tmp_path / "secret", *some_digits(30, 20))
    expected = load_task_data(rules, tmp_path, None, secret)
    for litter in ("__MACOSX/zero/._0.png", ".thumbs/1.png", "zero/._0001.png", "zero/Thumbs.db", "Icon\r"):
        for folder in (train, secret):
            (folder / litter).parent.mkdir(parents=True, exist_ok=True)
            (folder / litter).write_bytes(b"no image")
    assert load_task_data(rules, tmp_path, None, secret).digest == expected.digest


def test_a_stray_class_folder_is_named(tmp_path: Path) -> None:
    train = write_folder(tmp_path / "train", *some_digits(0, 30))
    (train / "misc").mkdir()
    with pytest.raises(UsageProblem, match="images of 3 of 4 classes; no image is in the folder misc/"):
        load_task_data(task(train, secret_test=True), tmp_path, None, train)


def test_a_secret_test_set_stands_in_for_that_of_cifar(tmp_path: Path) -> None:
    write_cifar10(tmp_path, train_per_class=5, test_per_class=2)
    published = load_dataset("cifar10", tmp_path)
    secret = tmp_path / "secret.npz"
    np.savez(secret, images=published.test_images[:7], labels=published.test_labels[:7])
    facts = {"dataset": "cifar10", "threshold": 0.0, "secret_test": True, "train_images": 20, "train_seed": 3}
    rules = Task.model_validate(facts | {"test_images": 7})
    found = load_task_data(rules, tmp_path, None, secret)
    drawn = draw(50, 20, 3)
    assert np.array_equal(found.train_images, published.train_images[drawn])
    assert np.array_equal(found.train_labels, published.train_labels[drawn])
    assert np.array_equal(found.test_images, published.test_images[:7])
    assert not found.official
    with pytest.raises(UsageProblem, match="the test set has 7 images, and the competition asks for 1,000"):
        load_task_data(Task.model_validate(facts | {"test_images": 1000}), tmp_path, None, secret)
    with pytest.raises(UsageProblem, match="the test set of 'cifar10' is secret") as caught:
        load_task_data(rules, tmp_path)
    assert "--test-data PATH" in caught.value.hint


def test_a_test_set_is_refused_unless_the_rules_keep_it_secret(tmp_path: Path) -> None:
    digits = load_competition("digits").task("digits")
    with pytest.raises(UsageProblem, match="has a test set for 'digits' of its own"):
        load_task_data(digits, tmp_path, None, tmp_path)


def test_own_data_may_not_pass_for_published_data(tmp_path: Path) -> None:
    data = OwnData(train="a", test="b")
    with pytest.raises(UsageProblem, match="'cifar10', which is a published data set"):
        load_task_data(Task(dataset="cifar10", threshold=0, data=data), tmp_path)


def test_more_images_are_not_drawn_than_there_are(tmp_path: Path) -> None:
    rules = Task(dataset="digits", threshold=0, train_images=5000, train_seed=1)
    with pytest.raises(UsageProblem, match=r"the training set has 1,352 images, and .* asks for 5,000"):
        load_task_data(rules, tmp_path)


def test_the_draw_is_the_one_that_was_published() -> None:
    assert draw(50_000, 5_000, 2023)[:6].tolist() == PUBLISHED_DRAW


@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 2**64))
def test_a_draw_is_of_different_images_in_order(total: int, count: int, seed: int) -> None:
    drawn = draw(total, min(count, total), seed)
    assert len(drawn) == min(count, total)
    assert np.all(np.diff(drawn) > 0)
    assert all(0 <= image < total for image in drawn)
    assert set(draw(total, min(count, total) // 2, seed)) <= set(drawn)


def npz(**arrays: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "set.npz", **arrays)  # type: ignore[arg-type]
        return folder / "set.npz"

    return write


def file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    return write


def image(mode: str, size: tuple[int, int]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "a").mkdir()
        Image.new(mode, size).save(folder / "a" / "x.tiff")
        return folder

    return write


def zipped(compression: int, **contents: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "set.npz", "w", compression) as members:
            for name, content in contents.items():
                members.writestr(name.replace("_", "."), content)
        return folder / "set.npz"

    return write


PIXELS = np.zeros((2, 3, 4, 4), np.uint8)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (lambda folder: folder / "nothing", "does not exist"),
        (file("set.csv", b"1,2"), "is neither a folder nor a .npz or .safetensors file"),
        (lambda folder: folder, "no folder in it has images"),
        (file("set.npz", b"no zip"), "it is no .npz file"),
        (file("set.safetensors", b"nothing"), "it is no safetensors file"),
        (npz(images=PIXELS), "it has no array `labels`; it has images"),
        (
            npz(images=PIXELS.transpose(0, 2, 3, 1), labels=[0, 1]),
            "`images` is uint8 [2, 4, 4, 3], and must be",
        ),
        (npz(images=PIXELS / 255, labels=[0, 1]), "`images` is float64 [2, 3, 4, 4], and must be uint8"),
        (npz(images=PIXELS, labels=[0.0, 1.0]), "`labels` is float64 [2], not integers"),
        (npz(images=np.array([object()]), labels=[0]), "Object arrays cannot be loaded"),
        (zipped(zipfile.ZIP_STORED, images=b"no array", labels=b""), "it has no array `images`; it has none"),
        (zipped(zipfile.ZIP_BZIP2, images_npy=b"no array"), "images.npy in it is compressed in a way"),
        (image("I;16", (4, 4)), "a/x.tiff has pixels of Pillow's mode I;16"),
        (image("1", (9000, 8000)), "a/x.tiff has 9000×8000 pixels: more than 67,108,864"),
        (image("1", (10_000, 10_000)), "a/x.tiff is no image that can be read: Image size"),
    ],
)
def test_the_fault_of_an_image_set_is_named(tmp_path: Path, write: Callable[[Path], Path], told: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        read_set(write(tmp_path))
    assert told in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_npz_is_read_or_refused(
    tmp_path: Path, save: Callable[..., None], changes: list[tuple[int, int]]
) -> None:
    path = tmp_path / "set.npz"
    save(path, images=np.arange(96, dtype=np.uint8).reshape(2, 3, 4, 4), labels=np.array([0, 1]))
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    with suppress(UsageProblem):
        read_set(path)


@pytest.mark.parametrize("form", ["png", "jpg", "bmp", "tiff", "webp", "ppm"])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_image_file_is_read_or_refused_by_its_name(
    tmp_path: Path, form: str, changes: list[tuple[int, int]]
) -> None:
    path = tmp_path / "a" / f"x.{form}"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.arange(12 * 8 * 3, dtype=np.uint8).reshape(12, 8, 3)).save(path)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content)
    told = f"a/x.{form} "
    try:
        read_set(tmp_path)
    except UsageProblem as problem:
        told = problem.message
    assert f"a/x.{form} " in told


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path, *some_digits(0, 12))
    broken = tmp_path / "two" / "0002.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(UsageProblem, match=r"two/0002.png is no image that can be read"):
        read_set(tmp_path)


@pytest.mark.parametrize(
    ("train", "test", "told"),
    [
        (([0, 1], 4), ([0, 1, 0], 4), "the test set is not in order: it has 2 images and 3 labels"),
        (([0, 1], 4), ([0, 2], 4), "labels from 0 to 2, and there are 2 classes"),
        (([0, 2], 4), ([0, 1], 4), "images of 2 of 3 classes"),
        (([0, 0], 4), ([0, 0], 4), "images of 1 of 1 classes"),
        (([-1, 1], 4), ([0, 1], 4), "the training set is not in order: it has labels from -1 to 1"),
        (([-1, 0, 1], 4), ([0, 1], 4), "the training set is not in order: it has labels from -1 to 1"),
        (([0, 1], 4), ([0, 1], 5), "training images are [3, 4, 4] and test images [3, 5, 5]"),
        (([0, 1], 1025), ([0, 1], 1025), "with a side above 1024 pixels"),
    ],
)
def test_sets_that_do_not_fit_together_are_refused_with_the_reason(
    tmp_path: Path, train: tuple[list[int], int], test: tuple[list[int], int], told: str
) -> None:
    for name, (labels, side) in (("train", train), ("test", test)):
        images = np.zeros((max(2, len(train[0])) if name == "train" else 2, 3, side, side), np.uint8)
        np.savez(tmp_path / f"{name}.npz", images=images, labels=labels)
    with pytest.raises(UsageProblem) as caught:
        load_task_data(task(tmp_path / "train.npz", tmp_path / "test.npz"), tmp_path)
    assert told in caught.value.message


def test_arrays_take_no_image_size(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="arrays have their size"):
        read_set(write_set(tmp_path / "a.npz", *some_digits(0, 3)), (8, 8))


def test_arrays_of_one_channel_are_taken_as_they_are(tmp_path: Path) -> None:
    images, labels = some_digits(0, 30)
    assert read_set(write_set(tmp_path / "a.npz", images[:, :1], labels)).images.shape == (30, 1, 12, 8)
