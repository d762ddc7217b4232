"""Truth values of numbers, without the comparison with 0."""

from haet_eval.counting.prices.pointwise import real_or_complex
from haet_eval.counting.prices.reductions import TRUTHS, folding
from haet_eval.counting.prices.table import superseded
from haet_eval.counting.signature import Signature


@superseded(1, *TRUTHS)
def _joined(signature: Signature) -> int:
    """|in| − n: one conjunction or disjunction for each value after the first."""
    folds = folding(signature.tensor("self").numel, signature.out.numel)
    return folds * real_or_complex(signature, 1, None)
