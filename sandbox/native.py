"""Container main of a node on plain tensors: do one job over the socket named on the command line."""

import os
import socket
import sys

from haet_eval.remote.image_packages import hide_other_packages

hide_other_packages()

# Compilers are not here; code that asks for one runs eagerly, as it does in the counted runner.
os.environ["TORCH_COMPILE_DISABLE"] = "1"

from haet_eval.native.worker import run_node  # noqa: E402 torch reads the environment on import


def main() -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    run_node(sock)


if __name__ == "__main__":
    main()
