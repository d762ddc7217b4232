"""Plays the executor's process where no operator is run: answers that it has started, and reads on."""

import socket
import struct
import sys

ANSWER = b'\x00{"torch": "2", "accelerator": null}'

if __name__ == "__main__":
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    sock.sendall(struct.pack("<IB", len(ANSWER), 0) + ANSWER)
    while sock.recv(1 << 20):
        pass
