"""Container main of the submission: do one job over the socket named on the command line."""

import gc
import os
import socket
import sys

from haet_eval.remote.image_packages import hide_other_packages

hide_other_packages()

# An import leaves hardly any garbage, and to look for it takes a sixth of the time. The client takes over
# (`Garbage.install`) before any code of the submission runs.
gc.disable()

# Compilers would look for data that is not here; compiled code runs eagerly, and is counted alike.
os.environ["TORCH_COMPILE_DISABLE"] = "1"

from haet_eval.remote.client.job import run_job  # noqa: E402 torch reads the environment on import


def main() -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    run_job(sock)


if __name__ == "__main__":
    main()
