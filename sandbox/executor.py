"""Container main of the executor: serve one run over the socket named on the command line."""

import socket
import sys

import torch

from haet_eval.remote.executor.executor import Executor


def main() -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    torch.set_grad_enabled(False)
    Executor(sock).serve()


if __name__ == "__main__":
    main()
