"""The answers that a submission got, so that it can get the same once more.

A trace has what a submission asked for, and the shapes of the results. With the answers, a submission that
begins anew comes to the same place without an executor: every value that it read back is here, every outcome
of a call that it waited for, and the text of each refusal. They hold values of the training data, and are
never published.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.remote.packed import Broken, PackedWriter, read_packed
from haet_eval.remote.wire import AnswerStatus

# Answers are as large as the values that are free to read, which no budget bounds.
MAX_ANSWERS_BYTES: Final = 1 << 30
_MAGIC: Final = b"haet-answers-1\n"
_KEPT: Final = frozenset({AnswerStatus.OK, AnswerStatus.REFUSED})
"""After any other answer the run is over."""


class AnswersWriter(PackedWriter):
    """Writes the executor's answers to questions, in order.

    `end` says why no more answers are kept: a checkpoint without every answer would be of no use. The run
    itself does not need the file.

    Raises:
        EnvironmentProblem: the file cannot be begun.
    """

    def __init__(self, path: Path) -> None:
        self.end: str | None = None
        super().__init__(path, _MAGIC, "the file of answers")

    def add(self, status: AnswerStatus, body: bytes) -> None:
        """Keep an answer. After the first one that cannot be kept, no other is kept."""
        if status not in _KEPT or self.end:
            return
        try:
            self._append(status, body)
        except EnvironmentProblem as problem:
            self._give_up(problem)
        else:
            if self._written > MAX_ANSWERS_BYTES:
                self.end = f"the file of answers has more than {MAX_ANSWERS_BYTES:,} bytes"

    def close(self) -> None:
        """Finish the file. Further calls do nothing."""
        try:
            super().close()
        except EnvironmentProblem as problem:
            self._give_up(problem)

    def _give_up(self, problem: EnvironmentProblem) -> None:
        self.end = str(problem)
        # The trace is written to the same disk, and the run does need the trace.
        self.path.unlink(missing_ok=True)


def read_answers(path: Path) -> Iterator[tuple[AnswerStatus, bytes]]:
    """Answers, decompressed as they are asked for.

    Raises:
        Broken: the file does not hold answers, or was cut short or changed.
    """
    for status, body in read_packed(path, _MAGIC, "the file of answers"):
        if status not in _KEPT:
            raise Broken("the file of answers holds one that ends a run")
        yield AnswerStatus(status), body
