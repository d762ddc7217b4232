"""Signatures of records: ed25519, in a DSSE envelope around an in-toto statement, next to the record.

The statement is a test result (`https://in-toto.io/attestation/test-result/v0.1`). Its one subject is the
record's file; its configuration is the submission, the competition and the data set, by their digests. The
submission is not a subject: for in-toto a statement is about each of its subjects. A contestant chooses the
bytes of the submission, and could choose those of a forged record, which would then count as signed.

A statement follows completely from the record's file. A check makes it again and compares it as a whole, so
that no other statement that the key has signed can stand for the record.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from haet_eval.atomic import Draft
from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict, output_not_writable
from haet_eval.files import exists, read_file
from haet_eval.listing import claims_to_be_a_record
from haet_eval.record import MAX_RECORD_BYTES, Record
from haet_eval.results_folder import SIGNATURE
from haet_eval.store import file_name, read_sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from securesystemslib.dsse import Envelope

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"


_MAX_ENVELOPE_BYTES: Final = 1024 * 1024
_MAX_KEY_BYTES: Final = 64 * 1024
_MAX_PASSPHRASE_BYTES: Final = 1023
"""The limit of OpenSSL."""


class BadSignature(Exception):
    """The signature next to a record does not stand for it."""


def signature_path(record: Path) -> Path:
    """The path of a record's signature."""
    return record.with_suffix(SIGNATURE)


def without_signatures(names: Iterable[str]) -> list[str]:
    """Names of records, as of `results/*.json`, without those of signatures.

    Raises:
        UsageProblem: all names are those of signatures.
    """
    left = [name for name in names if not _is_signature(name)]
    if not left:
        raise UsageProblem(
            "these are signatures, and no records",
            "Name the records that they lie beside.",
            code="record-needed",
        )
    return left


def _is_signature(name: str) -> bool:
    """By its name, unless it holds a record: a user may give that any name."""
    if not name.endswith(SIGNATURE):
        return False
    try:
        # A record that is called like a signature must not be left out of a verification by its name.
        return not claims_to_be_a_record(read_file(Path(name), MAX_RECORD_BYTES))
    except OSError:
        return True


def make_keys(path: Path, passphrase: str | None = None) -> Path:
    """Write a new private key, readable by its owner only, and the public key next to it. Returns the latter.

    Args:
        path: the file of the private key.
        passphrase: encrypts the key; without one (None) it is not encrypted.

    Raises:
        UsageProblem: the file exists already, or no key can have this passphrase.
        EnvironmentProblem: the keys cannot be written.
    """
    _need_libraries()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    # Both names are looked at first: a key without its other half would be in the way of the next try.
    public_path = path.with_name(f"{path.name}.pub")
    for taken in filter(exists, (path, public_path)):
        raise UsageProblem(
            f"{taken} is there already", "Name a file that does not exist yet.", code="output-exists"
        )
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(_as_bytes(passphrase)),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # The rights are given when the file is made. A later chmod would leave a moment in which others can read
    # the key.
    _write_new(path, private, 0o600)
    try:
        _write_new(public_path, public, 0o644)
    except BaseException:
        # A private key without its public key would refuse the next `--new-key` of that name.
        path.unlink(missing_ok=True)
        raise
    return public_path


def is_encrypted(key_path: Path) -> bool:
    """Whether a private key needs a passphrase.

    Raises:
        UsageProblem: the key cannot be read.
    """
    _need_libraries()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        # The library has no other way to ask. A file that is no key at all gets its message when it is used.
        load_pem_private_key(_read_key(key_path), None)
    except TypeError:  # the library raises this if a password is missing
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return False


