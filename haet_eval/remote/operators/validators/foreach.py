"""Operators on lists of tensors: all lists are as long as the first."""

from haet_eval.remote.operators.call import Call


def lists_match(call: Call) -> None:
    """The check of every operator whose name begins with `_foreach_`."""
    parameters = [parameter.name for parameter in call.operator.parameters if parameter.is_list]
    lengths = {len(value) for name in parameters if isinstance(value := call[name], tuple)}
    call.require(len(lengths) == 1 and lengths != {0}, "its lists must be of one length, and not empty")
