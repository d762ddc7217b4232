"""Bytes that each call reads and writes, from its signature alone.

An operator reads the elements of its tensors and writes those of its results, each once, whatever a kernel
and its caches do. The rules:

- Views and metadata move nothing, and neither do factories of memory that is not filled.
- A broadcast operand is read once, at its own size.
- An operator in place reads and writes. One that overwrites (`copy_`, `fill_`, `zero_`, `out=`) and a draw
  only write.
- An index reads what it takes and its index. In place it touches the places that it names.
- A gradient that needs a tensor's shape alone does not read it.
- An operator on lists is the sum of its parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Final

from haet_eval.counting.histogram import HistogramEntry
from haet_eval.operators.dtypes import item_bytes
from haet_eval.operators.foreach import singles_of
from haet_eval.operators.indexing import indexed_elements
from haet_eval.operators.pricing.evaluate import computes_nothing
from haet_eval.operators.schema import Operator
from haet_eval.operators.signature import Signature, TensorMeta, tensors_in
from haet_eval.operators.table import kind_of, lookup
from haet_eval.remote.definitions import parameters_written

_STILL: Final = ("view", "bookkeeping")
_UNFILLED: Final = ("empty", "new_empty")
_OVERWRITING: Final = frozenset(
    {"copy", "copy_", "fill", "fill_", "zero", "zero_", "index_copy_", "index_fill_", "_foreach_copy_"}
)
_TAKING: Final = frozenset(
    {"index", "_unsafe_index", "index_select", "gather", "take", "embedding", "masked_select"}
)
_CUTTING: Final = frozenset(
    {"select_copy", "slice_copy", "narrow_copy", "diagonal_copy", "as_strided_copy", "unfold_copy"}
)
_TARGETED: Final = frozenset({"nll_loss_forward", "nll_loss2d_forward"})
_BY_INDEX: Final = frozenset({"scatter_", "scatter_add_", "scatter_reduce_", "put_"})
_BY_SOURCE: Final = frozenset({"index_add_", "index_copy_", "index_reduce_"})
_BY_INDICES: Final = frozenset({"index_put_", "_index_put_impl_"})
_SHAPE_ONLY: Final = {
    **dict.fromkeys(
        (
            *("max_pool2d_with_indices_backward", "max_pool3d_with_indices_backward"),
            *("adaptive_max_pool2d_backward", "adaptive_max_pool3d_backward"),
            *("avg_pool2d_backward", "avg_pool3d_backward"),
            *("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"),
            *(f"{kind}_pad{rank}d_backward" for kind in ("reflection", "replication") for rank in (1, 2, 3)),
            *("nll_loss_backward", "nll_loss2d_backward"),
        ),
        "self",
    ),
    "native_layer_norm_backward": "bias",
}
"""Operators with the argument of which they need the shape."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that are read and written."""

    read: int = 0
    written: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        return Traffic(self.read + other.read, self.written + other.written)

    def __mul__(self, times: int) -> "Traffic":
        return Traffic(self.read * times, self.written * times)

    @property
    def total(self) -> int:
        """Both."""
        return self.read + self.written


def traffic(signature: Signature) -> Traffic:
    """What one call reads and writes."""
    operator = lookup(signature.operator)
    # `set_` is an arrangement by its kind, since its checks are those of one, but it moves no element.
    still = kind_of(signature.operator) in _STILL or signature.operator == "aten.set_.source_Tensor"
    if still or computes_nothing(signature) or _is_view(operator):
        return Traffic()
    # Not `parts_of`: that asks for prices, and a list of complex numbers without one ended a run as our
    # fault.
    parts = list(singles_of(signature))
    if parts:
        return sum((traffic(one) for one in parts), Traffic())
    changed = parameters_written(operator, signature.arguments) if operator else frozenset()
    read = sum(_read(signature, name, meta, changed) for name, meta in signature.given())
    return Traffic(read, _written(signature, operator, changed))


def traffic_by_operator(entries: Iterable[HistogramEntry]) -> dict[str, Traffic]:
    """What the calls of a histogram read and write, by overload; also of those that move nothing."""
    found: dict[str, Traffic] = {}
    for entry in entries:
        name = entry.signature.operator
        found[name] = found.get(name, Traffic()) + traffic(entry.signature) * entry.total_calls
    return found


