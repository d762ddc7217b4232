"""The client's link: a child of the submission's process is refused at once, and output keeps its place."""

import os
import signal
import socket
import sys
import threading
from collections import deque

from haet_eval.remote.client.link import FLUSH_BYTES, Link, Refusal
from haet_eval.remote.client.output import OutputCapture
from haet_eval.remote.connection import Connection
from haet_eval.remote.wire import FRAME, MAX_FRAME_BYTES, Channel

FORKS = 60
PATIENCE_SECONDS = 20


def ended(work: Link) -> int:
    """The exit status of a child that uses the link: 0 if it was refused, negative if it waited too long."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_SECONDS)
        try:
            with work.lock:
                work.flush()
            os._exit(1)
        except Refusal:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_is_refused_although_another_thread_was_sending_at_the_fork() -> None:
    """The thread that forwards the output holds the lock most of the time, and no child has that thread."""
    ours, theirs = socket.socketpair()
    link = Link(ours)
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            link.output(deque([b"a line\n" * 1000]))

    def receive() -> None:
        while theirs.recv(1 << 20):
            pass

    threads = [threading.Thread(target=work) for work in (send, receive)]
    for thread in threads:
        thread.start()
    try:
        assert [ended(link) for _ in range(FORKS)] == [0] * FORKS
    finally:
        over.set()
        threads[0].join()
        ours.close()
        threads[1].join()
        theirs.close()


def test_records_that_no_answer_follows_fit_into_frames() -> None:
    """Five uploads of the largest size, without another call between them."""
    ours, theirs = socket.socketpair()
    lengths: list[int] = []

    def receive() -> None:
        # Not a connection of the host: it would refuse a frame that is too large.
        while header := theirs.recv(FRAME.size, socket.MSG_WAITALL):
            length, _ = FRAME.unpack(header)
            lengths.append(length)
            while length:
                length -= len(theirs.recv(min(length, 1 << 20)))

    reader = threading.Thread(target=receive)
    reader.start()
    link = Link(ours)
    for _ in range(5):
        link.write(bytes(FLUSH_BYTES))
    link.flush()
    ours.close()
    reader.join()
    theirs.close()
    assert sum(lengths) == 5 * FLUSH_BYTES
    assert max(lengths) <= MAX_FRAME_BYTES


class Slow(Link):
    """A link whose forwarding thread never gets to send: only messages do."""

    def output(self, parts: deque[bytes]) -> None:
        if threading.current_thread() is threading.main_thread():
            super().output(parts)


def test_what_was_printed_arrives_before_the_message_that_follows_it() -> None:
    """Even if the system does not run the thread that forwards it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = Slow(ours)
        saved = sys.stdout, sys.stderr
        capture = OutputCapture(link)
        try:
            sys.stdout.write("before\n")
            link.tell(b"{}")
            sys.stdout.write("after\n")
        finally:
            capture.close()
            sys.stdout, sys.stderr = saved
        far = Connection(theirs)
        assert [far.receive() for _ in range(3)] == [
            (Channel.OUTPUT, b"before\n"),
            (Channel.CONTROL, b"{}"),
            (Channel.OUTPUT, b"after\n"),
        ]
