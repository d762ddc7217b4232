"""A rerun is compared with the record in all that it made again, its audits too."""

from pathlib import Path
from typing import Any

import pytest

from haet_eval.evaluation.repetition import as_run
from haet_eval.record import Audit, Content, DatasetInfo, Record, seal
from haet_eval.store import Store
from haet_eval.verification.rerunning import compare
from tests.fixtures.records import artifact, digest, make_record


def audit(**changes: Any) -> Audit:
    dataset = DatasetInfo(name="cifar10", digest=digest("another split"), official=False)
    parts: dict[str, Any] = {"kind": "resplit", "split_seed": 1, "dataset": dataset, "flags": ()}
    shares = dict.fromkeys(("former_test", "former_train", "gap", "drop"))
    return Audit(**parts | shares | {"run": as_run(make_record())} | changes)


def with_audit(made: Audit | None) -> Record:
    record = make_record()
    return seal(Content(**{name: getattr(record, name) for name in Content.model_fields} | {"audit": made}))


def not_held(stated: Record, found: Record, folder: Path) -> dict[str, str]:
    store = Store(folder)
    for content in (b"model", b"other model"):
        store.put_artifact(content, "safetensors")
    checks = compare(stated, store, found, store)
    return {one.subject: one.result for one in checks if one.result != "holds"}


def test_an_equal_audit_holds(tmp_path: Path) -> None:
    record = with_audit(audit())
    assert not not_held(record, record, tmp_path)


RUN = as_run(make_record())
assert RUN.training is not None
assert RUN.evaluation is not None
OTHER_MODEL = RUN.training.model_copy(update={"model": artifact("other model")})
OTHER_LABELS = RUN.evaluation.model_copy(update={"predictions": artifact("other labels")})


@pytest.mark.parametrize(
    ("found", "subject"),
    [
        (audit(flags=("gap",)), "audit: flags"),
        (audit(run=RUN.model_copy(update={"training": OTHER_MODEL})), "audit: weights again"),
        (audit(run=RUN.model_copy(update={"evaluation": OTHER_LABELS})), "audit: accuracy"),
    ],
    ids=["flags", "weights", "predictions"],
)
def test_another_audit_differs(found: Audit, subject: str, tmp_path: Path) -> None:
    assert not_held(with_audit(audit()), with_audit(found), tmp_path) == {subject: "differs"}


def test_an_audit_that_was_not_made_again_is_not_checked(tmp_path: Path) -> None:
    assert not_held(with_audit(audit()), with_audit(None), tmp_path) == {"audit": "not checked"}


def test_weights_of_a_rerun_that_are_gone_do_not_contradict_the_record(tmp_path: Path) -> None:
    stated, found = with_audit(None), make_record()
    assert found.training is not None
    other = seal(
        Content(
            **{name: getattr(found, name) for name in Content.model_fields}
            | {"training": found.training.model_copy(update={"model": artifact("lost")})}
        )
    )
    assert not_held(stated, other, tmp_path) == {"weights again": "not checked"}
