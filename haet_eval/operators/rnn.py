"""Recurrent cells and layers. H hidden units, B rows; σ is 4 operations, tanh 1.

The plain cells are decomposed by torch itself; these are the fused ones.
"""

from haet_eval.operators.signature import Signature
from haet_eval.operators.table import NoPrice

LSTM_CELL = 3 * 4 + 1 + 3 + 2
"""σ of three gates, tanh of one; c' = f·c + i·g; h' = o·tanh(c')."""

LSTM_CELL_BACKWARD = 1 + 1 + 4 + 4 + 9 + 3
"""tanh(c'); do; dc from dh (o, 1 − tanh², product: 4); di, df, dg, dc; σ' of three gates, tanh' of one."""

GRU_CELL = 2 * 4 + 2 + 1 + 4
"""σ of two gates; n + r·h before the tanh; (1 − z)·n + z·h."""

GRU_CELL_BACKWARD = 2 + 3 + 2 + 2 + 1 + 3 + 1 + 1
"""dn = dh·(1 − z); tanh'; dz = dh·(h − n); its σ', which reuses 1 − z; dr; σ'; d(r·h); dh·z."""


def lstm_cell(s: Signature) -> int:
    """Sum of the gates and of their biases, then 18 per unit."""
    cell = s.tensor("cx").numel
    return cell * (4 * _summands(s) + LSTM_CELL)


def gru_cell(s: Signature) -> int:
    """Sum of two gates, biases of three on each side, then 15 per unit."""
    biases = 3 * (_summands(s) - 1)
    return s.tensor("hx").numel * (2 + biases + GRU_CELL)


def _summands(s: Signature) -> int:
    """Additions per gate: input and hidden part, and each bias that is given."""
    return 1 + sum(s[name] is not None for name in ("input_bias", "hidden_bias"))


def lstm_cell_backward(s: Signature) -> int:
    """22 per unit, one more if both the output and the cell have a gradient; biases sum over rows."""
    cell = s.tensor("cx")
    both = s["grad_hy"] is not None and s["grad_cy"] is not None
    return cell.numel * (LSTM_CELL_BACKWARD + both) + _bias_gradient(s, cell.numel, cell.shape[-1], 4)


def gru_cell_backward(s: Signature) -> int:
    """15 per unit; biases sum over rows, those of input and of hidden parts apart."""
    gradient = s.tensor("grad_hy")
    return gradient.numel * GRU_CELL_BACKWARD + _bias_gradient(s, gradient.numel, gradient.shape[-1], 6)


def _bias_gradient(s: Signature, elements: int, width: int, gates: int) -> int:
    return gates * max(elements - width, 0) if s["has_bias"] else 0


_LSTM_MODE = 2


def lstm_layer(s: Signature) -> int:
    """Per step: two linear maps to the gates with their biases, the sum of both, the cell."""
    _only_lstm(s)
    steps, inputs, hidden = _layer(s)
    biases = 2 if s["has_biases"] else 0
    gates = 4 * hidden * (2 * inputs - 1 + 2 * hidden - 1 + biases + 1)
    return steps * (gates + hidden * LSTM_CELL)


def lstm_layer_backward(s: Signature) -> int:
    """Per step: its two gradients joined, the cell backward, the gradients of both linear maps.

    Gradients of the weights, and of the biases (alike on both sides), sum over all steps.
    """
    _only_lstm(s)
    steps, inputs, hidden = _layer(s)
    weights, biases = 4 * hidden * (inputs + hidden), 4 * hidden if s["has_biases"] else 0
    cell = hidden * (LSTM_CELL_BACKWARD + 2)
    into_states = (inputs + hidden) * (8 * hidden - 1)
    return steps * (cell + into_states) + (2 * steps - 1) * weights + (steps - 1) * biases


def _only_lstm(s: Signature) -> None:
    # oneDNN's layer runs other cells under the same name, and their price is another.
    if s["mode"] != _LSTM_MODE:
        raise NoPrice(s.operator)


def _layer(s: Signature) -> tuple[int, int, int]:
    """Rows times steps, input width, hidden width."""
    values = s.tensor("input")
    (hidden,) = s.integers("hidden_size")
    return values.numel // max(values.shape[-1], 1), values.shape[-1], hidden
