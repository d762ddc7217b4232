"""Fused recurrent cells and layers."""

import pytest
import torch
from hypothesis import given

from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from tests.oracle import rnn as oracle
from tests.oracle.counted import count
from tests.oracle.recording import record
from tests.unit.prices.shapes import extents, few


def meta(*shape: int) -> TensorMeta:
    return TensorMeta(shape, torch.empty(shape).stride(), 0, "float32")


def cell(operator: str, rows: int, hidden: int, biases: int, state: str) -> int | None:
    """The price of a fused CUDA cell, which needs no GPU to be known."""
    bias = meta(4 * hidden) if biases else None
    arguments = {"input_bias": bias, "hidden_bias": bias, state: meta(rows, hidden)}
    return price_of(Signature(operator, arguments, (meta(rows, hidden),)))


@pytest.mark.parametrize("biases", [0, 2])
@few
@given(rows=extents, hidden=extents)
def test_fused_cells(biases: int, rows: int, hidden: int) -> None:
    lstm = count(lambda tally: oracle.lstm_unit(tally, biases))
    assert cell("aten._thnn_fused_lstm_cell.default", rows, hidden, biases, "cx") == rows * hidden * lstm
    gru = count(lambda tally: oracle.gru_unit(tally, biases))
    assert cell("aten._thnn_fused_gru_cell.default", rows, hidden, biases, "hx") == rows * hidden * gru


@pytest.mark.parametrize(("output", "state"), [(True, True), (True, False), (False, True)])
@few
@given(rows=extents, hidden=extents)
def test_the_backward_of_a_fused_lstm_cell(output: bool, state: bool, rows: int, hidden: int) -> None:
    size = meta(rows, hidden)
    arguments: dict[str, Argument] = {
        "grad_hy": size if output else None,
        "grad_cy": size if state else None,
        "cx": size,
        "cy": size,
        "has_bias": True,
    }
    found = price_of(Signature("aten._thnn_fused_lstm_cell_backward_impl.default", arguments, (size,)))
    unit = count(lambda tally: oracle.lstm_unit_backward(tally, output=output, cell=state))
    assert found == rows * hidden * unit + 4 * hidden * (rows - 1)


@few
@given(rows=extents, hidden=extents)
def test_the_backward_of_a_fused_gru_cell(rows: int, hidden: int) -> None:
    size = meta(rows, hidden)
    arguments: dict[str, Argument] = {"grad_hy": size, "has_bias": False}
    found = price_of(Signature("aten._thnn_fused_gru_cell_backward.default", arguments, (size,)))
    assert found == rows * hidden * count(oracle.gru_unit_backward)


@pytest.mark.parametrize("biases", [0, 2])
@few
@given(steps=extents, rows=extents, inputs=extents, hidden=extents)
def test_a_layer_is_its_steps(biases: int, steps: int, rows: int, inputs: int, hidden: int) -> None:
    layer = torch.nn.LSTM(inputs, hidden, bias=biases > 0)
    size = steps * rows, inputs, hidden, biases

    def train() -> None:
        layer(torch.rand(steps, rows, inputs))[0].sum().backward()

    fused = [signature for signature in record(train) if "rnn_layer" in signature.operator]
    forward = count(lambda tally: oracle.lstm_layer(tally, *size))
    backward = count(lambda tally: oracle.lstm_layer_backward(tally, *size))
    assert [price_of(signature) for signature in fused] == [forward, backward]
