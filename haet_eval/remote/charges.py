"""A submission's use of its budgets. A run that exceeds a budget ends with the verdict of that budget."""

from dataclasses import dataclass, field
from typing import Final

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.remote.wire import float_class

NUMBER_BYTES: Final = 8
COMPLEX_BYTES: Final = 16
"""The charge for a scalar literal that is sent up, or for a number that the submission learns from data."""

# These protect the host's memory and disk. They are in no competition file, as no honest run comes near them
# (docs/budgets.md).
MAX_HANDLES: Final = 1 << 20
MAX_TEMPLATES: Final = 1 << 17
MAX_DESCRIBED_BYTES: Final = 32 << 20
MAX_STATES: Final = 1 << 12
MAX_TRACE_BYTES: Final = 2 << 30


@dataclass(frozen=True, slots=True)
class MeterLimits:
    """The limits of a submission: bytes, records, scalar operations. None stands for no limit."""

    readback_bytes: int
    upload_bytes: int
    messages: int
    operations: int | None
    prediction_operations_per_image: int
    prediction_readback_bytes: int
    timed_answers: int
    peak_tensor_bytes: int | None = None


@dataclass(slots=True)
class Charges:
    """Running totals. Every method raises `SubmissionFailure` once its budget is used up."""

    budgets: MeterLimits
    readback_bytes: int = 0
    prediction_readback_bytes: int = 0
    most_readback_bytes_of_a_batch: int = 0
    upload_bytes: int = 0
    messages: int = 0
    timed_answers: int = 0
    constant_selects: int = 0
    stalls: int = 0
    _batch_readback_bytes: int = 0
    _literals: dict[float, int] = field(default_factory=dict)
    _numbers: set[tuple[str, bytes]] = field(default_factory=set)

    def upload(self, count: int) -> None:
        if self.upload_bytes + count > self.budgets.upload_bytes:
            raise SubmissionFailure(
                Verdict.LIMIT_UPLOAD,
                f"The submission sent up more than {self.budgets.upload_bytes:,} bytes of constants. Make "
                "tensors with torch's factories and random functions, not from Python or NumPy values.",
                code="limit-upload",
            )
        self.upload_bytes += count

    def literal(self, number: float) -> int:
        """Charge a scalar literal, once for each distinct value; return its class among the floats.

        A repeated literal is free because it brings no new knowledge: a learning rate is charged once, not at
        every step.
        """
        known = self._literals.get(number)
        if known is not None:
            return known
        # Charged before it is kept, so the budget also bounds the size of this table.
        self.upload(NUMBER_BYTES)
        # A NaN never equals itself: it is charged each time and not kept.
        known = float_class(number)
        if number == number:
            self._literals[number] = known
        return known

    def number(self, dtype: str, raw: bytes) -> None:
        """Charge a constant of one element, once for each distinct value."""
        if (dtype, raw) not in self._numbers:
            # A byte would be cheap, but the tensor takes as much of the host's memory as any other.
            self.upload(max(len(raw), NUMBER_BYTES))
            self._numbers.add((dtype, raw))

    def check_readback(self, count: int) -> None:
        if self.readback_bytes + count > self.budgets.readback_bytes:
            raise SubmissionFailure(
                Verdict.LIMIT_READBACK,
                f"The submission read back more than {self.budgets.readback_bytes:,} bytes of data "
                "(readback_bytes). `.item()` is a read, and so is a shape that data decide (`x[mask]`) and a "
                "step of GradScaler. Keep values in tensors; read a loss or an accuracy now and then, not at "
                "every step.",
                code="limit-readback",
            )

    def readback(self, count: int) -> None:
        self.check_readback(count)
        self.readback_bytes += count

    def check_prediction_readback(self, count: int) -> None:
        allowed = self.budgets.prediction_readback_bytes
        if self._batch_readback_bytes + count > allowed:
            raise SubmissionFailure(
                Verdict.LIMIT_READBACK,
                f"The model read back more than {allowed:,} bytes of data while it predicted one batch "
                "(prediction_readback_bytes). Keep values in tensors: the answer is a tensor as well.",
                code="limit-prediction-readback",
            )

    def prediction_readback(self, count: int) -> None:
        """Charge values that are read while a batch is predicted: each batch has a budget of its own."""
        self.check_prediction_readback(count)
        self._batch_readback_bytes += count
        self.prediction_readback_bytes += count
        self.most_readback_bytes_of_a_batch = max(
            self.most_readback_bytes_of_a_batch, self._batch_readback_bytes
        )

    def end_batch(self) -> None:
        """The next batch begins with a budget of its own."""
        self._batch_readback_bytes = 0

    def check_timed_answers(self) -> None:
        """Require that the budget allows one more answer that waits for work on data.

        The time of such an answer depends on the data, so a submission could read data from a clock. The
        budget bounds how much.
        """
        # Both are moments at which the submission sees how long work on data took.
        if self.timed_answers + self.stalls >= self.budgets.timed_answers:
            raise SubmissionFailure(
                Verdict.LIMIT_READBACK,
                f"The submission waited more than {self.budgets.timed_answers:,} times for work on the data "
                "(timed_answers). It waits for each value that it reads, each call that is new by its shapes "
                "or integers, and each shape that data decide. Keep values in tensors and shapes fixed.",
                code="limit-timed-answers",
            )

    def stalled(self, count: int) -> None:
        """The submission had to wait `count` times for room, because the executor had too much to do.

        The time of such a wait depends on the data as well, so each one uses the budget of timed answers.
        """
        # One by one, so that the record never shows more waits than the budget allows.
        for _ in range(count):
            self.check_timed_answers()
            self.stalls += 1

    def message(self, count: int) -> None:
        # Added before the check: these records are in the trace, and the record must agree with it.
        self.messages += count
        if self.messages > self.budgets.messages:
            raise SubmissionFailure(
                Verdict.LIMIT_MESSAGES,
                f"The submission called operators more than {self.budgets.messages:,} times. Larger tensors "
                "and fewer calls do the same work.",
                code="limit-messages",
            )

    def operations(self, operations: int) -> None:
        allowed = self.budgets.operations
        if allowed is not None and operations > allowed:
            raise SubmissionFailure(
                Verdict.LIMIT_OPERATIONS,
                f"The training took more than the {allowed:,} operations it may.",
                code="limit-operations",
            )

    def tensor_memory(self, living_bytes: int, calls: int) -> None:
        """Charge the bytes of all tensors that live after so many calls of the training."""
        allowed = self.budgets.peak_tensor_bytes
        if allowed is not None and living_bytes > allowed:
            raise SubmissionFailure(
                Verdict.LIMIT_MEMORY,
                f"The training's tensors take {living_bytes:,} bytes after call {calls:,}; they may take "
                f"{allowed:,} (peak_tensor_bytes). Smaller batches, fewer copies, in-place operators and "
                "checkpointing take less. `haet-eval check` shows the peak.",
                code="limit-tensor-memory",
            )

    def prediction(self, operations: int, images: int) -> None:
        """Raises SubmissionFailure when prediction has used too many operations for the images so far."""
        if not images:
            # What `model.eval()` does counts with the first batch. The watch may look before that begins.
            return
        allowed = self.budgets.prediction_operations_per_image
        # A mean over the images so far, so that the number of images in a batch makes no difference.
        if operations > allowed * images:
            raise SubmissionFailure(
                Verdict.LIMIT_PREDICTION,
                f"Prediction took more than {allowed:,} operations per image. A model may not go on training "
                "while it predicts; use a smaller model or fewer augmented views.",
                code="limit-prediction",
            )


