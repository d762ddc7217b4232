"""Container main of the executor: serve one run over the socket named on the command line."""

import socket
import sys

from haet_eval.remote.image_packages import hide_other_packages

hide_other_packages()

import torch  # noqa: E402 torch looks for packages on import

from haet_eval.remote.executor.executor import Executor  # noqa: E402


def main() -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    torch.set_grad_enabled(False)
    Executor(sock).serve()


if __name__ == "__main__":
    main()