def sign(path: Path, key_path: Path, passphrase: str | None = None) -> Path:
    """Sign a sound record, with the signatures that it has already; returns the signature's file.

    Args:
        path: the record's file.
        key_path: the private key.
        passphrase: that of the key, if it is encrypted.

    Raises:
        UsageProblem: the record or the key cannot be read, there is a signature of something else, or the
            evaluation was interrupted.
        EnvironmentProblem: the signature cannot be written.
    """
    _need_libraries()
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    # A damaged record is not signed: the signature would stand for something that no check accepts.
    record, content = read_sealed(path)
    # A statement has a result, passed or failed, and an interrupted evaluation has neither (decision 0082).
    if record.status.verdict is Verdict.INTERRUPTED:
        raise UsageProblem(
            f"{path} is of an interrupted evaluation: nothing was judged",
            "Evaluate it again.",
            code="record-interrupted",
        )
    target = signature_path(path)
    payload = statement(record, content)
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    # Several keys may sign a record. Signatures of another statement are not kept beside the new one.
    if exists(target):
        envelope = _read_or_refuse(target, payload)
    envelope.sign(CryptoSigner(_private_key(key_path, passphrase)))
    try:
        with Draft(target.parent) as draft:
            draft.write(json.dumps(envelope.to_dict(), indent=2).encode() + b"\n")
            draft.replace(target)
    except OSError as error:
        raise output_not_writable(target, error) from None
    return target


def check_key(key_path: Path) -> None:
    """Check that a file holds a public key.

    Raises:
        UsageProblem: the file cannot be read, or holds something else.
    """
    _need_libraries()
    _public_key(key_path)


def check_signature(path: Path, key_path: Path) -> str:
    """The id of the public key, if it has signed this very file.

    The signature is checked first and its payload looked at afterwards, as DSSE asks; then the payload must
    be what `sign` would write today, to the byte.

    Raises:
        BadSignature: the key has not signed this file.
        UsageProblem: the key cannot be read.
    """
    _need_libraries()
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    key = SSlibKey.from_crypto(_public_key(key_path))
    envelope = _read_envelope(signature_path(path))
    try:
        # Only the given key counts. The key ids in the envelope are claims that anyone can write.
        envelope.verify([key], 1)
    except VerificationError:
        raise BadSignature(f"it has no valid signature of {key_path}") from None
    # After the signature, so that no unsigned payload is interpreted.
    _check_statement(path, envelope.payload_type, envelope.payload)
    return str(key.keyid)


def signers(path: Path) -> list[str]:
    """The ids of the keys that claim to have signed a record. Whether they have needs the keys.

    Raises:
        BadSignature: there is no envelope, or it states something else than the record.
    """
    document = _read_document(signature_path(path))
    # Without a key the signature cannot be checked, but the payload must still be about this record.
    _check_statement(path, document["payloadType"], base64.b64decode(document["payload"]))
    return [signature["keyid"] for signature in document["signatures"]]


def statement(record: Record, content: bytes) -> bytes:
    """What a signature of a record says, as in-toto has it; `content` is the record's file."""
    configuration = [{"name": "submission", "digest": {"sha256": record.submission.sha256}}]
    configuration += [
        {"name": f"{kind} {part.name}", "digest": {"sha256": part.digest}}
        for kind, part in (("competition", record.competition), ("data set", record.dataset))
        if part is not None
    ]
    subject = {
        "name": file_name(record),
        # The whole file and not the record's own digest, which does not cover the rank (decision 0061).
        "digest": {"sha256": hashlib.sha256(content).hexdigest()},
    }
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [subject],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED" if record.status.verdict is Verdict.QUALIFIED else "FAILED",
            "configuration": configuration,
        },
    }
    # One form only: a check compares the bytes.
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _check_statement(path: Path, payload_type: str, payload: bytes) -> None:
    if payload_type != PAYLOAD_TYPE:
        raise BadSignature(f"it is a signature of another type than {PAYLOAD_TYPE}")
    try:
        record, content = read_sealed(path)
    except UsageProblem:
        raise BadSignature("it is a signature of another file: this one is no sound record") from None
    # Compared as a whole. A field that is looked up could be right in a statement about something else.
    if payload != statement(record, content):
        raise BadSignature("it is a signature of another file, or states something else about this one")


