"""The client's link in a child of the submission's process: it refuses, and it never waits."""

import os
import signal
import socket
import threading

from haet_eval.remote.client.link import Link, Refusal

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
            link.output(b"a line\n" * 1000)

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
