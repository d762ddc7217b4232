"""Which gradients a backward operator was asked for."""

from haet_eval.operators.signature import Signature


def output_mask(signature: Signature) -> tuple[bool, ...]:
    """The argument `output_mask`: one flag for each gradient.

    Raises:
        TypeError: the signature has none.
    """
    mask = signature["output_mask"]
    if not isinstance(mask, tuple):
        raise TypeError(f"{signature.operator}: argument 'output_mask' is no list")
    return tuple(bool(flag) for flag in mask)
