"""Picks the runtime of a sandbox, ready to start workers."""

from collections.abc import Sequence

from haet_eval.record import Sandbox
from haet_eval.runtimes.hosts import HostsRuntime
from haet_eval.runtimes.interface import Runtime
from haet_eval.runtimes.process import ProcessRuntime


def choose_runtime(sandbox: Sandbox, device: str, hosts: Sequence[str] = ()) -> Runtime:
    """The requested runtime, after its check. With `hosts`, it starts one worker on each.

    Raises:
        EnvironmentProblem: the runtime cannot be used on this machine.
    """
    runtime = HostsRuntime(hosts) if hosts else _here(sandbox, device)
    runtime.check()
    return runtime


def _here(sandbox: Sandbox, device: str) -> Runtime:
    return ProcessRuntime() if sandbox == "process" else _docker(device)


def _docker(device: str) -> Runtime:
    from haet_eval.runtimes.docker import DockerRuntime  # only now: the engine's SDK is slow to import

    return DockerRuntime(cuda=device == "cuda")
