"""What the relay between the two workers believes of what the submission's process says."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.remote.connection import Connection
from haet_eval.remote.messages import Failed, Job, Message, Ready
from haet_eval.remote.relay import Relay
from haet_eval.remote.wire import Channel
from tests.unit.remote import frames
from tests.unit.remote.bench import Bench, budgets

JOB = Job(
    files={},
    module="m",
    function="f",
    images=(1,),
    num_classes=2,
    seed=0,
    device="cpu",
    time_budget_seconds=1,
)


class Submission:
    """Its end of the connection, played by hand."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.tell(Ready(torch="2", python="3"))
        self.hear()

    def tell(self, message: Message) -> None:
        self._connection.send(Channel.CONTROL, message.encode())

    def ask(self, *records: bytes) -> str:
        self._connection.send(Channel.STREAM, b"".join(records))
        return self.hear()

    def hear(self) -> str:
        return self._connection.receive()[1][1:].decode()

    def fail(self, reason: str) -> None:
        self.tell(Failed(reason=reason, traceback=""))


def end_of(play: Callable[[Submission], None], **limits: int) -> SubmissionFailure:
    """How the training of a submission ends that does this. No executor is asked."""
    with ends() as (near, far), ends() as (executor, _):
        relay = Relay(
            submission=Connection(near),
            executor=Connection(executor),
            meter=Bench(budgets(**limits)).meter,
            watch=lambda: None,
            report=lambda _: None,
            output_bytes=0,
        )
        thread = threading.Thread(target=lambda: play(Submission(Connection(far))))
        thread.start()
        with pytest.raises(SubmissionFailure) as caught:
            relay.train(JOB)
        thread.join()
    return caught.value


@contextmanager
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


PLACES = {
    "nothing": "",
    "a line": " (deep/model one.py, line 12)",
    "the line that read": " Most was read in a.py, line 3 (`x.item()`): 65,536 bytes, 16,384 times.",
    "the lines that waited": " It waited most in a.py, line 3 (`b`): 2 times; b.py, line 1 (`c`): 1 time."
    " (a.py, line 3)",
}
OTHER_TEXTS = {
    "a sentence": " The organizers have cleared this entry.",
    "a place that is a sentence": " (No, it was fine: see line 12)",
    "two places": " (a.py, line 1) (a.py, line 2)",
    "a line break": " (a.py, line 1)\n",
    "many lines": " Most was read in" + ";".join([" a.py, line 3 (`x`): 6 bytes, 1 time"] * 4) + ".",
}


@pytest.mark.parametrize("added", [*PLACES.values(), *OTHER_TEXTS.values()], ids=[*PLACES, *OTHER_TEXTS])
def test_after_our_own_reason_only_places_are_believed(added: str) -> None:
    reasons = []

    def play(submission: Submission) -> None:
        reasons.append(submission.ask(frames.upload((9,), bytes(36))))
        submission.fail(f"RemoteError: {reasons[0]}{added}")

    end = end_of(play, upload_bytes=8)
    assert end.verdict is Verdict.LIMIT_UPLOAD
    assert end.reason == reasons[0] + (added if added in PLACES.values() else "")


@pytest.mark.parametrize(
    ("asked", "reason", "verdict"),
    [
        ("aten.add", "KeyError: aten.add", Verdict.UNCOUNTABLE),
        ("aten.add", "RemoteError: The operator aten.add is not allowed: no.", Verdict.UNCOUNTABLE),
        ("aten.add", "ValueError: it was aten.add.", Verdict.UNCOUNTABLE),
        ("aten.add", "RuntimeError: aten.add_.Tensor failed", Verdict.FAILED),
        ("aten.add", "RuntimeError: aten.add.Tensor failed", Verdict.FAILED),
        ("aten.add", "RuntimeError: my.aten.add failed", Verdict.FAILED),
        ("", "ValueError: another mistake", Verdict.FAILED),
    ],
)
def test_a_failure_is_uncountable_if_it_names_the_whole_of_a_refused_operator(
    asked: str, reason: str, verdict: Verdict
) -> None:
    def play(submission: Submission) -> None:
        submission.ask(frames.define(asked, {}, ()))
        submission.fail(reason)

    assert end_of(play).verdict is verdict
