"""The trace: every call that the meter let pass. Anyone can recompute the count from it.

It goes from the first call of the training to the last of the prediction, with the seal between the two. It
is a file of zlib-compressed entries, each a kind (one byte), a length (four) and a body. The first entry is
the header. The trace has the outcome of a call (shapes, never values) but not the values that were read back,
so a trace can be published without the data.
"""

import json
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

from haet_eval.remote.charges import check_trace
from haet_eval.remote.packed import Broken, PackedWriter, open_packed, read_packed
from haet_eval.remote.wire import TRACE_VERSION

_MAGICS: Final = {2: b"haet-trace-2\n", 3: b"haet-trace-3\n"}
"""By version."""

BrokenTrace = Broken
"""The file is not a trace, or was cut short or changed."""


class Kind(IntEnum):
    """The content of an entry."""

    HEADER = 0  # JSON
    PASSED = 1  # records that were passed on without a question
    QUESTION = 2  # one record that was answered
    OUTCOME = 3  # the answer to the question before, if it was an outcome
    SEAL = 4  # JSON: the tensors of the returned model
    REFUSED = 5  # one record that was refused: nothing happened, but it was charged
    BATCH = 6  # JSON: images to predict were handed over
    LOGITS = 7  # JSON: the prediction for them
    INVENTORY = 8  # of all living tensors, on which meter and executor agree


class TraceWriter(PackedWriter):
    """Writes a trace to a file that the caller owns. `entries` says how many it has, the header among them.

    Raises:
        SubmissionFailure: from `add`, when the trace grows too large.
        EnvironmentProblem: the file cannot be written.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        super().__init__(path, _MAGICS[TRACE_VERSION], "the trace")
        self.add(Kind.HEADER, json.dumps(header, sort_keys=True).encode())

    def add(self, kind: Kind, body: bytes) -> None:
        self._append(kind, body)
        # The run may end here only after PASSED: a question without its outcome would make a broken trace.
        if kind is Kind.PASSED:
            check_trace(self._written)


def cut_trace(path: Path, entries: int) -> None:
    """Keep the first entries of a whole trace, the header among them.

    Raises:
        EnvironmentProblem: the file cannot be written.
    """
    part = path.with_name(f"{path.name}.cut")
    # Written anew: the end of a compressed stream cannot be cut off between two entries.
    (_, header), *_ = islice(read_trace(path), 1)
    writer = TraceWriter(part, json.loads(header))
    for kind, body in islice(read_trace(path), 1, entries):
        writer.add(kind, body)
    writer.close()
    part.replace(path)


def trace_version(path: Path) -> int:
    """The version of a trace.

    Raises:
        BrokenTrace: the file is not a trace of a known version.
    """
    with open_packed(path, "the trace") as file:
        head = file.read(len(_MAGICS[TRACE_VERSION]))
    for version, magic in _MAGICS.items():
        if head == magic:
            return version
    raise BrokenTrace(f"{path} is not a trace of a known version")


def read_trace(path: Path) -> Iterator[tuple[Kind, bytes]]:
    """Entries of a trace, decompressed as they are asked for.

    Raises:
        BrokenTrace: the file is not a trace, or was cut short or changed.
    """
    for number, body in read_packed(path, _MAGICS[trace_version(path)], "the trace"):
        if number > max(Kind):
            raise BrokenTrace("the trace holds an entry that no meter writes")
        yield Kind(number), body
