"""A node's frames stay whole and in order, whatever its other threads and its alarm do meanwhile."""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

import pytest
import torch

from haet_eval.native.link import HostLink
from haet_eval.native.messages import TrainReturned
from haet_eval.native.worker import TimeIsOver, _Keeper
from haet_eval.remote.frames import FrameReader
from haet_eval.remote.messages import Report
from haet_eval.remote.wire import BLOCK_BYTES, Channel

MUCH = 4 << 20


@pytest.fixture
def ends() -> Iterator[tuple[HostLink, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield HostLink(ours), theirs


def test_the_alarm_cuts_no_frame_of_output_in_two(ends: tuple[HostLink, socket.socket]) -> None:
    link, host = ends
    keeper = _Keeper(link)
    keeper.model = torch.nn.Module()
    heard: list[tuple[int, bytes]] = []

    def hear() -> None:
        time.sleep(0.5)  # the socket is full when the alarm rings
        with suppress(ConnectionError):  # half a frame
            heard.append(FrameReader(host).receive())

    reader = threading.Thread(target=hear)
    reader.start()

    def train() -> None:
        with keeper.ends_training_after(0.2):
            link.output(deque([b"x" * MUCH]))
            while True:
                time.sleep(0.01)

    with pytest.raises(TimeIsOver):
        train()
    link._socket.shutdown(socket.SHUT_WR)
    reader.join()
    assert heard == [(Channel.OUTPUT, b"x" * MUCH)]


def test_a_report_of_another_thread_does_not_come_between_a_message_and_its_blocks(
    ends: tuple[HostLink, socket.socket],
) -> None:
    link, host = ends
    blocks = 5
    channels: list[Channel] = []

    def report() -> None:
        with suppress(OSError):  # nobody listens any more
            while True:
                link.tell(Report(values={"step": "1"}))

    def hear() -> None:
        frames = FrameReader(host)
        while channels.count(Channel.BLOCK) < blocks:
            channels.append(Channel(frames.receive()[0]))
        host.close()

    threads = [threading.Thread(target=target) for target in (report, hear)]
    for thread in threads:
        thread.start()
    with link.alone():
        link.tell(TrainReturned())
        link.blocks(b"x" * (BLOCK_BYTES * blocks))
    for thread in threads:
        thread.join()
    first = channels.index(Channel.BLOCK)
    assert channels[first:] == [Channel.BLOCK] * blocks
