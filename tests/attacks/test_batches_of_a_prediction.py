"""A prediction may read back some bytes of each batch, so `verify` checks the size of the batches.

Before, an evaluator that handed over one image at a time wrote a record of an entry that read every test
image whole, and `verify --replay --strict` confirmed it: nothing compared batches with the rules.
"""

from pathlib import Path
from typing import Any

import pytest

from haet_eval.remote.recount import recount
from haet_eval.remote.relay import Relay
from haet_eval.store import Store
from haet_eval.verification.check import Check, Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.verify import verify
from tests.attacks.evaluating import Attack, evaluate_attack


def _prediction(attack: Attack) -> Check:
    rules = str(attack.results.parent / "competition.toml")
    sources = Sources(Store(attack.results), attack.results, rules)
    return {check.subject: check for check in verify(attack.path, sources)[0].checks}["prediction"]


def test_the_batches_of_the_rules_hold(honest: Attack) -> None:
    assert recount(honest.trace_path).batches == (200, 200, 45)
    assert _prediction(honest).result is Result.HOLDS


@pytest.mark.parametrize("size", [1, 201])
def test_a_record_with_other_batches_is_contradicted(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict: Any = Relay.predict

    def in_other_batches(relay: Relay, images: Any, classes: int, _: int) -> Any:
        return predict(relay, images, classes, size)

    monkeypatch.setattr(Relay, "predict", in_other_batches)
    forged = evaluate_attack("honest_training", tmp_path)

    assert forged.record.evaluation is not None
    assert forged.record.evaluation.total == 445
    assert _prediction(forged).result is Result.DIFFERS
