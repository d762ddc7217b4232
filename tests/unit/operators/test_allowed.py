"""The list of allowed operators: what is on it, what can never be."""

import pytest

from haet_eval.operators.refusals import refusal
from haet_eval.operators.table import allowed_operators, lookup

NEVER = (
    "aten.from_file.default",
    "aten.set_.source_Storage",
    "aten.set_.source_Storage_storage_offset",
    "aten.set_.source_Tensor_storage_offset",
    "aten.set_.default",
    "aten._reshape_alias.default",
    "aten._unsafe_index.Tensor",
    "aten._unsafe_index_put.default",
    "aten._unsafe_masked_index.default",
    "aten.resize_.default",
    "aten.resize_as_.default",
    "aten._to_sparse.default",
    "aten._nested_tensor_from_mask.default",
    "aten.quantize_per_tensor.default",
    "aten.mkldnn_convolution.default",
    "aten.cudnn_batch_norm.default",
    "aten._cudnn_rnn.default",
    "aten.record_stream.default",
    "aten._pin_memory.default",
    "c10d.send.default",
    "torchvision.nms.default",
    "prims.add.default",
    "aten.__class__.__init__",
)


@pytest.mark.parametrize("name", NEVER)
def test_is_never_allowed(name: str) -> None:
    assert lookup(name) is None
    assert "not" in refusal(name)
    assert refusal(name).endswith(".")


def test_only_aten_is_allowed_and_nothing_with_a_dangerous_name() -> None:
    for name in allowed_operators():
        assert name.startswith("aten.")
        for part in (
            "from_file",
            "resize",
            "sparse",
            "nested",
            "quant",
            "packed",
            "mkldnn",
            "cudnn",
            "storage",
        ):
            assert part not in name.removesuffix("_has_same_storage_numel.default")


def test_ordinary_training_is_allowed() -> None:
    for base in ("convolution", "convolution_backward", "native_batch_norm", "addmm", "_foreach_add_.List"):
        overload = base if "." in base else f"{base}.default"
        assert lookup(f"aten.{overload}") is not None


def test_a_refusal_shows_no_control_characters() -> None:
    assert "\x1b" not in refusal("aten.\x1b[31m" + "x" * 1000)
    assert len(refusal("x" * 10_000)) < 400
