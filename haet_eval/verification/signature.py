"""Checks whether a record is signed, and by whom."""

from pathlib import Path

from haet_eval.errors import EnvironmentProblem
from haet_eval.files import exists
from haet_eval.signing import BadSignature, check_signature, signature_path, signers
from haet_eval.verification.check import Check, differs, holds, stated, unchecked


def check_signed(path: Path, key: Path | None) -> Check:
    """An unsigned record is accepted, unless the user names a key that should have signed it."""
    if not exists(signature_path(path)):
        # Taking a signature away must not help: whoever names a key asks for its signature (decision 0061).
        report = stated if key is None else differs
        return report("signature", "the record is not signed")
    try:
        if key is not None:
            return holds(
                "signature", f"{key} has signed this file (key id {check_signature(path, key)[:16]}…)"
            )
        # Anyone can write a key id into an envelope, so without the key this line never holds.
        names = ", ".join(f"{name[:16]}…" for name in signers(path)) or "nobody"
        return unchecked("signature", f"claimed by the key {names}; --key KEY.pub checks it")
    except BadSignature as problem:
        return differs("signature", str(problem))
    # The libraries for signatures are an extra. Other checks work without them, unless the user named a key.
    except EnvironmentProblem as problem:
        if key is not None:
            raise
        return unchecked("signature", problem.with_hint)
