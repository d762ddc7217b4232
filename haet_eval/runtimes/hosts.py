"""Workers as processes on other hosts that ssh reaches: the nodes of a training on a cluster.

Each host has haet-eval installed at the same path. The worker runs there under the supervisor of the process
runtime. The supervisor's standard input is that of ssh, so the worker ends when ssh ends; ssh carries the
worker's socket as well. As with local processes, untrusted code is not confined.
"""

import os
import random
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from haet_eval import __version__
from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.environment import worker_environment
from haet_eval.runtimes.interface import MeetingPoint, Network, Role, WorkerLimits
from haet_eval.runtimes.process import ProcessRuntime, ProcessWorker, sandbox_mains, supervised

_CHECK_SECONDS: Final = 60
_SSH: Final = ("ssh", "-T", "-a", "-x", "-S", "none", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15")
"""ssh without the user's agent, which untrusted code there could use, and without a shared connection, which
would outlive the run. A host that is silent for 45 s counts as lost, and the run ends."""
_FORWARD: Final = ("-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes")
_PORTS: Final = range(20_000, 30_000)
_LOOK: Final = (
    "import haet_eval, socket, sys, torch\n"
    "socket.getaddrinfo(sys.argv[1], None)\n"
    "print(haet_eval.__version__)"
)
_ON_ANOTHER: Final = "/tmp"  # noqa: S108 a folder of its own below it, which only this user may enter


class HostsRuntime(ProcessRuntime):
    """Starts the n-th worker on the n-th host.

    Args:
        hosts: names that ssh knows, with or without a user. The others reach the first by its name.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        super().__init__()
        self._hosts = hosts

    def check(self) -> None:
        """Look at every host.

        Raises:
            EnvironmentProblem: ssh does not reach a host, it does not have this version of haet-eval, or it
                does not know the name of the first host.
        """
        look = shlex.join([sys.executable, "-I", "-c", _LOOK, self.meeting_point().address])
        # A host may be named more than once, for several nodes on it.
        for host in dict.fromkeys(self._hosts):
            try:
                done = subprocess.run(  # noqa: S603 ssh, as the user has it
                    [*_SSH, "--", host, look], capture_output=True, text=True, timeout=_CHECK_SECONDS
                )
                found, said = done.stdout.strip(), done.stderr.strip().rpartition("\n")[2]
            except (OSError, subprocess.TimeoutExpired) as error:
                found, said = "", str(error)
            if found != __version__:
                raise EnvironmentProblem(
                    f"the host {host} cannot be a node: {said or f'it has haet-eval {found}'}",
                    f"`ssh {host}` must work without a password, and {sys.executable} be there with "
                    f"haet-eval {__version__}, as in a folder that the hosts share; each host must know the "
                    "first one by its name",
                    code="host-unusable",
                )

    def start(
        self,
        role: Role,
        socket_path: Path,
        limits: WorkerLimits,
        environment: Mapping[str, str],
        network: Network = None,  # noqa: ARG002 a process reaches what its user does
    ) -> ProcessWorker:
        host = self._hosts[len(self._workers)]
        run, worker_name = socket_path.parent.parent.name, socket_path.parent.name
        # The random part of the run's folder here: two runs on one host have different folders.
        folder = f"{_ON_ANOTHER}/haet-eval.node-{run.rpartition('-')[2]}-{worker_name}"
        remote_socket = f"{folder}.sock"
        folders = {"HOME": folder, "TMPDIR": folder}
        variables = worker_environment(role, folders | dict(environment))
        command = supervised(limits, [*sandbox_mains()[role], remote_socket])
        # Without the variables of the login there, a node has the same environment as a local worker.
        cleared = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        # The supervisor ends with its standard input, so the removal after it always runs.
        script = (
            # `mkdir` fails if anyone has made this folder before. Then nothing runs in it, and it stays.
            f"mkdir -m 700 {folder} || {{ rm -f {remote_socket}; exit 1; }}; "
            f"cd {folder} && {shlex.join([*cleared, *command])}; "
            f"cd /; rm -rf {folder} {remote_socket}"
        )
        ssh = [*_SSH, *_FORWARD, "-R", f"{remote_socket}:{socket_path}", "--", host, script]
        return self._launch(ssh, os.environ)

    def meeting_point(self) -> MeetingPoint:
        """The first host, and a random port there: two runs on one host rarely pick the same."""
        return MeetingPoint(self._hosts[0].rpartition("@")[2], random.choice(_PORTS), one_machine=False)  # noqa: S311
