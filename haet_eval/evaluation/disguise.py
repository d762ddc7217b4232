"""A secret, label-preserving disguise of a data set, for the audit of a submission's prior knowledge.

Training and test images get the same disguise, so an honest recipe learns about as much as before. Weights
that were learnt from the published images see other images and other class numbers.

The disguise is computed with integers only, so that a seed gives the same bits on every machine.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from math import isqrt
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from haet_eval.data.arrays import Arrays, Images
from haet_eval.dataset import Dataset

_WHITE: Final = 255
_UNIT: Final = 64
"""The denominator of weights and bends."""

_BENDS: Final = (16, 38)
_LARGEST_MIXED_WEIGHT: Final = 24
_INVERTIBLE_MEANS: Final = (_WHITE // 3, 2 * _WHITE // 3)
"""The means of channels that may be inverted: with another mean, half of the levels would be clipped."""

_LEVEL_UNIT: Final = 4
"""The brightness curve gives quarters of a grey level."""

_POINT: Final = 20
"""Binary digits after the point of a scale or a shift."""

# Two passes keep a mean within 2 levels and a deviation within 2.5 % (decision 0114).
_PASSES: Final = 2
# As 64-bit integers the training images of CIFAR would take 1.2 GB at once.
_PIXELS_AT_ONCE: Final = 2**18

_Levels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Disguise:
    """The changes to every image and label. In addition, every image is turned upside down.

    Attributes:
        classes: the new number of each class.
        mixing: integers [C, C]: each new channel as a sum of the old ones, with weights in 64ths.
        bend: the bend of the brightness curve, in 64ths; a positive one brightens the middle of the range.
    """

    classes: tuple[int, ...]
    mixing: tuple[tuple[int, ...], ...]
    bend: int


class _Lots:
    """Random numbers: draw i is the SHA-256 of `haet-eval disguise {seed} draw {i}`, greatest byte first."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._drawn = 0

    def below(self, bound: int) -> int:
        """A random integer from 0 to bound − 1."""
        text = f"haet-eval disguise {self._seed} draw {self._drawn}"
        self._drawn += 1
        return int.from_bytes(sha256(text.encode()).digest()) % bound

    def sign(self) -> int:
        return 1 - 2 * self.below(2)

    def order(self, length: int) -> list[int]:
        """A permutation in which no element keeps its place; it is drawn again until it is one.

        For a single element there is no such permutation, so that one keeps its place.
        """
        while True:
            order = list(range(length))
            for last in range(length - 1, 0, -1):
                other = self.below(last + 1)
                order[last], order[other] = order[other], order[last]
            if length < 2 or all(place != moved for place, moved in enumerate(order)):
                return order


def draw_disguise(data: Dataset, seed: int) -> Disguise:
    """The disguise of this seed.

    No class and no colour channel keeps its number. A new channel is an old one, plus up to three eighths of
    each other; half of the channels that can be are inverted. The brightness curve is bent by a quarter to
    six tenths.
    """
    lots, channels = _Lots(seed), data.train_images.shape[1]
    invertible = [_is_invertible(data.train_images[:, channel]) for channel in range(channels)]
    classes, origins = lots.order(data.num_classes), lots.order(channels)
    mixing = []
    # The order of these draws belongs to the disguise: `verify` draws it again from the seed.
    for place, origin in enumerate(origins):
        # By the mean of the old channel at this place, which the new one takes over.
        sign = lots.sign() if invertible[place] else 1
        weights = [lots.below(_LARGEST_MIXED_WEIGHT + 1) for _ in range(channels)]
        weights[origin] = _UNIT
        mixing.append(tuple(sign * weight for weight in weights))
    low, high = _BENDS
    bend = lots.sign() * (low + lots.below(high - low + 1))
    return Disguise(tuple(classes), tuple(mixing), bend)


def _is_invertible(channel: npt.NDArray[np.uint8]) -> bool:
    low, high = _INVERTIBLE_MEANS
    return low * channel.size <= int(channel.sum(dtype=np.int64)) <= high * channel.size


def disguise(data: Dataset, seed: int) -> Dataset:
    """The data set in the disguise of this seed: see `wear`."""
    return wear(data, draw_disguise(data, seed))


