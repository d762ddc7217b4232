"""An organizer's own images: the form of a path, the checks of both sets, and their errors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from haet_eval.competition import MAX_IMAGE_SIDE
from haet_eval.data.array_file import SUFFIXES, read_array_file
from haet_eval.data.arrays import Arrays, Images, Labels
from haet_eval.data.image_folder import class_names, read_image_folder
from haet_eval.errors import UsageProblem

_FORMS: Final = "It is a folder with a folder of images for each class, or a .npz or .safetensors file."


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Images, uint8 [N, C, H, W], their labels, int64 [N], and the names of the class folders, if any."""

    images: Images
    labels: Labels
    classes: tuple[str, ...] = ()


def read_set(
    path: Path, image_size: tuple[int, int] | None = None, classes: tuple[str, ...] = ()
) -> ImageSet:
    """The images at a path: a folder with a folder for each class, or a .npz or .safetensors file.

    Args:
        path: the folder or the file.
        image_size: height and width to which image files are resized; None if all must have one size.
        classes: names of the class folders, if the training set has given them.

    Raises:
        UsageProblem: the path does not exist, or its images are not valid.
    """
    try:
        if path.is_dir():
            # The classes of the training set, so that a test set without images of one keeps the same
            # numbers.
            names = classes or class_names(path)
            return ImageSet(*read_image_folder(path, names, image_size), names)
        if path.is_file() and path.suffix in SUFFIXES:
            if image_size is not None:
                raise ValueError("`image_size` is for image files; arrays have their size")
            return ImageSet(*read_array_file(path))
    except (ValueError, OSError) as error:
        raise UsageProblem(f"{path} is not in order: {error}", _FORMS, code="data-invalid") from error
    fault = "is neither a folder nor a .npz or .safetensors file" if path.exists() else "does not exist"
    raise UsageProblem(f"{path} {fault}", _FORMS, code="data-invalid")


def join(train: ImageSet, test: ImageSet, num_classes: int) -> Arrays:
    """Both sets, checked against each other.

    Raises:
        UsageProblem: the sets do not fit together; the message says how.
    """
    for what, images in (("training", train), ("test", test)):
        fault = _fault(images, num_classes)
        if fault:
            raise UsageProblem(
                f"the {what} set is not in order: {fault}", "Labels begin with 0.", code="data-invalid"
            )
    if train.images.shape[1:] != test.images.shape[1:]:
        sizes = [f"{list(images.images.shape[1:])}" for images in (train, test)]
        raise UsageProblem(
            f"training images are {sizes[0]} and test images {sizes[1]} (channels, height, width)",
            "Both sets must be alike; `image_size = [height, width]` in the task's data resizes image files.",
            code="data-sizes-differ",
        )
    return Arrays(train.images, train.labels, test.images, test.labels)


def _fault(images: ImageSet, num_classes: int) -> str:
    if len(images.images) != len(images.labels):
        return f"it has {len(images.images):,} images and {len(images.labels):,} labels"
    if max(images.images.shape[2:]) > MAX_IMAGE_SIDE:
        return f"its images are {list(images.images.shape[1:])}, with a side above {MAX_IMAGE_SIDE} pixels"
    if images.classes and len(images.classes) != num_classes:
        return (
            f"it has {len(images.classes)} class folders, and there are {num_classes} classes{_empty(images)}"
        )
    # There is at least one label here: empty sets were refused when they were read.
    low, high = int(images.labels.min()), int(images.labels.max())
    if low < 0 or high >= num_classes:
        return f"it has labels from {low} to {high}, and there are {num_classes} classes"
    return ""


def count_classes(train: ImageSet) -> int:
    """Classes of a training set, each of which must have an image.

    Raises:
        UsageProblem: a label below the highest does not occur, or there is one class only.
    """
    found = np.unique(train.labels)
    # Folders give the number of classes even if one is empty; arrays have only their labels.
    expected = len(train.classes) or (int(found[-1]) + 1 if len(found) else 0)
    # Labels below 0 are left to `join`, which names them.
    if found[0] >= 0 and (expected < 2 or len(found) != expected):
        raise UsageProblem(
            f"the training set has images of {len(found)} of {expected} classes{_empty(train)}",
            "At least two classes are needed, numbered from 0, and images of each.",
            code="data-classes",
        )
    return expected


def _empty(images: ImageSet) -> str:
    """`; no image is in the folder misc/`, to append to a message; "" if every folder has one."""
    used = set(np.unique(images.labels).tolist())
    names = [f"{name}/" for label, name in enumerate(images.classes) if label not in used]
    return f"; no image is in the folder {', '.join(names[:5])}" if names else ""
