import base64
import hashlib
import json
import resource
import shlex
import stat
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import pexpect
import pytest
from click.testing import CliRunner, Result

from haet_eval.cli.main import cli
from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.record import Record
from haet_eval.signing import (
    PAYLOAD_TYPE,
    BadSignature,
    check_key,
    check_signature,
    make_keys,
    sign,
    signature_path,
    signers,
    without_signatures,
)
from haet_eval.store import Store, read_record
from haet_eval.verification import check
from haet_eval.verification.signature import check_signed
from tests.fixtures.records import make_record


@pytest.fixture
def record() -> Record:
    return make_record()


@pytest.fixture
def path(tmp_path: Path, record: Record) -> Path:
    return Store(tmp_path / "results").add(record)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    make_keys(tmp_path / "judge")
    return tmp_path / "judge"


def public(key: Path) -> Path:
    return key.with_name(f"{key.name}.pub")


def test_a_signature_holds_for_its_file_and_key(path: Path, record: Record, key: Path) -> None:
    assert sign(path, key) == signature_path(path) == path.with_suffix(".dsse.json")
    assert signers(path) == [check_signature(path, public(key))]
    assert check_signed(path, public(key)).result is check.Result.HOLDS


def test_the_signature_is_that_of_the_dsse_and_in_toto_standards(
    path: Path, record: Record, key: Path
) -> None:
    """Verified with nothing but ed25519, following the two specifications."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    envelope = json.loads(sign(path, key).read_bytes())
    payload = base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
    verifier = load_pem_public_key(public(key).read_bytes())
    assert isinstance(verifier, Ed25519PublicKey)
    verifier.verify(base64.b64decode(envelope["signatures"][0]["sig"]), signed)
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["predicate"]["result"] == "PASSED"
    assert statement["subject"][0] == {
        "name": path.name,
        "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
    }


def test_the_private_key_is_for_its_owner_only(key: Path) -> None:
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_an_encrypted_key_signs_with_its_passphrase_only(path: Path, record: Record, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    make_keys(secret, "open sesame")
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in secret.read_bytes()
    for wrong in ("open barley", "", None):
        with pytest.raises(UsageProblem, match="not with this passphrase"):
            sign(path, secret, wrong)
    sign(path, secret, "open sesame")
    assert check_signed(path, public(secret)).result is check.Result.HOLDS


def test_the_passphrase_is_taken_from_the_environment_or_asked_for(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    with pytest.raises(UsageProblem, match="no terminal to ask on"):
        CliRunner().invoke(cli, ["sign", "--new-key", str(secret), "--encrypt"], catch_exceptions=False)
    assert not secret.exists()
    monkeypatch.setenv("HAET_KEY_PASSPHRASE", "open sesame")
    assert run("sign", "--new-key", str(secret), "--encrypt").exit_code == 0
    assert run("sign", str(path), "--key", str(secret)).exit_code == 0
    monkeypatch.delenv("HAET_KEY_PASSPHRASE")
    with pytest.raises(UsageProblem, match="no terminal to ask on"):
        CliRunner().invoke(cli, ["sign", str(path), "--key", str(secret)], catch_exceptions=False)


def test_on_a_terminal_the_passphrase_is_asked_for_twice_and_not_shown(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    command = [sys.executable, "-m", "haet_eval.cli.main"]
    making = shlex.join([*command, "sign", "--new-key", str(secret), "--encrypt"])
    child = pexpect.spawn(making, encoding="utf-8")
    for _ in range(2):
        child.expect(": ")
        child.sendline("open sesame")
    child.expect(pexpect.EOF)
    assert "sesame" not in child.before
    sign(path, secret, "open sesame")


def test_a_key_is_never_overwritten(key: Path) -> None:
    before = key.read_bytes(), public(key).read_bytes()
    with pytest.raises(UsageProblem, match="there already"):
        make_keys(key)
    public(key).unlink()
    with pytest.raises(UsageProblem, match="there already"):
        make_keys(key)
    assert key.read_bytes() == before[0]


def test_a_full_disk_leaves_no_part_of_a_key(tmp_path: Path) -> None:
    """Files may have ten bytes here."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(EnvironmentProblem, match="cannot be written: File too large"):
            make_keys(tmp_path / "judge")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    make_keys(tmp_path / "judge")


def test_a_private_key_without_its_public_key_does_not_stay(tmp_path: Path) -> None:
    """The name of the latter is too long."""
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        make_keys(tmp_path / ("k" * 252))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("passphrase", "said"),
    [("x" * 1024, "it has 1,024 bytes"), ("\udcff", "it is not UTF-8")],
    ids=["too long", "not UTF-8"],
)
def test_a_passphrase_that_no_key_can_have_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str, said: str
) -> None:
    make_keys(tmp_path / "judge", "long enough")
    monkeypatch.setenv("HAET_KEY_PASSPHRASE", passphrase)
    for arguments in (["--new-key", tmp_path / "new", "--encrypt"], [path, "--key", tmp_path / "judge"]):
        problem = CliRunner().invoke(cli, ["sign", *map(str, arguments)]).exception
        assert isinstance(problem, UsageProblem)
        assert said in problem.message
    assert not (tmp_path / "new").exists()


def test_a_record_that_is_called_like_a_signature_is_a_record(path: Path, key: Path) -> None:
    """`haet-eval leaderboard` ranks it."""
    sign(path, key)
    record = Store(path.parent).add(make_record(name="second"))
    record = record.rename(record.with_name("second.dsse.json"))
    names = [str(path), str(signature_path(path)), str(record)]
    assert without_signatures(names) == [str(path), str(record)]
    assert record in Store(path.parent).listing().records
    record.write_text('{"record_id": 1, "schema_version": 1}')
    assert without_signatures(names) == [str(path), str(record)]


