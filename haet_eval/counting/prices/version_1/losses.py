"""The backward of the squared error, as if every incoming gradient were one number unless it is asked for."""

from haet_eval.counting.prices.losses import incoming_operations
from haet_eval.counting.prices.table import overloads, superseded
from haet_eval.counting.signature import Signature


@superseded(1, *overloads("mse_loss_backward", ".default .grad_input"))
def _mse_backward(signature: Signature) -> int:
    """2n + 1: (x − y) · 2g, with 2g/n formed once; 3n without a reduction."""
    elements = signature.out.numel
    return 3 * elements if signature["reduction"] == 0 else 2 * elements + 1 + incoming_operations(signature)
