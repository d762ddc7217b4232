"""Numbers on the command line, whose limits messages and help pages put into words."""

from typing import Any

import click

from haet_eval.spelling import quoted


def _described(numbers: "click.IntRange | click.FloatRange") -> str:
    """The allowed numbers, such as `1 to 100`, `1 or more` or `more than 0`."""
    if numbers.min is None:
        return "any" if numbers.max is None else f"{numbers.max} or less"
    if numbers.max is not None:
        return f"{numbers.min} to {numbers.max}"
    return f"more than {numbers.min}" if numbers.min_open else f"{numbers.min} or more"


def _check(numbers: "click.IntRange | click.FloatRange", value: float, *place: Any) -> None:
    too_low = numbers.min is not None and (value < numbers.min or (numbers.min_open and value == numbers.min))
    if too_low or (numbers.max is not None and value > numbers.max):
        numbers.fail(f"{value} is not allowed; the value must be {_described(numbers)}.", *place)


class WholeNumber(click.IntRange):
    """A whole number from `min` to `max`, both included."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(
                f"{quoted(str(value))} is not a whole number; the value must be {_described(self)}.",
                param,
                ctx,
            )
        _check(self, number, param, ctx)
        return number

    # click calls this for help pages; its own text is `x>=0`.
    def _describe_range(self) -> str:
        return _described(self)


class Number(click.FloatRange):
    """A finite number in a range."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        # Written so that NaN fails too: no comparison with NaN is true. click's FloatRange lets NaN pass.
        if not abs(number) < float("inf"):
            self.fail(
                f"{quoted(str(value))} is not a number; the value must be {_described(self)}.", param, ctx
            )
        _check(self, number, param, ctx)
        return number

    def _describe_range(self) -> str:
        return _described(self)
