"""The operators that a submission may call: those in schemas.txt, and no other."""

from functools import cache
from importlib.resources import files
from typing import Final

from haet_eval.counting.prices.refusals import refusal as unpriced
from haet_eval.remote.operators.schema import Operator, parse

_MASK: Final = (
    "use a dense tensor with a mask, as in `weight * mask`; a zero of the mask costs what any number costs"
)
_REASONS: Final = (
    ("from_file", "it reads a file", "use the tensors of the task"),
    ("set_", "it gives a tensor another storage", "assign to `.data`, or copy with `copy_`"),
    (
        "resize",
        "it shows memory that was never written",
        "make a new tensor, or use `torch.nn.functional.pad`",
    ),
    ("_reshape_alias", "it may look outside its storage", "use `reshape` or `view`"),
    ("_unsafe_", "it does not check its indices", "index the tensor as usual"),
    ("sparse", "sparse tensors are not supported", _MASK),
    ("_coalesce", "sparse tensors are not supported", _MASK),
    ("nested", "nested tensors are not supported", "pad the sequences to one length"),
    (
        "quant",
        "quantized tensors are not supported",
        "use ordinary integers and floats (torch.fake_quantize_per_tensor_affine, `round`)",
    ),
    (
        "_transformer_encoder_layer",
        "it is a shortcut of evaluation",
        "call `torch.backends.mha.set_fastpath_enabled(False)`",
    ),
    (
        "_native_multi_head_attention",
        "it is a shortcut of evaluation",
        "call `torch.backends.mha.set_fastpath_enabled(False)`",
    ),
    ("packed", "packed weights are not supported", "use `torch.nn.functional.linear`"),
    ("mkldnn", "it belongs to one backend", "use the ordinary module, it picks the backend itself"),
    ("cudnn", "it belongs to one backend", "use the ordinary module, it picks the backend itself"),
    ("miopen", "it belongs to one backend", "use the ordinary module, it picks the backend itself"),
    ("fractional_max_pool", "its kernel does not check the samples it is given", "use `max_pool2d`"),
    ("segment_reduce", "its kernel does not check the lengths it is given", "use `scatter_reduce`"),
    ("ctc_loss", "its kernel does not check the targets it is given", "write the loss with `logsumexp`"),
    ("embedding_bag", "its kernel does not check the offsets it is given", "use `embedding` and a sum"),
    ("histogram", "its kernel does not check the bins it is given", "use `bucketize` and `bincount`"),
)


def _read() -> dict[str, Operator]:
    text = files(__package__).joinpath("schemas.txt").read_text(encoding="utf-8")
    operators = {}
    for line in text.splitlines():
        schema, _, tags = line.partition("\t")
        operator = parse(schema, frozenset(tags.split()))
        operators[operator.name] = operator
    return operators


@cache
def _operators() -> dict[str, Operator]:
    return _read()


def lookup(name: str) -> Operator | None:
    """The operator of that name (as in `aten.add.Tensor`), or None if it is not on the list."""
    return _operators().get(name)


def allowed_operators() -> frozenset[str]:
    """The names of all operators on the list."""
    return frozenset(_operators())


def refusal(name: str) -> str:
    """One sentence for the contestant: why an operator is not on the list, and what to write instead."""
    shown = name[:80] if name.isprintable() else ascii(name[:80])
    if not name.startswith("aten."):
        return (
            f"The operator {shown} is not allowed: only those of PyTorch's `aten` are; write it with these, "
            "in Python (torch.library.custom_op may wrap it)."
        )
    for word, why, instead in _REASONS:
        if word in name:
            return f"The operator {shown} is not allowed: {why}; {instead}."
    reason = unpriced(name)
    if reason is not None:
        return f"The operator {shown} is not allowed: {reason}."
    return (
        f"The operator {shown} is not on the list of allowed operators; write it with common ones, "
        "such as additions, products, comparisons and indexing."
    )
