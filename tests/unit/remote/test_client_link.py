"""The client's end of the wire, in a process that the submission has forked."""

import os
import socket
import threading

import pytest

from haet_eval.remote.client.link import Link


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_is_refused_although_another_thread_was_sending() -> None:
    """The lock that the other thread held at the fork is never released in the child."""
    ours, theirs = socket.socketpair()
    link = Link(ours)
    held, done = threading.Event(), threading.Event()

    def send() -> None:
        with link.lock:
            held.set()
            done.wait()

    sender = threading.Thread(target=send)
    sender.start()
    held.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if link.lock.acquire(timeout=10) else 1)
    done.set()
    sender.join()
    _, status = os.waitpid(child, 0)
    for end in (ours, theirs):
        end.close()
    assert os.waitstatus_to_exitcode(status) == 0
