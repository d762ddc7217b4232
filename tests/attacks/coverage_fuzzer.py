"""Finds bytes that reach ever more of the code that reads untrusted bytes, with atheris (libFuzzer).

Usage: python -m tests.attacks.coverage_fuzzer archive|wire CORPUS [libFuzzer's options, such as -runs=N]

CORPUS is a folder. The fuzzer first fills it with honest bytes, and then with the bytes that it finds. Any
exception but the typed ones ends the fuzzer, with the bytes in a file `crash-…`.
"""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["haet_eval.archive", "haet_eval.remote", "haet_eval.counting"]):
    from haet_eval.archive import pack, unpack
    from haet_eval.archive.limits import ArchiveLimits
    from haet_eval.errors import InvalidSubmission, SubmissionFailure
    from haet_eval.remote.charges import MeterLimits
    from haet_eval.remote.messages import ModelTensor, from_submission
    from haet_eval.remote.meter import Meter
    from haet_eval.remote.wire import Code, WireError
    from tests.unit.remote import frames
    from tests.unit.remote.frames import TENSOR, fresh, outcome

LIMITS: Final = ArchiveLimits(unpacked_bytes=4096, entries=20)
BUDGETS: Final = MeterLimits(1 << 20, 1 << 20, 1 << 20, None, 1 << 40, 1 << 20, 1 << 20)
LENGTH: Final = struct.Struct("<H")


def archive(data: bytes) -> None:
    """A zip is refused, or read within the limits and the same when packed again."""
    try:
        files = unpack(data, LIMITS)
    except InvalidSubmission:
        return
    assert sum(map(len, files.values())) <= LIMITS.unpacked_bytes
    assert unpack(pack(files), LIMITS) == files


def wire(data: bytes) -> None:
    """Frames and answers in turn, each after its length; then a control message. Typed errors only."""
    meter = Meter(BUDGETS)
    meter.load((8, 3, 4, 4), "uint8")
    meter.load((8,), "int64")
    parts = parted(data)
    for frame, answer in zip(parts[::2], parts[1::2], strict=False):
        try:
            accepted = meter.accept(frame)
            if accepted.question is not None and accepted.question.code is Code.READ:
                meter.answer(accepted.question, bytes(accepted.question.answer_bytes))
            elif accepted.question is not None:
                meter.answer(accepted.question, answer)
        except (WireError, SubmissionFailure):
            continue
    try:
        meter.seal([ModelTensor(name="a", handle=3, role="trainable")])
        from_submission(parts[-1])
    except (WireError, SubmissionFailure):
        return


def parted(data: bytes) -> list[bytes]:
    parts, place = [b""], 0
    while place + LENGTH.size <= len(data):
        (length,) = LENGTH.unpack_from(data, place)
        place += LENGTH.size
        parts.append(data[place : place + length])
        place += length
    return parts[1:] or parts


def honest_archives() -> list[bytes]:
    manifest = b'[submission]\nname = "n"\nteam = "t"\ntask = "digits"\ndescription = "d"\n'
    return [
        pack({"haet.toml": manifest, "submission.py": b"def train(task):\n    return None\n"}),
        pack({"haet.toml": manifest, "net/layers.py": b"x = 1\n" * 50, "README.md": "ä".encode()}),
    ]


def honest_exchanges() -> list[bytes]:
    ones = frames.define("aten.ones.default", {"size": (4, 4)}, ())
    product = frames.define("aten.mm.default", {"self": TENSOR, "mat2": TENSOR}, (3, 3))
    found = frames.define("aten.nonzero.default", {"self": TENSOR}, (2,))
    made, counted = outcome(fresh(4, 4)), outcome(fresh(3, 1, dtype="int64"))
    exchanges = [
        [ones, made, product, made, frames.call(1, (3, 4)) * 3, b"", frames.read(4), b""],
        [found, counted, frames.call(0, (2,), code=Code.DYNAMIC), counted, frames.free(3), b""],
        [frames.upload((3,), b"\1" * 12), b"", frames.call(0, ()), b"", b'{"kind":"predicted","logits":3}'],
    ]
    return [b"".join(LENGTH.pack(len(part)) + part for part in parts) for parts in exchanges]


TARGETS: Final[dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]]] = {
    "archive": (archive, honest_archives),
    "wire": (wire, honest_exchanges),
}


def main() -> None:
    _, name, corpus, *options = sys.argv
    target, seeds = TARGETS[name]
    Path(corpus).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (Path(corpus) / f"honest-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, "-max_len=4096", *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
