"""Scaled dot-product attention: the textbook's count, whatever the backend."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import ANY, Argument, Signature, TensorMeta
from tests.oracle import attention as oracle
from tests.oracle.counted import Tally, count
from tests.oracle.recording import operations, record
from tests.unit.prices.shapes import extents, few

aten = torch.ops.aten
CPU = "aten._scaled_dot_product_flash_attention_for_cpu.default"
CPU_BACKWARD = "aten._scaled_dot_product_flash_attention_for_cpu_backward.default"
BACKENDS = ("flash", "efficient", "cudnn", "fused")
OVERLOADS = {
    "flash": "aten._scaled_dot_product_flash_attention",
    "efficient": "aten._scaled_dot_product_efficient_attention",
    "cudnn": "aten._scaled_dot_product_cudnn_attention",
    "fused": "aten._scaled_dot_product_fused_attention_overrideable",
}


def attend(
    heads: int, rows: int, columns: int, width: int, *, masked: bool, causal: bool, scaled: bool
) -> list[Signature]:
    query = torch.randn(1, heads, rows, width, requires_grad=True)
    key, value = (torch.randn(1, heads, columns, width, requires_grad=True) for _ in range(2))
    mask = torch.zeros(rows, columns) if masked else None
    arguments: dict[str, Any] = {"attn_mask": mask, "scale": None if scaled else 1.0}

    def program() -> None:
        out, logs = aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, **arguments
        )
        aten._scaled_dot_product_flash_attention_for_cpu_backward(
            torch.ones_like(out), query, key, value, out, logs, 0.0, causal, **arguments
        )

    with torch.no_grad():
        return [signature for signature in record(program) if "attention" in signature.operator]


shapes = {"heads": extents, "rows": extents, "columns": extents, "width": extents}
flags = {"masked": st.booleans(), "causal": st.booleans(), "scaled": st.booleans()}


@few
@given(**shapes, **flags)
def test_forward_and_backward_cost_the_textbook(
    heads: int, rows: int, columns: int, width: int, masked: bool, causal: bool, scaled: bool
) -> None:
    forward, backward = attend(heads, rows, columns, width, masked=masked, causal=causal, scaled=scaled)
    head = oracle.Head(Tally(), rows, columns, width, width, scaled, masked, causal)
    assert price_of(forward) == heads * count(lambda tally: oracle.forward(replace(head, tally=tally)))
    assert price_of(backward) == heads * count(lambda tally: oracle.backward(replace(head, tally=tally)))


@pytest.mark.parametrize("backend", BACKENDS)
@few
@given(**shapes, causal=st.booleans())
def test_every_backend_costs_the_same(
    backend: str, heads: int, rows: int, columns: int, width: int, causal: bool
) -> None:
    forward, backward = attend(heads, rows, columns, width, masked=False, causal=causal, scaled=True)
    name = OVERLOADS[backend]
    assert price_of(replace(forward, operator=f"{name}.default")) == price_of(forward)
    assert price_of(replace(backward, operator=f"{name}_backward.default")) == price_of(backward)


@few
@given(**shapes)
def test_dropout_costs_three_per_score_and_one_more_backward(
    heads: int, rows: int, columns: int, width: int
) -> None:
    signatures = attend(heads, rows, columns, width, masked=False, causal=False, scaled=True)
    head = oracle.Head(Tally(), rows, columns, width, width, dropped=True)
    for signature, textbook in zip(signatures, (oracle.forward, oracle.backward), strict=True):
        dropped = replace(signature, arguments={**signature.arguments, "dropout_p": ANY})
        expected = heads * count(lambda tally, textbook=textbook: textbook(replace(head, tally=tally)))  # type: ignore[misc]
        assert price_of(dropped) == expected


def test_the_function_costs_what_it_costs_written_out() -> None:
    query, key, value = (torch.randn(2, 3, 4, 5) for _ in range(3))

    def written_out() -> None:
        scores = query @ key.transpose(-2, -1) / 5**0.5
        torch.softmax(scores, -1) @ value

    assert operations(lambda: F.scaled_dot_product_attention(query, key, value)) == operations(written_out)


def test_keys_shared_by_two_heads_are_multiplied_for_each() -> None:
    query, key = torch.randn(1, 4, 3, 5), torch.randn(1, 2, 3, 5)

    def grouped() -> None:
        F.scaled_dot_product_attention(query, key, key, enable_gqa=True)

    def repeated() -> None:
        F.scaled_dot_product_attention(query, key.repeat(1, 2, 1, 1), key.repeat(1, 2, 1, 1))

    assert operations(grouped) == operations(repeated)


@pytest.mark.parametrize(("rows", "columns", "width"), [(0, 2, 4), (2, 0, 4), (2, 2, 0)])
def test_nothing_to_attend_to_costs_nothing(rows: int, columns: int, width: int) -> None:
    query, key = (TensorMeta((1, 1, size, width), (1, 1, 1, 1), 0, "float32") for size in (rows, columns))
    arguments: dict[str, Argument] = {"query": query, "key": key, "value": key, "grad_out": query}
    assert price_of(Signature(CPU, arguments, (query,))) == 0
    assert price_of(Signature(CPU_BACKWARD, arguments, (query, key, key))) == 0


@pytest.mark.parametrize(
    ("width", "options", "fused"),
    [
        (4, {}, True),
        (4, {"is_causal": True}, True),
        (4, {"attn_mask": torch.zeros(3, 3)}, True),
        (4, {"attn_mask": torch.zeros(3, 3, requires_grad=True)}, False),
        (4, {"dropout_p": 0.1}, False),
        (6, {}, False),
    ],
)
def test_which_form_runs_is_as_the_standard_says(width: int, options: dict[str, Any], fused: bool) -> None:
    query, key = torch.rand(1, 2, 3, 4), torch.rand(1, 2, 3, 4)
    calls = record(lambda: F.scaled_dot_product_attention(query, key, torch.rand(1, 2, 3, width), **options))
    assert any(call.operator == CPU for call in calls) == fused


@few
@given(heads=extents, rows=extents, columns=extents, width=extents)
def test_written_out_saves_the_recomputation_of_the_backward(
    heads: int, rows: int, columns: int, width: int
) -> None:
    query = torch.rand(1, heads, rows, width, requires_grad=True)
    key, value = (torch.rand(1, heads, columns, width, requires_grad=True) for _ in range(2))
    fused = F.scaled_dot_product_attention(query, key, value, scale=0.3)
    written = torch.softmax(query @ key.mT * 0.3, -1) @ value

    def backward(out: torch.Tensor) -> int:
        gradient = torch.rand_like(out)
        return operations(lambda: torch.autograd.grad(out, (query, key, value), gradient))

    scores = heads * rows * columns
    recomputed = scores * (2 * width - 1) + scores + 5 * scores - 2 * heads * rows
    assert backward(fused) == backward(written) + recomputed