def test_another_key_has_not_signed(path: Path, record: Record, key: Path, tmp_path: Path) -> None:
    sign(path, key)
    other = make_keys(tmp_path / "other")
    with pytest.raises(BadSignature, match="no valid signature"):
        check_signature(path, other)


def test_two_keys_may_sign(path: Path, record: Record, key: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other")
    sign(path, key)
    sign(path, tmp_path / "other")
    assert {check_signature(path, public(one)) for one in (key, tmp_path / "other")} == set(signers(path))


def test_a_changed_record_is_not_the_signed_one(path: Path, record: Record, key: Path) -> None:
    sign(path, key)
    path.write_bytes(path.read_bytes().replace(b"Lovelace", b"Babbage!"))
    with pytest.raises(BadSignature, match="another file"):
        check_signature(path, public(key))


def test_a_signature_of_another_record_does_not_count(path: Path, record: Record, key: Path) -> None:
    other_record = make_record(name="another")
    other = Store(path.parent).add(other_record)
    sign(other, key).rename(signature_path(path))
    with pytest.raises(BadSignature, match="another file"):
        check_signature(path, public(key))
    with pytest.raises(UsageProblem, match="signs something else"):
        sign(path, key)


def test_a_payload_that_was_changed_is_not_signed(path: Path, record: Record, key: Path) -> None:
    target = sign(path, key)
    envelope = json.loads(target.read_bytes())
    payload = base64.b64decode(envelope["payload"]).replace(b"PASSED", b"FAILED")
    target.write_text(json.dumps(envelope | {"payload": base64.b64encode(payload).decode()}))
    with pytest.raises(BadSignature, match="no valid signature"):
        check_signature(path, public(key))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"payload": 1}', "[" * 100_000], ids=range(5))
def test_a_file_that_is_not_an_envelope_is_a_bad_signature(path: Path, key: Path, text: str) -> None:
    signature_path(path).write_text(text)
    for keys in (public(key), None):
        found = check_signed(path, keys)
        assert found.result is check.Result.DIFFERS
        assert "no DSSE envelope" in found.detail


def test_an_unsigned_record_is_valid_unless_a_key_is_named(path: Path, key: Path) -> None:
    assert check_signed(path, None) == check.stated("signature", "the record is not signed")
    assert check_signed(path, public(key)) == check.differs("signature", "the record is not signed")


def test_a_signed_record_without_a_key_says_so(path: Path, record: Record, key: Path) -> None:
    sign(path, key)
    found = check_signed(path, None)
    assert found.result is check.Result.UNCHECKED
    assert "--key KEY.pub checks it" in found.detail


def test_a_file_that_is_not_a_key_is_reported(path: Path, record: Record, key: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no ed25519 private key"):
        sign(path, public(key))
    sign(path, key)
    with pytest.raises(UsageProblem, match="no ed25519 public key"):
        check_signature(path, key)
    with pytest.raises(UsageProblem, match="cannot be read"):
        check_signature(path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("label", "der"),
    [
        # The object identifier 1.2.3.4 is that of no algorithm.
        ("PUBLIC KEY", bytes.fromhex("300a300506032a0304030100")),
        ("PRIVATE KEY", bytes.fromhex("300c020100300506032a03040400")),
    ],
)
def test_a_key_of_an_unknown_algorithm_is_refused(path: Path, tmp_path: Path, label: str, der: bytes) -> None:
    key = tmp_path / "strange"
    key.write_text(f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n")
    use: Callable[[Path], object] = check_key if label == "PUBLIC KEY" else partial(sign, path)
    with pytest.raises(UsageProblem, match=f"no ed25519 {label.lower()}"):
        use(key)


def test_a_signature_is_not_listed_as_a_record(path: Path, record: Record, key: Path) -> None:
    sign(path, key)
    listing = Store(path.parent).listing()
    assert list(listing.records) == [path]
    assert not listing.problems


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)


def test_the_commands_make_keys_sign_and_verify(path: Path, tmp_path: Path) -> None:
    assert "keep it secret" in run("sign", "--new-key", tmp_path / "mine").output
    assert run("sign", path, "--key", tmp_path / "mine").output.strip().endswith(".dsse.json")
    found = run("verify", path, "--key", tmp_path / "mine.pub", "--data-dir", tmp_path, "--json")
    (document,) = json.loads(found.stdout)
    assert {"subject": "signature", "result": "holds"}.items() <= document["checks"][-1].items()
    both = sorted(path.parent.glob("*.json"))
    assert len(both) == 2
    assert len(json.loads(run("verify", *both, "--data-dir", tmp_path, "--json").stdout)) == 1
    assert run("sign", *both, "--key", tmp_path / "mine").output.count(".dsse.json") == 1
    assert read_record(path).record_id == document["record_id"]


def test_only_signatures_are_nothing_to_verify(path: Path, record: Record, key: Path) -> None:
    with pytest.raises(UsageProblem, match="no records"):
        run("verify", sign(path, key))


def test_a_key_is_made_by_the_former_command_with_a_note(tmp_path: Path) -> None:
    made = run("keygen", tmp_path / "mine")
    assert "keygen is now `haet-eval sign --new-key" in made.stderr
    assert "keep it secret" in made.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--new-key", "mine", "--key", "other"], "signs nothing"),
        (["--encrypt", "--key", "other"], "--encrypt is for a new key"),
        (["--key", "other"], "Name the records"),
        ([], "--new-key makes one"),
    ],
    ids=["both keys", "encrypt alone", "no record", "nothing"],
)
def test_options_of_sign_go_together(options: list[str], said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        CliRunner().invoke(cli, ["sign", *options], catch_exceptions=False, standalone_mode=False)