def check_living(count: int) -> None:
    """Raises SubmissionFailure when too many tensors are alive."""
    if count > MAX_HANDLES:
        raise SubmissionFailure(
            Verdict.LIMIT_MEMORY,
            f"More than {MAX_HANDLES:,} tensors are alive at once. Drop those that are no longer needed.",
            code="limit-handles",
        )


def check_templates(count: int, described_bytes: int = 0) -> None:
    """Raises SubmissionFailure when there are too many distinct calls, or their descriptions are too long."""
    # Two limits, since a single call on a list of 65,000 tensors takes megabytes to describe.
    if count >= MAX_TEMPLATES or described_bytes > MAX_DESCRIBED_BYTES:
        raise SubmissionFailure(
            Verdict.LIMIT_MESSAGES,
            f"The submission used more than {MAX_TEMPLATES:,} combinations of operator, shapes and integers. "
            "Keep shapes fixed, and put numbers that change into tensors.",
            code="limit-signatures",
        )


def check_states(count: int) -> None:
    """Raises SubmissionFailure when too many states of generators were saved."""
    # The executor keeps each state, which is 5,056 bytes on a CPU, to the end of the run.
    if count > MAX_STATES:
        raise SubmissionFailure(
            Verdict.LIMIT_MEMORY,
            f"More than {MAX_STATES:,} states of random generators were saved.",
            code="limit-generator-states",
        )


def check_trace(count: int) -> None:
    """Raises SubmissionFailure when the trace has become too large to be kept."""
    if count > MAX_TRACE_BYTES:
        raise SubmissionFailure(
            Verdict.LIMIT_MESSAGES,
            f"The trace of what the submission sent takes more than {MAX_TRACE_BYTES:,} bytes. Larger "
            "tensors and fewer calls do the same work; numbers that differ at every call take the most room.",
            code="limit-trace",
        )
