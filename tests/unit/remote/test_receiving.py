"""Bytes that come soon are waited for awake, others asleep."""

import math
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from haet_eval.remote import receiving
from haet_eval.remote.receiving import Receiver

ROOM = memoryview(bytearray(64))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def sent_after(seconds: float, sock: socket.socket) -> threading.Thread:
    thread = threading.Timer(seconds, sock.sendall, (b"late",))
    thread.start()
    return thread


def test_bytes_that_wait_are_received_in_parts(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"abcdef")
    receiver = Receiver(ours)
    assert receiver.into(ROOM[:4]) == 4
    assert receiver.into(ROOM[4:]) == 2
    assert bytes(ROOM[:6]) == b"abcdef"


def test_bytes_that_come_soon_and_late_are_received(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    receiver = Receiver(ours)
    for seconds in (0.0, 0.05, 0.0, 0.0):
        thread = sent_after(seconds, theirs)
        assert receiver.into(ROOM) == 4
        thread.join()


def test_an_end_after_a_short_wait_is_an_end(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"last")
    receiver = Receiver(ours)
    receiver.into(ROOM)
    theirs.close()
    assert receiver.into(ROOM) == 0


def test_a_timeout_of_the_socket_ends_a_wait_that_begins_awake(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1000))
    theirs.sendall(b"soon")
    receiver = Receiver(ours)
    receiver.into(ROOM)
    with pytest.raises(BlockingIOError):
        receiver.into(ROOM)


def test_a_long_wait_takes_next_to_no_processor_time(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    theirs.sendall(b"soon")
    receiver = Receiver(ours)
    receiver.into(ROOM)
    before = time.thread_time()
    thread = sent_after(0.5, theirs)
    assert receiver.into(ROOM) == 4
    thread.join()
    assert time.thread_time() - before < 0.1


class Noting(socket.socket):
    """Notes for each receive whether it may wait."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.may_wait: list[bool] = []

    def recv_into(self, buffer: memoryview, nbytes: int = 0, flags: int = 0) -> int:  # type: ignore[override]
        self.may_wait.append(not flags & socket.MSG_DONTWAIT)
        return super().recv_into(buffer, nbytes, flags)


@pytest.mark.parametrize(("awake_seconds", "third_may_wait"), [(math.inf, False), (1e-9, True)])
def test_waits_are_awake_until_their_time_is_used_up(
    ends: tuple[socket.socket, socket.socket],
    awake_seconds: float,
    third_may_wait: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receiving, "_SOON_SECONDS", 60.0)
    ours, theirs = ends
    with Noting(ours.detach()) as noting:
        receiver = Receiver(noting, awake_seconds)
        for _ in range(3):
            theirs.sendall(b"soon")
            receiver.into(ROOM)
        assert noting.may_wait == [True, False, third_may_wait]