def _read_document(path: Path) -> dict[str, Any]:
    """The JSON of an envelope, each of its parts of the right type: the library takes numbers for texts."""
    try:
        document: dict[str, Any] = json.loads(read_file(path, _MAX_ENVELOPE_BYTES))
        texts = [document["payload"], document["payloadType"]]
        texts += [signature[name] for signature in document["signatures"] for name in ("keyid", "sig")]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
        for text in (document["payload"], *(signature["sig"] for signature in document["signatures"])):
            # Python skips characters that are not base64 unless it validates, so nonsense would pass.
            base64.b64decode(text, validate=True)
    except OSError as error:
        raise BadSignature(f"{path} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise BadSignature(f"{path} is no DSSE envelope") from None
    return document


def _read_envelope(path: Path) -> "Envelope":
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError

    try:
        return Envelope.from_dict(_read_document(path))
    # Which of these the library raises depends on the part that is wrong.
    except (KeyError, TypeError, ValueError, AttributeError, FormatError):
        raise BadSignature(f"{path} is no DSSE envelope") from None


def _read_or_refuse(path: Path, payload: bytes) -> "Envelope":
    try:
        envelope = _read_envelope(path)
    except BadSignature as problem:
        raise UsageProblem(str(problem), "Remove it, and sign again.", code="signature-invalid") from None
    # Whoever put the envelope there chose its type, too, and a signature covers the type.
    if (envelope.payload_type, envelope.payload) != (PAYLOAD_TYPE, payload):
        raise UsageProblem(
            f"{path} signs something else than this record",
            "Remove it, and sign again.",
            code="signature-other",
        )
    return envelope


def _private_key(path: Path, passphrase: str | None) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    password = _as_bytes(passphrase) if passphrase else None
    try:
        key: Any = load_pem_private_key(_read_key(path), password)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        # The library raises the same errors for a wrong passphrase and for a file that is no key.
        if is_encrypted(path):
            raise UsageProblem(
                f"{path} is encrypted, and not with this passphrase",
                "Enter the one that `haet-eval sign --new-key` was given.",
                code="key-passphrase",
            ) from None
        _refuse_key(path, "private key")
    return key if isinstance(key, Ed25519PrivateKey) else _refuse_key(path, "private key")


def _public_key(path: Path) -> "Ed25519PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key: Any = load_pem_public_key(_read_key(path))
    except (ValueError, UnsupportedAlgorithm):
        _refuse_key(path, "public key")
    return key if isinstance(key, Ed25519PublicKey) else _refuse_key(path, "public key")


def _as_bytes(passphrase: str) -> bytes:
    """The passphrase as keys are encrypted with it.

    Raises:
        UsageProblem: it is too long, or not UTF-8.
    """
    try:
        password = passphrase.encode()
    except UnicodeEncodeError:
        # Surrogates, which stand for bytes of an environment variable that are not UTF-8, have no encoding.
        password = b""
    if 0 < len(password) <= _MAX_PASSPHRASE_BYTES:
        return password
    what = f"it has {len(password):,} bytes" if password else "it is not UTF-8"
    raise UsageProblem(
        f"no key can have this passphrase: {what}",
        f"Choose one of 1 to {_MAX_PASSPHRASE_BYTES:,} bytes in UTF-8.",
        code="passphrase-invalid",
    )


def _read_key(path: Path) -> bytes:
    try:
        return read_file(path, _MAX_KEY_BYTES)
    except OSError as error:
        raise UsageProblem(
            f"the key {path} cannot be read: {error.strerror}", code="key-unreadable"
        ) from None


def _refuse_key(path: Path, kind: str) -> NoReturn:
    raise UsageProblem(
        f"{path} is no ed25519 {kind} as a PEM file",
        "`haet-eval sign --new-key KEY` makes KEY, which signs, and KEY.pub, which verifies.",
        code="key-invalid",
    )


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, whole or not at all: a part of a key would be in the way."""
    try:
        # `O_EXCL` also refuses a link, and a file that came into being since `make_keys` looked.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise output_not_writable(path, error) from None


def _need_libraries() -> None:
    if not all(map(find_spec, ("cryptography", "securesystemslib"))):
        raise EnvironmentProblem(
            "signatures need two more libraries", "pip install 'haet-eval[sign]'", code="extra-missing"
        )
