"""Whole transformer layers that torch runs as one operator where it asks for no gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.oracle.recording import operations, record
from tests.unit.prices.shapes import extents, few


@few
@given(batch=extents, rows=extents, heads=st.integers(1, 2), width=extents)
def test_attention_costs_its_parts(batch: int, rows: int, heads: int, width: int) -> None:
    layer = nn.MultiheadAttention(2 * heads * width, 2 * heads, batch_first=True)
    values = torch.rand(batch, rows, 2 * heads * width)

    def attend() -> None:
        layer(values, values, values, need_weights=False)

    parts = operations(attend)
    layer.eval()
    with torch.no_grad():
        assert "aten._native_multi_head_attention.default" in {s.operator for s in record(attend)}
        assert operations(attend) == parts


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@few
@given(batch=extents, rows=extents, width=extents, hidden=extents)
def test_an_encoder_layer_costs_its_parts(
    activation: str, batch: int, rows: int, width: int, hidden: int
) -> None:
    layer = nn.TransformerEncoderLayer(2 * width, 2, 2 * hidden, 0.0, activation, batch_first=True)
    values = torch.rand(batch, rows, 2 * width)
    parts = operations(lambda: layer(values))
    layer.eval()
    with torch.no_grad():
        assert [s.operator for s in record(lambda: layer(values))] == [
            "aten._transformer_encoder_layer_fwd.default"
        ]
        assert operations(lambda: layer(values)) == parts
