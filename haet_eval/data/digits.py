"""scikit-learn's handwritten digits as 32×32 images: the practice task that needs no download."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from haet_eval.data.arrays import Arrays, Images, Labels
from haet_eval.errors import EnvironmentProblem

OFFICIAL_DIGEST = "9d5acab5c1253cb85564139121c05b7bcc4d0c40e200e163673ee5ae22129bb9"


def load_digits() -> Arrays:
    """1,352 training and 445 test images, exactly the same on every machine.

    A grey value g of 0..16 becomes (255 g + 8) // 16, a pixel becomes 4×4 equal pixels, and the three
    channels are equal. Of each class every fourth image, in the order of scikit-learn, is a test image.
    """
    table = np.loadtxt(_table(), delimiter=",", dtype=np.int64)
    images, labels = _enlarge(table[:, :-1].reshape(-1, 8, 8)), table[:, -1]
    test = _every_fourth_of_its_class(labels)
    return Arrays(images[~test], labels[~test], images[test], labels[test])


def _table() -> Path:
    """scikit-learn's file of the digits. To import scikit-learn for it would take a second.

    Raises:
        EnvironmentProblem: scikit-learn is not installed, or has no such file.
    """
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder, "datasets", "data", "digits.csv.gz")
        if path.is_file():
            return path
    raise EnvironmentProblem(
        "the digits are missing: scikit-learn, which brings them, is not installed here, or not whole",
        "pip install --force-reinstall scikit-learn",
        code="installation",
    )


def _enlarge(greys: Labels) -> Images:
    # In integers, so that every machine rounds alike.
    scaled = ((greys * 255 + 8) // 16).astype(np.uint8)
    enlarged = scaled.repeat(4, axis=1).repeat(4, axis=2)
    return np.repeat(enlarged[:, None], 3, axis=1)


def _every_fourth_of_its_class(labels: Labels) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in range(10):
        chosen[np.flatnonzero(labels == label)[3::4]] = True
    return chosen
