"""Images from torchvision's ImageFolder layout: a folder for each class, with its image files."""

import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from haet_eval.archive import is_litter
from haet_eval.data.arrays import LARGEST_SET_BYTES, Images, Labels

SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
LARGEST_SOURCE_PIXELS: Final = 2**26

_DAMAGE: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises for files that it cannot read: each of its readers has kinds of its own."""

_MODES: Final = {"1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr"}


def class_names(folder: Path) -> tuple[str, ...]:
    """The names of the class folders, by name; by number if every name is a number. Litter is left out."""
    names = [path.name for path in folder.iterdir() if path.is_dir() and not is_litter(path.name)]
    numbers = all(name.isascii() and name.isdigit() for name in names)
    # As texts 10 comes before 2, and arrays number their classes by number (decision 0095).
    return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))


def read_image_folder(
    folder: Path, classes: Sequence[str], image_size: tuple[int, int] | None
) -> tuple[Images, Labels]:
    """Images, uint8 [N, 3, H, W], and labels, int64 [N]: a label is the position of its folder in `classes`.

    Images are in the order of their classes and then of their paths, as in torchvision. They are read as in
    torchvision: the first frame, in RGB. With an `image_size` (height, width), images of another size are
    resized by Pillow's antialiased bilinear filter.

    Raises:
        ValueError: a file is wrong; the text says which one, and how.
        OSError: the folder cannot be read.
    """
    unknown = set(class_names(folder)) - set(classes)
    if unknown:
        raise ValueError(f"its folder {min(unknown)}/ is not one of the classes {', '.join(classes)}")
    paths = [(path, label) for label, name in enumerate(classes) for path in _files(folder / name)]
    if not paths:
        raise ValueError(f"no folder in it has images ({', '.join(SUFFIXES)})")
    # The first image gives the size of all, before memory for all is taken.
    first = _read(paths[0][0], image_size)
    if first.nbytes * len(paths) > LARGEST_SET_BYTES:
        raise ValueError(
            f"its {len(paths):,} images of {first.shape[2]}×{first.shape[1]} pixels are too many"
        )
    images = np.empty((len(paths), *first.shape), np.uint8)
    for row, (path, _) in enumerate(paths):
        image = _read(path, image_size)
        if image.shape != first.shape:
            raise ValueError(
                f"{path.relative_to(folder)} is {image.shape[2]}×{image.shape[1]} and "
                f"{paths[0][0].relative_to(folder)} {first.shape[2]}×{first.shape[1]} pixels; "
                "`image_size = [height, width]` in the task's data resizes them"
            )
        images[row] = image
    return images, np.array([label for _, label in paths], dtype=np.int64)


def _files(folder: Path) -> list[Path]:
    """The image files below a folder, without files that tools leave there, such as `._one.png`."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not is_litter(path.relative_to(folder).as_posix())
    )


def _read(path: Path, image_size: tuple[int, int] | None) -> Images:
    name = f"{path.parent.name}/{path.name}"
    try:
        with warnings.catch_warnings():
            # Pillow's other warnings are about transparency and metadata, which the pixels do not need.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                fault = _fault(image)
                if not fault:
                    return _pixels(image, image_size)
    except _DAMAGE as error:
        raise ValueError(f"{name} is no image that can be read: {error}") from error
    raise ValueError(f"{name} {fault}")


def _fault(image: Image.Image) -> str:
    """What the header says against the image, of which no pixel was decoded yet; empty if nothing."""
    if image.width * image.height > LARGEST_SOURCE_PIXELS:
        return f"has {image.width}×{image.height} pixels: more than {LARGEST_SOURCE_PIXELS:,}"
    # More than eight bits for each channel would be clipped without a word (decision 0095).
    if image.mode not in _MODES:
        return f"has pixels of Pillow's mode {image.mode}, which eight bits do not hold"
    return ""


def _pixels(image: Image.Image, image_size: tuple[int, int] | None) -> Images:
    colours = image.convert("RGB")
    if image_size is not None and (image.height, image.width) != image_size:
        colours = colours.resize((image_size[1], image_size[0]), Image.Resampling.BILINEAR)
    return np.asarray(colours, dtype=np.uint8).transpose(2, 0, 1)
