"""Recurrent cells, one unit or one step at a time."""

from tests.oracle.counted import Counted, Tally, dot, exp, tanh, total


def sigmoid(x: Counted) -> Counted:
    return 1 / (exp(-x) + 1)


def gate(tally: Tally, biases: int) -> Counted:
    """Input and hidden part, and the biases."""
    return total([tally.scalar() for _ in range(2 + biases)])


def lstm_unit(tally: Tally, biases: int) -> None:
    lstm_from_gates([gate(tally, biases) for _ in range(4)])


def lstm_from_gates(gates: list[Counted]) -> None:
    tally = gates[0].tally
    i, f, o = (sigmoid(x) for x in gates[:3])
    cell = f * tally.scalar() + i * tanh(gates[3])
    o * tanh(cell)


def lstm_unit_backward(tally: Tally, *, output: bool, cell: bool) -> None:
    """From the gates' values; gradients of the output, of the cell, or of both."""
    i, f, o, g = tally.tensor([4])
    activated = tanh(tally.scalar())
    of_output = tally.scalar()
    of_cell = of_output * o * (1 - activated * activated)
    if output and cell:
        of_cell = of_cell + tally.scalar()
    for value, gradient in ((i, of_cell * g), (f, of_cell * tally.scalar()), (o, of_output * activated)):
        gradient * value * (1 - value)
    of_cell * i * (1 - g * g)
    of_cell * f


def gru_unit(tally: Tally, biases: int) -> None:
    r, z = sigmoid(gate(tally, biases)), sigmoid(gate(tally, biases))
    sides = tally.tensor([2])
    for side in range(biases):
        sides[side] = sides[side] + tally.scalar()
    n = tanh(sides[0] + r * sides[1])
    (1 - z) * n + z * tally.scalar()


def gru_unit_backward(tally: Tally) -> None:
    """From the gates' values: gradients of the gates, of the hidden part of n, of the state."""
    r, z, n, state, hidden, gradient = tally.tensor([6])
    rest = 1 - z
    of_n = gradient * rest * (1 - n * n)
    gradient * (state - n) * z * rest
    of_n * hidden * r * (1 - r)
    of_n * r
    gradient * z


def lstm_layer(tally: Tally, steps: int, inputs: int, hidden: int, biases: int) -> None:
    for _ in range(steps):
        x, h = tally.tensor([inputs]), tally.tensor([hidden])
        for _ in range(hidden):
            lstm_from_gates([_linear(tally, x, biases > 0) + _linear(tally, h, biases > 1) for _ in range(4)])


def lstm_layer_backward(tally: Tally, steps: int, inputs: int, hidden: int, biases: int) -> None:
    gates = tally.tensor([4 * hidden, steps])
    for _ in range(steps):
        for _ in range(hidden):
            tally.scalar() + tally.scalar()
            lstm_unit_backward(tally, output=True, cell=True)
        for _ in range(inputs + hidden):
            dot(tally.tensor([4 * hidden]), tally.tensor([4 * hidden]))
    for gate_gradients in gates:
        for _ in range(inputs + hidden):
            dot(gate_gradients, tally.tensor([steps]))
        if biases:
            total(gate_gradients)


def _linear(tally: Tally, x: list[Counted], biased: bool) -> Counted:
    product = dot(x, tally.tensor([len(x)]))
    return product + tally.scalar() if biased else product
