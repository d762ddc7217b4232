"""Container main of the executor: serve one run over the socket named on the command line."""

import gc
import os
import socket
import sys

from haet_eval.remote.image_packages import hide_other_packages

hide_other_packages()

# An import leaves hardly any garbage, and to look for it takes a sixth of the time.
gc.disable()

import torch  # noqa: E402 torch looks for packages on import

from haet_eval.remote.executor.executor import Executor  # noqa: E402

gc.freeze()  # imported modules stay, so later collections need not look at them
gc.enable()


def main() -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    torch.set_grad_enabled(False)
    Executor(sock).serve()
    # To take PyTorch apart takes a third of the time of its import. The kernel sends the last messages of the
    # socket; an error does not come here, so its traceback is printed as usual.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
