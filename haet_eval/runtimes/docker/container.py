"""The confinement of a worker's container: the options of its creation, in the engine's own terms."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from haet_eval.runtimes.docker.worker import DockerWorker
from haet_eval.runtimes.environment import gpus_left
from haet_eval.runtimes.folder import place_of
from haet_eval.runtimes.image_files import sandbox_folder
from haet_eval.runtimes.interface import Network, Role, WorkerLimits

NOBODY = "65534:65534"
SOCKET_FOLDER = "/run/haet"
HOME = "/tmp"  # noqa: S108 inside the container

_TMPFS = "rw,nosuid,nodev,noexec"
_MASKED_TMPFS = "ro,nosuid,nodev,noexec,size=4k,nr_inodes=2,mode=0555"


def confinement(
    role: Role, limits: WorkerLimits, *, oci_runtime: str | None, cuda: bool
) -> dict[str, object]:
    """Options for every worker: no network, no rights, no writable storage but two small tmpfs, no log."""
    options: dict[str, object] = {
        "network_mode": "none",
        "read_only": True,
        "user": NOBODY,
        "cap_drop": ["ALL"],
        "security_opt": _security(_seccomp_profile()),
        "ipc_mode": "private",
        "tmpfs": {
            HOME: f"{_TMPFS},mode=1777,size={limits.tmp_bytes},nr_inodes={limits.tmp_inodes}",
            "/dev/shm": f"{_TMPFS},mode=1777,size={limits.shm_bytes},nr_inodes={limits.tmp_inodes}",  # noqa: S108 likewise
            # The engine mounts a file system of message queues here, which anyone in the container may write
            # to.
            "/dev/mqueue": _MASKED_TMPFS,
        },
        "working_dir": HOME,
        "mem_limit": limits.memory_bytes,
        # Memory and swap together: the same number leaves no swap.
        "memswap_limit": limits.memory_bytes,
        "pids_limit": limits.processes,
        "ulimits": [
            {"Name": "core", "Soft": 0, "Hard": 0},
            # A sparse file takes no room in a tmpfs, so the size of the tmpfs alone does not bound its
            # length.
            {"Name": "fsize", "Soft": limits.tmp_bytes, "Hard": limits.tmp_bytes},
            {"Name": "msgqueue", "Soft": 0, "Hard": 0},
            {"Name": "nofile", "Soft": limits.open_files, "Hard": limits.open_files},
        ],
        # What a container prints would otherwise fill the host's disk.
        "log_config": {"Type": "none", "Config": {}},
        "hostname": role.value,
    }
    if limits.cpus is not None:
        options["nano_cpus"] = int(limits.cpus * 1e9)
    if oci_runtime is not None:
        options["runtime"] = oci_runtime
    # The submission's process holds handles, and needs no GPU.
    if cuda and role is not Role.SUBMISSION:
        options["device_requests"] = [{"Driver": "nvidia", **_gpus(), "Capabilities": [["gpu"]]}]
    return options


def loopback(network: Network) -> dict[str, object]:
    """The other options of workers that talk to each other: a namespace with only a loopback device."""
    if network is None:
        return {}
    options: dict[str, object] = {"security_opt": _security(loopback_profile(_seccomp_profile()))}
    if isinstance(network, DockerWorker):
        # The engine refuses a host name together with the network of another container.
        options |= {"network_mode": f"container:{network.container_id}", "hostname": None}
    return options


def socket_mount(socket_path: Path) -> dict[str, dict[str, str]]:
    """The one mount: the folder of the worker's own socket. A worker can connect on a read-only mount."""
    return {str(socket_path.parent): {"bind": SOCKET_FOLDER, "mode": "ro"}}


def deadline_command(limits: WorkerLimits, command: list[str]) -> list[str]:
    """The command under coreutils' `timeout`, which as process 1 cannot be killed or stopped from inside.

    It ends the container if haet-eval has died; the kernel ends the other processes with it. The command
    opens other streams, so that no process holds the engine's: output there costs the engine time even
    without a log.
    """
    silent = 'exec timeout --signal=KILL "$@" </dev/null >/dev/null 2>&1'
    return ["sh", "-c", silent, "sh", str(limits.deadline_seconds), *command]


def labels(run_folder: Path, limits: WorkerLimits) -> Mapping[str, str]:
    """The labels by which a later haet-eval knows whose container this is, and when it ends by itself."""
    return {
        LABEL_FOLDER: str(run_folder),
        LABEL_PLACE: place_of(run_folder),
        LABEL_DEADLINE: str(limits.deadline_seconds),
    }


LABEL_FOLDER = "haet-eval.run-folder"
LABEL_PLACE = "haet-eval.place"
LABEL_DEADLINE = "haet-eval.deadline-seconds"


AF_INET, AF_INET6, AF_NETLINK = 2, 10, 16
NETLINK_ROUTE = 0


def loopback_profile(profile: str) -> str:
    """The seccomp profile that also lets sockets of the internet's families through, and of netlink.

    The C library asks netlink for the machine's addresses. The rule that refuses every family but AF_UNIX is
    removed. Families that no rule allows still fail, by the profile's default.
    """
    document = json.loads(profile)
    rules = [rule for rule in document["syscalls"] if not _refuses_families(rule)]
    for family in (AF_INET, AF_INET6, AF_NETLINK):
        conditions = [_equals(0, family)]
        if family == AF_NETLINK:
            conditions.append(_equals(2, NETLINK_ROUTE))
        rules.append({"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": conditions})
    return json.dumps(document | {"syscalls": rules})


def _equals(argument: int, value: int) -> dict[str, object]:
    return {"index": argument, "value": value, "op": "SCMP_CMP_EQ"}


def _refuses_families(rule: Mapping[str, Any]) -> bool:
    return "socket" in rule["names"] and rule["action"] == "SCMP_ACT_ERRNO"


def _security(profile: str) -> list[str]:
    return ["no-new-privileges:true", f"seccomp={profile}"]


def _gpus() -> dict[str, object]:
    """The machine's GPUs, or only those that a batch or a scheduler left to this process."""
    left = gpus_left()
    return {"Count": -1} if left is None else {"DeviceIDs": left}


def _seccomp_profile() -> str:
    return (sandbox_folder() / "seccomp.json").read_text(encoding="utf-8")
