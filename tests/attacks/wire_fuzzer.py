"""Mutates the frames that a real client has sent, and feeds them to the meter.

Run it by itself for long: `python -m tests.attacks.wire_fuzzer TRACE SECONDS [SEED]`.
"""

import json
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from random import Random

from haet_eval.errors import SubmissionFailure
from haet_eval.remote.charges import MeterLimits
from haet_eval.remote.messages import ModelTensor
from haet_eval.remote.meter import Meter
from haet_eval.remote.trace import Kind, read_trace
from haet_eval.remote.wire import Code, WireError

EDGES = (0, 1, 2, 255, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
LIMITS = MeterLimits(1 << 20, 1 << 20, 1 << 20, None, 1 << 40, 1 << 20, 1 << 20)
ERRORS_BEFORE_A_FRESH_METER = 200


@dataclass
class Tally:
    """What became of the mutated frames."""

    frames: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0


@dataclass(frozen=True)
class Exchange:
    """One frame of the client, and the executor's answer if it was a question with an outcome."""

    frame: bytes
    answer: bytes | None


def exchanges(trace: Path) -> list[Exchange]:
    """The frames of a recorded training, in order."""
    training = takewhile(lambda entry: entry[0] is not Kind.SEAL, read_trace(trace))
    entries = [entry for entry in training if entry[0] is not Kind.HEADER]
    following = [*entries[1:], (Kind.PASSED, b"")]
    return [
        Exchange(body, after if next_kind is Kind.OUTCOME else None)
        for (kind, body), (next_kind, after) in zip(entries, following, strict=True)
        if kind is not Kind.OUTCOME
    ]


class WireFuzzer:
    """Plays the recorded training to a meter, with mutated frames before each of its frames."""

    def __init__(self, trace: Path, seed: int) -> None:
        self.recorded = exchanges(trace)
        header = next(read_trace(trace))[1]
        self.images = _shape(header)
        self.chance = Random(seed)
        self.tally = Tally()

    def run(self, seconds: float) -> Tally:
        """Fuzz for that long; any exception but the two that are allowed gets out."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._one_training(deadline)
        return self.tally

    def _one_training(self, deadline: float) -> None:
        meter = self._fresh_meter()
        errors = 0
        share = self.chance.choice((1, 5, 20))
        for exchange in self.recorded:
            for frame in self._mutated(exchange.frame, self.chance.randrange(share)):
                errors += not self._feed(meter, frame, exchange.answer, mutated=True)
            self._feed(meter, exchange.frame, exchange.answer, mutated=False)
            if errors > ERRORS_BEFORE_A_FRESH_METER or time.monotonic() > deadline:
                break
        if self.chance.random() < 0.5:
            self._predict(meter)

    def _fresh_meter(self) -> Meter:
        meter = Meter(LIMITS)
        meter.load(self.images, "uint8")
        meter.load(self.images[:1], "int64")
        return meter

    def _predict(self, meter: Meter) -> None:
        try:
            meter.seal([ModelTensor(name="a", handle=self.chance.randrange(1, 40), role="buffer")])
            meter.begin_batch((2, *self.images[1:]))
            for exchange in self.chance.sample(self.recorded, min(20, len(self.recorded))):
                for frame in self._mutated(exchange.frame, 2):
                    self._feed(meter, frame, exchange.answer, mutated=True)
            meter.take_logits(self.chance.randrange(60), 2, 10)
            meter.end_batch()
        except SubmissionFailure:
            self.tally.outcomes["ended in prediction"] += 1

    def _feed(self, meter: Meter, frame: bytes, answer: bytes | None, *, mutated: bool) -> bool:
        began = time.monotonic()
        outcome = self._outcome(meter, frame, answer)
        if mutated:
            self.tally.frames += 1
            self.tally.outcomes[outcome] += 1
            self.tally.slowest_seconds = max(self.tally.slowest_seconds, time.monotonic() - began)
        return outcome in ("passed", "refused", "answered")

    def _outcome(self, meter: Meter, frame: bytes, answer: bytes | None) -> str:
        try:
            accepted = meter.accept(frame)
            if accepted.question is None:
                return "passed" if accepted.refused is None else "refused"
            if accepted.question.code is Code.READ:
                meter.answer(accepted.question, bytes(accepted.question.answer_bytes))
            elif self.chance.random() < 0.1:
                meter.refuse(accepted.question)
            else:
                meter.answer(accepted.question, answer if answer is not None else b"")
        except WireError:
            return "wire error"
        except SubmissionFailure as failure:
            return failure.verdict.value
        return "answered"

    # Mutations.

    def _mutated(self, frame: bytes, count: int) -> Iterator[bytes]:
        for _ in range(count):
            data = bytearray(frame)
            for _ in range(self.chance.choice((1, 1, 1, 2, 4))):
                self._mutate(data)
            yield bytes(data)

    def _mutate(self, data: bytearray) -> None:
        chance = self.chance
        at = chance.randrange(len(data) + 1)
        until = min(len(data), at + chance.choice((1, 2, 4, 8, 16, 64)))
        match chance.randrange(8):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at % len(data)] = chance.randrange(256)
            case 2:
                data[at:until] = chance.randbytes(until - at)
            case 3:
                del data[at:until]
            case 4:
                data[at:at] = data[at:until]
            case 5:
                width = chance.choice("BHIQ")
                number = chance.choice(EDGES) & (256 ** struct.calcsize(f"<{width}") - 1)
                data[at : at + struct.calcsize(f"<{width}")] = struct.pack(f"<{width}", number)
            case 6:
                other = chance.choice(self.recorded).frame
                begin = chance.randrange(len(other) + 1)
                data[at:until] = other[begin : begin + chance.choice((1, 8, 64))]
            case _:
                data[at:at] = bytes([chance.choice(list(Code))]) + chance.randbytes(chance.randrange(24))


def _shape(header: bytes) -> tuple[int, ...]:
    return tuple(json.loads(header)["images"])


def main() -> None:
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    tally = WireFuzzer(Path(sys.argv[1]), seed).run(float(sys.argv[2]))
    sys.stdout.write(f"{tally}\n")


if __name__ == "__main__":
    main()
