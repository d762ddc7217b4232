"""Frames over a socket: what the other side does not take yet is kept, up to a number of bytes."""

import fcntl
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from haet_eval.remote.connection import Connection, Disconnected
from haet_eval.remote.wire import Channel

Pair = tuple[socket.socket, socket.socket]
PAYLOAD = bytes(range(256)) * 400
COUNT = 40


@pytest.fixture
def pair() -> Iterator[Pair]:
    near, far = socket.socketpair()
    yield near, far
    near.close()
    far.close()


def send_all(connection: Connection) -> None:
    for _ in range(COUNT):
        connection.send(Channel.STREAM, PAYLOAD)


def test_send_returns_before_the_other_side_reads_and_all_arrives_in_order(pair: Pair) -> None:
    near, far = Connection(pair[0], ahead_bytes=1 << 26), Connection(pair[1])
    for number in range(COUNT):
        near.send(Channel.STREAM, bytes([number]) + PAYLOAD)
    assert near.stalls == 0
    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.extend(far.receive()[1] for _ in range(COUNT)))
    reader.start()
    while reader.is_alive():
        near._flush()
    reader.join()
    assert taken == [bytes([number]) + PAYLOAD for number in range(COUNT)]


def test_send_waits_when_too_much_is_unsent_and_that_is_a_stall(pair: Pair) -> None:
    far = Connection(pair[1])
    reader = threading.Thread(target=lambda: [far.receive() for _ in range(COUNT)])

    def idle() -> None:
        if not reader.ident:
            reader.start()

    near = Connection(pair[0], idle, ahead_bytes=1 << 20)
    for number in range(COUNT):
        near.send(Channel.STREAM, bytes([number]) + PAYLOAD)
    assert near.stalls >= 1
    while reader.is_alive():
        near._flush()


def test_unsent_bytes_are_sent_while_another_connection_waits(pair: Pair) -> None:
    """The executor must not starve while the submission computes something by itself."""
    slow, quiet = socket.socketpair()
    near, far = Connection(pair[0], ahead_bytes=1 << 26), Connection(pair[1])
    waiting = Connection(slow)
    waiting.other = near
    send_all(near)
    assert near._unsent_bytes
    waiter = threading.Thread(target=waiting.receive)
    waiter.start()
    assert [far.receive()[1] for _ in range(COUNT)] == [PAYLOAD] * COUNT
    Connection(quiet).send(Channel.STREAM, b"done")
    waiter.join()
    slow.close()
    quiet.close()


def test_a_connection_that_waits_for_its_own_answer_sends_its_unsent_bytes(pair: Pair) -> None:
    near, far = Connection(pair[0], ahead_bytes=1 << 26), Connection(pair[1])

    def answer() -> None:
        for _ in range(COUNT):
            far.receive()
        far.send(Channel.STREAM, b"answer")

    other = threading.Thread(target=answer)
    other.start()
    send_all(near)
    assert near.receive() == (Channel.STREAM, b"answer")
    other.join()


def test_the_loss_of_one_connection_is_not_taken_for_that_of_the_other(pair: Pair) -> None:
    slow, quiet = socket.socketpair()
    near, waiting = Connection(pair[0], ahead_bytes=1 << 26), Connection(slow)
    waiting.other = near
    send_all(near)
    pair[1].close()
    Connection(quiet).send(Channel.STREAM, b"still here")
    assert waiting.receive() == (Channel.STREAM, b"still here")
    with pytest.raises(Disconnected):
        send_all(near)
    slow.close()
    quiet.close()


def test_a_connection_works_under_any_number_of_its_descriptor(pair: Pair) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        numbers = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 1024) for end in pair]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with socket.socket(fileno=numbers[0]) as one, socket.socket(fileno=numbers[1]) as another:
        near, far = Connection(one), Connection(another)
        assert not near.has_received()
        far.send(Channel.STREAM, PAYLOAD)
        assert near.has_received()
        assert near.receive() == (Channel.STREAM, PAYLOAD)


def test_idle_is_called_while_send_waits(pair: Pair) -> None:
    calls: list[float] = []

    def idle() -> None:
        calls.append(time.monotonic())
        if len(calls) > 2:
            raise TimeoutError

    near = Connection(pair[0], idle)
    with pytest.raises(TimeoutError):
        send_all(near)
