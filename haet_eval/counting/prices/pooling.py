"""Pooling over windows of k elements; padding is dense, so every window is full."""

from collections.abc import Sequence
from math import gcd, prod

from haet_eval.counting.prices.coverage import Axis
from haet_eval.counting.prices.table import overloads, price
from haet_eval.counting.signature import Signature, TensorMeta


@price(*overloads("max_pool2d_with_indices max_pool3d_with_indices", ".default .out"))
def _max_pool(s: Signature) -> int:
    """k − 1 comparisons per output."""
    return s.out.numel * (_window(s) - 1)


@price(
    *overloads("max_pool2d_with_indices_backward max_pool3d_with_indices_backward", ".default .grad_input")
)
def _max_pool_backward(s: Signature) -> int:
    """Each gradient is written to the place of its maximum; windows that overlap add it: 2 each."""
    return s.tensor("grad_output").numel * (2 if _overlap(s) else 1)


def _overlap(s: Signature) -> bool:
    """Whether some element is in two windows."""
    dimensions = _dimensions(s)
    lengths, windows = s.out.shape[-dimensions:], s.tensor("grad_output").shape[-dimensions:]
    names = ("kernel_size", "stride", "padding", "dilation")
    kernel, stride, padding, dilation = (_per_axis(s.integers(name), dimensions) for name in names)
    axes = map(Axis, lengths, windows, kernel, stride or kernel, padding, dilation)
    return any(axis.landed() != axis.touched() for axis in axes)


@price(
    *overloads(
        "adaptive_max_pool2d_backward adaptive_max_pool3d_backward fractional_max_pool2d_backward "
        "fractional_max_pool3d_backward",
        ".default .grad_input",
    )
)
def _adaptive_max_pool_backward(s: Signature) -> int:
    """As for fixed windows: 1 each if no two overlap, 2 if they may overlap. Windows at random places may."""
    gradient, dimensions = s.tensor("grad_output"), _dimensions(s)
    sizes = zip(s.out.shape[-dimensions:], gradient.shape[-dimensions:], strict=True)
    apart = "fractional" not in s.operator and all(_spans(length, count) <= length for length, count in sizes)
    return gradient.numel * (1 if apart else 2)


@price(*overloads("avg_pool1d", ".out"), *overloads("avg_pool2d avg_pool3d", ".default .out"))
def _avg_pool(s: Signature) -> int:
    """k − 1 additions and a division per output."""
    return s.out.numel * (_window(s) - 1 + _divides(s))


@price(*overloads("avg_pool2d_backward avg_pool3d_backward", ".default .grad_input"))
def _avg_pool_backward(s: Signature) -> int:
    """Divide each gradient and add it to k places."""
    return s.tensor("grad_output").numel * (_window(s) + _divides(s))


def _divides(s: Signature) -> bool:
    return s.arguments.get("divisor_override") != 1


def _window(s: Signature) -> int:
    """Elements of a window; one kernel size stands for all dimensions."""
    return prod(_per_axis(s.integers("kernel_size"), _dimensions(s)))


def _per_axis(values: tuple[int, ...], dimensions: int) -> tuple[int, ...]:
    """A value for each axis; one value stands for all of them."""
    return values * dimensions if len(values) == 1 else values


def _dimensions(s: Signature) -> int:
    return next(d for d in (1, 2, 3) if f"pool{d}d" in s.operator)


@price(*overloads("adaptive_max_pool2d adaptive_max_pool3d", ".default .out"))
def _adaptive_max_pool(s: Signature) -> int:
    """k − 1 comparisons per output, k being the size of its own window."""
    return _adaptive_elements(s, s.tensor("self"), s.out) - s.out.numel


@price(
    *overloads("_adaptive_avg_pool2d _adaptive_avg_pool3d", ".default .out"),
    *overloads("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", ".out"),
)
def _adaptive_avg_pool(s: Signature) -> int:
    """k − 1 additions and a division per output, k being the size of its own window."""
    return _adaptive_elements(s, s.tensor("self"), s.out)


@price(
    *overloads("_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward", ".default .out"),
    *overloads("adaptive_avg_pool3d_backward", ".grad_input"),
)
def _adaptive_avg_pool_backward(s: Signature) -> int:
    """Divide each gradient and add it to every place of its window."""
    gradient = s.tensor("grad_output")
    return gradient.numel + _adaptive_elements(s, s.tensor("self"), gradient)


def _adaptive_elements(s: Signature, larger: TensorMeta, smaller: TensorMeta) -> int:
    """Elements in all windows together; window i of n spans ⌊i·L/n⌋ to ⌈(i + 1)·L/n⌉."""
    dimensions = _dimensions(s)
    planes = prod(larger.shape[:-dimensions])
    return planes * prod(
        _spans(length, count)
        for length, count in zip(larger.shape[-dimensions:], smaller.shape[-dimensions:], strict=True)
    )


def _spans(length: int, count: int) -> int:
    """Of the borders between neighbouring windows all but gcd − 1 cut an element, which lies in both."""
    return length + count - gcd(length, count) if count else 0


@price(*overloads("fractional_max_pool2d fractional_max_pool3d", ".default .output"))
def _fractional_max_pool(s: Signature) -> int:
    """Windows begin at random places: k indexed reads and k − 1 comparisons per output, and the places.

    The i-th of n places is ⌊(i + u)·α⌋ − ⌊u·α⌋ (Graham 2014, Fractional Max-Pooling), the last is fixed.
    """
    window = _window(s)
    planes = prod(s.tensor("random_samples").shape[:2])
    return s.out.numel * (2 * window - 1) + planes * _places(s.integers("output_size"))


def _places(counts: Sequence[int]) -> int:
    return sum(2 + 4 * (count - 1) for count in counts if count > 1)


@price(*overloads("max_unpool2d max_unpool3d", ".default .out"))
def _max_unpool(s: Signature) -> int:
    """One indexed write per input."""
    return s.tensor("self").numel