def elements(meta: TensorMeta) -> int:
    """Distinct elements of memory that a tensor shows: an expanded dimension shows the same ones again."""
    # A view of overlapping windows has more elements than memory: the smaller of both bounds holds.
    steps = [(size, step) for size, step in zip(meta.shape, meta.stride, strict=True) if step]
    if 0 in meta.shape:
        return 0
    return min(prod(size for size, _ in steps), 1 + sum((size - 1) * step for size, step in steps))


def _is_view(operator: Operator | None) -> bool:
    """Whether all that an operator returns are other views of its arguments."""
    returns = operator.returns if operator else ()
    return bool(returns) and all(one.alias and not one.written for one in returns)


def _base(signature: Signature) -> str:
    return signature.operator.split(".")[1]


def _bytes(meta: TensorMeta, count: int | None = None) -> int:
    return (elements(meta) if count is None else count) * item_bytes(meta.dtype)


def _read(signature: Signature, name: str, meta: TensorMeta, changed: frozenset[str]) -> int:
    base = _base(signature)
    kind = kind_of(signature.operator)
    if kind == "factory" or _SHAPE_ONLY.get(base) == name or _is_example(signature, name):
        return 0
    # The gradient of the input reads the weight, and that of the weight reads the input. A gradient that
    # nobody wants reads nothing.
    if base == "convolution_backward":
        return _bytes(meta) * _is_needed(signature, name)
    if name in changed:
        overwritten = base in _OVERWRITING or kind == "draw" or _is_out(signature, name)
        # An operator in place that names places leaves the rest of its tensor alone.
        return 0 if overwritten else _bytes(meta, _places(signature))
    # These functional forms take only shape and dtype from `self`.
    if name == "self" and base in ("copy", "zero", "fill"):
        return 0
    return _bytes(meta, _taken(signature, name, meta))


def _is_example(signature: Signature, name: str) -> bool:
    """Whether a draw takes the shape of this tensor and no number from it."""
    return kind_of(signature.operator) == "draw" and name == "self" and _base(signature).endswith("_like")


def _is_out(signature: Signature, name: str) -> bool:
    """Whether it is an `out` argument: written, and not read."""
    operator = lookup(signature.operator)
    return operator is not None and operator.parameter(name).keyword_only


def _is_needed(signature: Signature, name: str) -> bool:
    """Whether the gradients that are asked for take this tensor of a convolution."""
    mask = signature.arguments.get("output_mask")
    of_input, of_weight = (bool(one) for one in mask[:2]) if isinstance(mask, tuple) else (True, True)
    return {"input": of_weight, "weight": of_input}.get(name, True)


def _taken(signature: Signature, name: str, meta: TensorMeta) -> int | None:
    """How many elements of its operand an operator reads that takes some of them; None of others."""
    base = _base(signature)
    if base in _TAKING and name in ("self", "weight"):
        return signature.out.numel
    if base in _CUTTING:
        return min(elements(meta), signature.out.numel)
    if base in _TARGETED and name == "self":
        return signature.tensor("target").numel
    return None


def _places(signature: Signature) -> int | None:
    """How many elements an operator in place touches that names them; None of others."""
    base = _base(signature)
    if base in _BY_INDICES:
        return indexed_elements(signature)
    if base in _BY_INDEX:
        return signature.tensor("index").numel
    if base in _BY_SOURCE:
        return signature.tensor("source").numel
    if base == "index_fill_":
        shape, (dim,) = signature.tensor("self").shape, signature.integers("dim")
        return signature.tensor("index").numel * (prod(shape) // shape[dim] if shape else 1)
    return None


def _written(signature: Signature, operator: Operator | None, changed: frozenset[str]) -> int:
    if kind_of(signature.operator) == "factory" and _base(signature).startswith(_UNFILLED):
        return 0
    places = _places(signature)
    into = sum(_bytes(meta, places) for name, meta in signature.given() if name in changed)
    returned = zip(operator.returns, signature.outputs, strict=True) if operator else ()
    # A written argument is returned as well, and was counted above.
    fresh = [value for one, value in returned if not one.written] if operator else signature.outputs
    return into + sum(_bytes(meta) for value in fresh for meta in tensors_in(value))