def wear(data: Dataset, drawn: Disguise) -> Dataset:
    """The data set with other class numbers, other colours and brightness, and upside down.

    Each channel nearly keeps its mean and its standard deviation over the training images, so that a recipe
    which normalizes with these constants loses nothing.
    """
    # Fitted to the training images alone, and then the same function for both sets.
    recolour = _recolouring(data.train_images, drawn)
    numbers = np.array(drawn.classes, np.int64)
    arrays = Arrays(
        recolour(data.train_images),
        numbers[data.train_labels],
        recolour(data.test_images),
        numbers[data.test_labels],
    )
    return Dataset(data.name, data.num_classes, *arrays, digest=arrays.digest(), official=False)


def _recolouring(images: Images, drawn: Disguise) -> Callable[[Images], Images]:
    """A function that recolours images and turns them upside down, fitted to these training images."""
    channels = []
    for place, weights in enumerate(drawn.mixing):
        wanted = _moments(part[:, place] for part in _parts(images))
        channels.append(_fitted(_MixedChannel(_tables(weights, drawn.bend)), images, wanted))

    def recolour(some: Images) -> Images:
        parts = (np.stack([channel.levels(part) for channel in channels], axis=1) for part in _parts(some))
        # Always upside down: an attacker has to know both ways, and a draw would let every second disguise
        # pass (decision 0114).
        return np.concatenate([part.astype(np.uint8)[:, :, ::-1] for part in parts])

    return recolour


def _tables(weights: Sequence[int], bend: int) -> tuple[_Levels, ...]:
    """The addend of each level of each old channel to a new one, in 1/256 of a grey level."""
    levels = np.arange(_WHITE + 1, dtype=np.int64)
    curve = _LEVEL_UNIT * levels + _LEVEL_UNIT * bend * levels * (_WHITE - levels) // (_UNIT * _WHITE)
    return tuple(weight * curve for weight in weights)


@dataclass(frozen=True, slots=True)
class _MixedChannel:
    """A new channel: the sum of table entries, then scaled and shifted, both in parts of 2²⁰."""

    tables: tuple[_Levels, ...]
    scale: int = 1 << _POINT
    shift: int = 0

    def mixed(self, images: Images) -> _Levels:
        """[N, C, H, W] -> [N, H, W], not yet scaled."""
        mixed = self.tables[0][images[:, 0]]
        for place, table in enumerate(self.tables[1:], start=1):
            mixed += table[images[:, place]]
        return mixed

    def levels(self, images: Images) -> _Levels:
        """[N, C, H, W] -> [N, H, W] from 0 to 255."""
        half = 1 << (_POINT - 1)
        levels: _Levels = np.clip((self.mixed(images) * self.scale + self.shift + half) >> _POINT, 0, _WHITE)
        return levels


class _Moments(NamedTuple):
    """The moments of some pixels: their number n, their sum, and their variance times n²."""

    pixels: int
    total: int
    spread: int


def _moments(parts: Iterator[npt.NDArray[np.uint8] | _Levels]) -> _Moments:
    count = total = squares = 0
    for part in parts:
        wide = part.astype(np.int64)
        count, total, squares = (
            count + wide.size,
            total + int(wide.sum()),
            squares + int(np.square(wide).sum()),
        )
    return _Moments(count, total, count * squares - total * total)


def _fitted(channel: _MixedChannel, images: Images, wanted: _Moments) -> _MixedChannel:
    """The channel with the scale and the shift that give the wanted mean and deviation over these images.

    Clipping reduces both. So each further pass aims beyond the target by the amount that the pass before
    missed.
    """
    raw = _moments(channel.mixed(part) for part in _parts(images))
    total, spread = wanted.total, wanted.spread
    for _ in range(_PASSES):
        # An integer square root gives the same bits on every machine.
        scale = isqrt((spread << 2 * _POINT) // raw.spread) if raw.spread else 0
        channel = replace(channel, scale=scale, shift=((total << _POINT) - scale * raw.total) // raw.pixels)
        got = _moments(channel.levels(part) for part in _parts(images))
        total += wanted.total - got.total
        spread = spread * wanted.spread // got.spread if got.spread else spread
    return channel


def _parts(images: Images) -> Iterator[Images]:
    step = max(1, _PIXELS_AT_ONCE // images[0, 0].size) if len(images) else 1
    return (images[start : start + step] for start in range(0, len(images), step))
