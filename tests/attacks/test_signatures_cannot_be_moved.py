"""A contestant wants the judge's signature on a record that the judge never signed.

The contestant chooses every byte of a submission, so the judge can be brought to write its digest into
statements; and the judge's key may sign other things than records, with other tools. The rules that these
attempts break are those of DSSE (https://github.com/secure-systems-lab/dsse) and of in-toto's statements
(https://github.com/in-toto/attestation).
"""

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from haet_eval.errors import UsageProblem, Verdict
from haet_eval.record import Record, from_json, to_json
from haet_eval.signing import (
    PAYLOAD_TYPE,
    BadSignature,
    check_signature,
    make_keys,
    sign,
    signature_path,
    signers,
    statement,
)
from haet_eval.store import Store
from haet_eval.verification.check import Result
from haet_eval.verification.signature import check_signed
from tests.fixtures.records import make_record

Document = dict[str, Any]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_keys(tmp_path / "judge")
    return tmp_path / "judge"


@pytest.fixture
def forged(tmp_path: Path) -> Path:
    """The record that the contestant would like to be signed."""
    return Store(tmp_path / "forged").add(make_record(name="forged", correct=9999))


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def honest_statement(path: Path) -> Document:
    content = path.read_bytes()
    document: Document = json.loads(statement(from_json(content), content))
    return document


def envelope(payload: bytes, key: Path, payload_type: str = PAYLOAD_TYPE) -> Document:
    """What the judge's key signs, as DSSE has it, made without the code under test."""
    private = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    signed = b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": key_id(key), "sig": base64.b64encode(private.sign(signed)).decode()}],
    }


def key_id(key: Path) -> str:
    """The id that the judge's own signatures have."""
    other = Store(key.parent / f"of {key.name}").add(make_record(name="any"))
    sign(other, key)
    (found,) = signers(other)
    return found


def compact(document: Document) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def place(path: Path, document: Document) -> None:
    signature_path(path).write_text(json.dumps(document))


def refuse(path: Path, key: Path) -> None:
    with pytest.raises(BadSignature):
        check_signature(path, public(key))
    assert check_signed(path, public(key)).result is Result.DIFFERS


def test_the_envelope_that_these_attempts_start_from_is_accepted(forged: Path, key: Path) -> None:
    place(forged, envelope(compact(honest_statement(forged)), key))
    assert check_signature(forged, public(key)) == key_id(key)


def test_the_refusal_of_a_forged_record_that_was_handed_in_does_not_sign_it(
    tmp_path: Path, forged: Path, key: Path
) -> None:
    """`cp forged.json entry.zip`: the submission's digest is the forgery's."""
    refusal = make_record(verdict=Verdict.INVALID_SUBMISSION, reason="It is not a zip file.")
    submission = refusal.submission.model_copy(update={"sha256": sha256(forged)})
    path = Store(tmp_path / "results").add(resealed(refusal, submission=submission))
    sign(path, key).rename(signature_path(forged))
    refuse(forged, key)
    document = json.loads(base64.b64decode(json.loads(signature_path(forged).read_text())["payload"]))
    assert [one["digest"]["sha256"] for one in document["subject"]] == [sha256(path)]


def test_neither_does_a_data_set_or_a_competition_of_that_digest(
    tmp_path: Path, forged: Path, key: Path
) -> None:
    record = make_record()
    assert record.competition is not None
    assert record.dataset is not None
    for changes in (
        {"competition": record.competition.model_copy(update={"digest": sha256(forged)})},
        {"dataset": record.dataset.model_copy(update={"digest": sha256(forged)})},
    ):
        path = Store(tmp_path / "results").add(resealed(record, **changes))
        sign(path, key).replace(signature_path(forged))
        refuse(forged, key)


def resealed(record: Record, **changes: Any) -> Record:
    from haet_eval.record import Content, seal

    facts = {name: getattr(record, name) for name in Content.model_fields}
    return seal(Content(**facts | changes))


def changed(change: Callable[[Document], object]) -> Callable[[Document], bytes]:
    def make(document: Document) -> bytes:
        other = copy.deepcopy(document)
        change(other)
        return compact(other)

    return make


def first_of_two_keys(document: Document) -> bytes:
    """A reader that takes the last of two equal names reads the honest statement."""
    return b'{"predicateType":"https://slsa.dev/provenance/v1",' + compact(document)[1:]


OTHER_STATEMENTS: dict[str, Callable[[Document], bytes]] = {
    "about another record as well": changed(
        lambda it: it["subject"].append({"name": "other", "digest": {"sha256": "0" * 64}})
    ),
    "about the record in the second place": changed(
        lambda it: it["subject"].insert(0, {"name": "other", "digest": {"sha256": "0" * 64}})
    ),
    "about a file of the same name": changed(lambda it: it["subject"][0]["digest"].update(sha256="0" * 64)),
    "with the digest under another algorithm": changed(
        lambda it: it["subject"][0].update(digest={"sha512": it["subject"][0]["digest"]["sha256"]})
    ),
    "of another predicate: it was uploaded": changed(
        lambda it: it.update(predicateType="https://slsa.dev/provenance/v1")
    ),
    "of an older version of the statement": changed(
        lambda it: it.update(_type="https://in-toto.io/Statement/v0.1")
    ),
    "that it failed": changed(lambda it: it["predicate"].update(result="FAILED")),
    "under other rules": changed(
        lambda it: it["predicate"]["configuration"][1]["digest"].update(sha256="0" * 64)
    ),
    "of no rules and no data": changed(lambda it: it["predicate"].update(configuration=[])),
    "with a name twice": first_of_two_keys,
    "with a further word": changed(lambda it: it["predicate"].update(url="https://example.org/withdrawn")),
    "of nothing": lambda _: b"{}",
    "that is no JSON": lambda document: compact(document)[:-1],
}


