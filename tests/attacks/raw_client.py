"""Plays the submission's process and misbehaves. Called with a way to do so and the path of the socket."""

import itertools
import os
import socket
import struct
import sys
import time

STREAM, CONTROL, OUTPUT, HOST = range(4)
READY = b'{"kind": "ready", "torch": "2", "python": "3"}'
UNKNOWN = b"\x03" + struct.pack("<I", 22) + b"\x14aten.nothing.default\x00"

sock = socket.socket(socket.AF_UNIX)


def send(channel: int, payload: bytes) -> None:
    sock.sendall(struct.pack("<IB", len(payload), channel) + payload)


def take_job() -> None:
    send(CONTROL, READY)
    (length,) = struct.unpack("<Ix", sock.recv(5, socket.MSG_WAITALL))
    sock.recv(length, socket.MSG_WAITALL)


def garbage() -> None:
    sock.sendall(os.urandom(100_000))


def half_a_frame() -> None:
    sock.sendall(struct.pack("<IB", 100, STREAM) + b"\x00" * 10)


def a_frame_in_drops() -> None:
    sock.sendall(struct.pack("<IB", 1 << 20, STREAM))
    while True:
        sock.sendall(b"\x00")
        time.sleep(0.01)


def a_frame_of_4_gib() -> None:
    sock.sendall(struct.pack("<IB", 2**32 - 1, STREAM))


def nothing() -> None:
    pass


def leaving() -> None:
    os._exit(3)


def a_flood_of_output() -> None:
    for number in itertools.count():
        send(OUTPUT, f"line {number}\n".encode() * 1000)


def a_million_records() -> None:
    take_job()
    send(STREAM, b"\x0c\x00" * 1_000_000)


def refusals_that_it_does_not_read() -> None:
    take_job()
    while True:
        send(STREAM, UNKNOWN)


def reports_without_end() -> None:
    take_job()
    while True:
        send(CONTROL, b'{"kind": "report", "values": {"a": "b"}}')


def empty_frames_without_end() -> None:
    while True:
        send(STREAM, b"")


def returned_before_ready() -> None:
    send(CONTROL, b'{"kind": "returned", "tensors": []}')


def predicted_while_training() -> None:
    take_job()
    send(CONTROL, b'{"kind": "predicted", "logits": 1}')


def ready_twice() -> None:
    take_job()
    send(CONTROL, READY)


def a_frame_of_the_host() -> None:
    send(HOST, b'{"kind": "argmax", "handle": 1}')


def a_message_that_is_no_json() -> None:
    send(CONTROL, b"[" * 100_000)


def a_message_with_a_long_kind() -> None:
    send(CONTROL, b'{"kind": "' + b"x" * 1_000_000 + b'"}')


def a_message_of_nine_mib() -> None:
    send(CONTROL, b"[" + b"1," * (9 << 19) + b"1]")


def a_number_of_many_digits() -> None:
    send(CONTROL, b'{"kind": "predicted", "logits": ' + b"9" * 1_000_000 + b"}")


def a_model_of_nothing() -> None:
    take_job()
    send(
        CONTROL,
        b'{"kind": "returned", "tensors": [{"name": "a", "handle": 99, "role": "buffer"}]}',
    )


if __name__ == "__main__":
    sock.connect(sys.argv[2])
    try:
        globals()[sys.argv[1]]()
        time.sleep(600)
    except OSError:
        pass
