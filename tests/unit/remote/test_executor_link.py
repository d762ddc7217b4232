"""The host's end of the connection to the executor: the executor's progress in the stream."""

import socket
import threading
from collections.abc import Iterator

import pytest

from haet_eval.errors import EnvironmentProblem, SubmissionFailure
from haet_eval.remote.connection import Connection
from haet_eval.remote.executor_link import _INVENTORIES_AHEAD, ExecutorLink
from haet_eval.remote.messages import Mark, to_executor
from haet_eval.remote.meter import StreamPoint
from haet_eval.remote.wire import AnswerStatus, Channel

BEGIN, FIRST, SECOND = StreamPoint(0, 1), StreamPoint(10, 3), StreamPoint(25, 7)

Ends = tuple[ExecutorLink, Connection]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The host's end, and the executor's."""
    near, far = socket.socketpair()
    with near, far:
        yield ExecutorLink(Connection(near)), Connection(far)


def answer(executor: Connection, status: AnswerStatus = AnswerStatus.OK, body: bytes = b"") -> None:
    executor.send(Channel.STREAM, bytes([status]) + body)


def test_records_count_as_executed_only_after_the_executor_answers(ends: Ends) -> None:
    link, executor = ends
    link.mark(FIRST)
    link.mark(SECOND)
    link.take_answers()
    assert link.executed == BEGIN
    assert to_executor(executor.receive()[1]) == Mark()
    answer(executor)
    link.take_answers()
    assert link.executed == FIRST
    answer(executor)
    link.catch_up()
    assert link.executed == SECOND


def test_nothing_is_executed_after_a_call_that_failed(ends: Ends) -> None:
    link, executor = ends
    link.mark(FIRST)
    link.mark(SECOND)
    answer(executor)
    answer(executor, AnswerStatus.FATAL, b"mul failed")
    link.take_answers()
    assert link.executed == FIRST


def test_an_inventory_after_a_mark_is_compared_and_reports_the_failure(ends: Ends) -> None:
    link, executor = ends
    link.mark(FIRST)
    link.compare_inventory(b"expected")
    answer(executor)
    answer(executor, AnswerStatus.FATAL, b"mul failed")
    with pytest.raises(SubmissionFailure, match="mul failed"):
        link.take_answers()
    assert link.executed == FIRST


@pytest.mark.parametrize("channel", [one for one in Channel if one is not Channel.STREAM])
def test_an_answer_comes_as_a_frame_of_the_stream(ends: Ends, channel: Channel) -> None:
    link, executor = ends
    link.mark(FIRST)
    executor.send(channel, bytes([AnswerStatus.OK]))
    with pytest.raises(EnvironmentProblem, match="without a status"):
        link.catch_up()
    assert link.executed == BEGIN


def test_only_inventories_that_have_not_come_make_a_stall(ends: Ends) -> None:
    link, executor = ends
    for _ in range(_INVENTORIES_AHEAD):
        link.compare_inventory(b"same")
    answer(executor, body=b"same")
    link.compare_inventory(b"same")
    assert link._connection.stalls == 0

    def answer_all() -> None:
        for _ in range(_INVENTORIES_AHEAD + 1):
            answer(executor, body=b"same")

    threading.Timer(0.1, answer_all).start()
    link.compare_inventory(b"same")
    assert link._connection.stalls == 1


def test_a_look_during_an_answer_does_not_take_it(ends: Ends) -> None:
    """While the host waits for the rest of an answer, it looks at the run, which must not read as well."""
    link, executor = ends
    link.mark(FIRST)
    link._connection.idle = link.take_answers
    frame = bytes([1, 0, 0, 0, Channel.STREAM, AnswerStatus.OK])
    executor._socket.sendall(frame[:3])
    executor._socket.settimeout(None)

    def look_and_send_the_rest() -> None:
        link.take_answers()
        executor._socket.sendall(frame[3:])
        link._connection.idle = link.take_answers

    link._connection.idle = look_and_send_the_rest
    link.catch_up()
    assert link.executed == FIRST
