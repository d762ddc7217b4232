"""Signatures of records: ed25519, in a DSSE envelope around an in-toto statement, beside the record.

The statement is a test result (`https://in-toto.io/attestation/test-result/v0.1`): its subjects are the
record's file and the submission, its configuration is the competition and the data set, by their digests.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from haet_eval.atomic import Draft
from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict
from haet_eval.record import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from securesystemslib.dsse import Envelope

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"


class BadSignature(Exception):
    """The signature beside a record does not stand for it."""


SUFFIX: Final = ".dsse.json"


def signature_path(record: Path) -> Path:
    """Where the signature of a record lies."""
    return record.with_suffix(SUFFIX)


def without_signatures(names: Iterable[str]) -> list[str]:
    """Names of records, as of `results/*.json`, without those of signatures.

    Raises:
        UsageProblem: none is left.
    """
    left = [name for name in names if not name.endswith(SUFFIX)]
    if not left:
        raise UsageProblem(
            "these are signatures, and no records",
            "Name the records that they lie beside.",
            code="record-needed",
        )
    return left


def make_keys(path: Path, passphrase: str | None = None) -> Path:
    """Write a new private key, readable by its owner only, and the public key beside it; returns the latter.

    Args:
        path: of the private key.
        passphrase: what encrypts it; None leaves it as it is.

    Raises:
        UsageProblem: there is such a file.
        EnvironmentProblem: they cannot be written.
    """
    _need_libraries()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = path.with_name(f"{path.name}.pub")
    for taken in filter(Path.exists, (path, public_path)):
        raise UsageProblem(
            f"{taken} is there already", "Name a file that does not exist yet.", code="output-exists"
        )
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase.encode()),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(path, private, 0o600)
    _write_new(public_path, public, 0o644)
    return public_path


def is_encrypted(key_path: Path) -> bool:
    """Whether a private key needs a passphrase.

    Raises:
        UsageProblem: the key cannot be read.
    """
    _need_libraries()
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(_read_key(key_path), None)
    except TypeError:  # what the library raises where a password is missing
        return True
    except ValueError:
        return False
    return False


def sign(record: Record, path: Path, key_path: Path, passphrase: str | None = None) -> Path:
    """Sign a sound record, beside the signatures that it has; returns the signature's file.

    Args:
        record: what the file says.
        path: the record's file.
        key_path: the private key.
        passphrase: that of the key, where it is encrypted.

    Raises:
        UsageProblem: the key cannot be read, what lies there is a signature of something else, or the
            evaluation was interrupted.
        EnvironmentProblem: the signature cannot be written.
    """
    _need_libraries()
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]

    if record.status.verdict is Verdict.INTERRUPTED:
        raise UsageProblem(
            f"{path} is of an interrupted evaluation: nothing was judged",
            "Evaluate it again.",
            code="record-interrupted",
        )
    target = signature_path(path)
    payload = _statement(record, path)
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    if target.exists():
        envelope = _read_or_refuse(target, payload)
    envelope.sign(CryptoSigner(_private_key(key_path, passphrase)))
    try:
        with Draft(target.parent) as draft:
            draft.write(json.dumps(envelope.to_dict(), indent=2).encode() + b"\n")
            draft.replace(target)
    except OSError as error:
        raise EnvironmentProblem(
            f"{target} cannot be written: {error.strerror}", code="output-not-writable"
        ) from None
    return target


def check_signature(path: Path, key_path: Path) -> str:
    """The id of the public key, if it has signed this very file.

    Raises:
        BadSignature: it has not.
        UsageProblem: the key cannot be read.
    """
    _need_libraries()
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

    key = SSlibKey.from_crypto(_public_key(key_path))
    envelope = _read_envelope(signature_path(path))
    try:
        envelope.verify([key], 1)
    except VerificationError:
        raise BadSignature(f"it has no valid signature of {key_path}") from None
    if envelope.payload_type != PAYLOAD_TYPE or _sha256(path) not in _subjects(envelope.payload):
        raise BadSignature("it is a signature of another file")
    return str(key.keyid)


def signers(path: Path) -> list[str]:
    """The ids of the keys that claim to have signed a record, unchecked.

    Raises:
        BadSignature: there is no envelope.
    """
    _need_libraries()
    return list(_read_envelope(signature_path(path)).signatures)


def _statement(record: Record, path: Path) -> bytes:
    resources = [
        {"name": f"{kind} {part.name}", "digest": {"sha256": part.digest}}
        for kind, part in (("competition", record.competition), ("data set", record.dataset))
        if part is not None
    ]
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": path.name, "digest": {"sha256": _sha256(path)}},
            {"name": "submission", "digest": {"sha256": record.submission.sha256}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED" if record.status.verdict is Verdict.QUALIFIED else "FAILED",
            "configuration": resources,
        },
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _subjects(payload: bytes) -> set[str]:
    try:
        document = json.loads(payload)
        if document["_type"] != STATEMENT_TYPE:
            raise BadSignature("it holds no in-toto statement")
        return {subject["digest"]["sha256"] for subject in document["subject"]}
    except (ValueError, KeyError, TypeError):
        raise BadSignature("it holds no in-toto statement") from None


def _read_envelope(path: Path) -> "Envelope":
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError

    try:
        return Envelope.from_dict(json.loads(path.read_bytes()))
    except OSError as error:
        raise BadSignature(f"{path} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError, AttributeError, FormatError, RecursionError):
        raise BadSignature(f"{path} is no DSSE envelope") from None


def _read_or_refuse(path: Path, payload: bytes) -> "Envelope":
    try:
        envelope = _read_envelope(path)
    except BadSignature as problem:
        raise UsageProblem(str(problem), "Remove it, and sign again.", code="signature-invalid") from None
    if envelope.payload != payload:
        raise UsageProblem(
            f"{path} signs something else than this record",
            "Remove it, and sign again.",
            code="signature-other",
        )
    return envelope


def _private_key(path: Path, passphrase: str | None) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key: Any = load_pem_private_key(_read_key(path), passphrase.encode() if passphrase else None)
    except (TypeError, ValueError):
        if is_encrypted(path):
            raise UsageProblem(
                f"{path} is encrypted, and not with this passphrase",
                "Enter the one that `haet-eval keygen` was given.",
                code="key-passphrase",
            ) from None
        _refuse_key(path, "private key")
    return key if isinstance(key, Ed25519PrivateKey) else _refuse_key(path, "private key")


def _public_key(path: Path) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key: Any = load_pem_public_key(_read_key(path))
    except ValueError:
        _refuse_key(path, "public key")
    return key if isinstance(key, Ed25519PublicKey) else _refuse_key(path, "public key")


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageProblem(
            f"the key {path} cannot be read: {error.strerror}", code="key-unreadable"
        ) from None


def _refuse_key(path: Path, kind: str) -> NoReturn:
    raise UsageProblem(
        f"{path} is no ed25519 {kind} as a PEM file",
        "`haet-eval keygen KEY` makes KEY, which signs, and KEY.pub, which verifies.",
        code="key-invalid",
    )


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        raise EnvironmentProblem(
            f"{path} cannot be written: {error.strerror}", code="output-not-writable"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _need_libraries() -> None:
    if not all(map(find_spec, ("cryptography", "securesystemslib"))):
        raise EnvironmentProblem(
            "signatures need two more libraries", "pip install 'haet-eval[sign]'", code="extra-missing"
        )