@pytest.mark.parametrize("make", OTHER_STATEMENTS.values(), ids=OTHER_STATEMENTS)
def test_the_key_has_signed_a_statement(forged: Path, key: Path, make: Callable[[Document], bytes]) -> None:
    place(forged, envelope(make(honest_statement(forged)), key))
    refuse(forged, key)
    found = check_signed(forged, None)
    assert found.result is Result.DIFFERS, "without the key the statement can be compared all the same"


@pytest.mark.parametrize("payload_type", ["application/json", "", "application/vnd.in-toto+json; v=2"])
def test_the_key_has_signed_the_same_bytes_as_something_else(
    forged: Path, key: Path, payload_type: str
) -> None:
    """DSSE signs the type with the payload: bytes that mean one thing here may mean another there."""
    document = envelope(compact(honest_statement(forged)), key, payload_type)
    place(forged, document)
    refuse(forged, key)
    place(forged, document | {"payloadType": PAYLOAD_TYPE})
    refuse(forged, key)


def test_the_key_has_signed_the_record_itself_and_no_statement(forged: Path, key: Path) -> None:
    place(forged, envelope(forged.read_bytes(), key))
    refuse(forged, key)


def test_lengths_of_type_and_payload_cannot_be_shifted(forged: Path, key: Path) -> None:
    """The signed bytes name both lengths: to move bytes from the type to the payload breaks the signature."""
    payload = compact(honest_statement(forged))
    document = envelope(b"x " + payload, key, PAYLOAD_TYPE)
    shifted = document | {
        "payloadType": f"{PAYLOAD_TYPE} {len(payload) + 2} x",
        "payload": base64.b64encode(payload).decode(),
    }
    place(forged, shifted)
    refuse(forged, key)


def test_a_signature_under_the_id_of_the_judge_is_not_the_judges(
    tmp_path: Path, forged: Path, key: Path
) -> None:
    make_keys(tmp_path / "mine")
    document = envelope(compact(honest_statement(forged)), tmp_path / "mine")
    document["signatures"][0]["keyid"] = key_id(key)
    place(forged, document)
    refuse(forged, key)


def test_two_signatures_under_one_id_are_refused(tmp_path: Path, forged: Path, key: Path) -> None:
    """Two readers could take different ones."""
    make_keys(tmp_path / "mine")
    payload = compact(honest_statement(forged))
    document, mine = envelope(payload, key), envelope(payload, tmp_path / "mine")
    mine["signatures"][0]["keyid"] = document["signatures"][0]["keyid"]
    place(forged, document | {"signatures": document["signatures"] + mine["signatures"]})
    refuse(forged, key)


def test_the_judges_signature_of_another_statement_does_not_cover_a_second_one(
    tmp_path: Path, forged: Path, key: Path
) -> None:
    make_keys(tmp_path / "mine")
    honest = Store(tmp_path / "results").add(make_record())
    sign(honest, key)
    document = envelope(compact(honest_statement(forged)), tmp_path / "mine")
    document["signatures"] += json.loads(signature_path(honest).read_text())["signatures"]
    place(forged, document)
    refuse(forged, key)


def test_the_judge_does_not_add_a_signature_to_a_statement_that_was_put_there(
    forged: Path, key: Path
) -> None:
    statement_of_two = changed(
        lambda it: it["subject"].append({"name": "other", "digest": {"sha256": "0" * 64}})
    )
    place(forged, envelope(statement_of_two(honest_statement(forged)), key))
    with pytest.raises(UsageProblem, match="signs something else"):
        sign(forged, key)


def test_the_judge_does_not_sign_under_a_type_that_was_put_there(forged: Path, key: Path) -> None:
    unsigned = {"signatures": [], "payloadType": "application/vnd.of-the-contestant+json"}
    place(forged, envelope(compact(honest_statement(forged)), key) | unsigned)
    with pytest.raises(UsageProblem, match="signs something else"):
        sign(forged, key)


def test_a_record_that_two_readers_would_read_differently_is_not_signed(forged: Path, key: Path) -> None:
    text = forged.read_text()
    forged.write_text(text.replace('"accuracy": 0.9999', '"accuracy": 1.0, "accuracy": 0.9999'))
    assert from_json(forged.read_bytes()).evaluation is not None, "the last one counts, and the digest holds"
    with pytest.raises(UsageProblem, match="'accuracy' stands twice"):
        sign(forged, key)


def test_a_rank_that_was_changed_after_the_signature_is_found(forged: Path, key: Path) -> None:
    """The rank is outside the record's digest; the signature is of the file."""
    from haet_eval.record import Rank

    sign(forged, key)
    first = Rank(position=1, of=99, task="cifar10", official=True)
    forged.write_text(to_json(from_json(forged.read_bytes()).model_copy(update={"rank": first})))
    refuse(forged, key)


@pytest.mark.parametrize(
    "change",
    [
        {"payloadType": 5},
        {"payload": None},
        {"payload": "????"},
        {"signatures": {}},
        {"signatures": [{"keyid": 5, "sig": "AA=="}]},
        {"signatures": [{"keyid": "a", "sig": 5}]},
        {"signatures": [{"sig": "AA=="}]},
        {"signatures": ["sig"]},
        {"signatures": []},
    ],
    ids=str,
)
def test_what_is_nearly_an_envelope_is_refused_and_breaks_nothing(
    forged: Path, key: Path, change: Document
) -> None:
    place(forged, envelope(compact(honest_statement(forged)), key) | change)
    refuse(forged, key)
