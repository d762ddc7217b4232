"""Checks of sizes that several families share."""

from haet_eval.operators.checking.call import MAX_ELEMENTS, Call
from haet_eval.operators.checking.shapes import fits


def of_size(call: Call) -> None:
    fits(call, call.integers("size"))


def of_sides(call: Call) -> None:
    sides = [call.integer(name) for name in ("n", "m", "row", "col") if name in call.arguments]
    if call.operator.name == "aten.eye.default":
        # Without `m` the matrix is square.
        sides *= 2
    fits(call, sides)
    if "offset" in call.arguments:
        call.require(abs(call.integer("offset")) <= MAX_ELEMENTS, "the offset is out of range")


def steps(call: Call) -> None:
    fits(call, (call.integer("steps"),))


def counted(call: Call) -> None:
    for name in ("num_samples", "size", "minlength", "bins"):
        if name in call.arguments:
            fits(call, (call.integer(name),))


def of_length(call: Call) -> None:
    name = "n" if "n" in call.arguments else "window_length"
    fits(call, (call.integer(name),))
