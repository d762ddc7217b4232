"""A short attack on this machine's own engine: hostile code in a worker's container, which must hold it.

Each attack runs alone, confined as a submission is. Its code reports over its socket what happened, and the
attack compares these words with the answer of a safe machine.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.folder import RunFolder
from haet_eval.runtimes.interface import Exit, Role, Runtime, WorkerLimits

# Small, so that an attack that is held ends within seconds, and one that is not does little harm.
LIMITS: Final = WorkerLimits(
    memory_bytes=192 * 2**20,
    processes=32,
    deadline_seconds=120,
    cpus=1.0,
    tmp_bytes=8 * 2**20,
    tmp_inodes=64,
    shm_bytes=4 * 2**20,
)
# Less than the container's own deadline, so that a container that goes on is seen as such.
_PATIENCE_SECONDS: Final = 90.0

PRELUDE: Final = """
import errno, os, socket, sys, time
host = socket.socket(socket.AF_UNIX)
host.connect(sys.argv[1])
def say(text):
    host.sendall((str(text) + "\\n").encode())
def attempt(name, action):
    try:
        action()
    except OSError as error:
        return
    say(name)
"""


@dataclass(frozen=True, slots=True)
class AttackOutcome:
    """The result of an attack: the words of its code, and the end of its container (None: it did not end)."""

    said: tuple[str, ...]
    end: Exit | None
    processes_exhausted: bool


@dataclass(frozen=True, slots=True)
class Attack:
    """Hostile code and its judge.

    Attributes:
        name: the target of the attack.
        held: the behaviour of a safe machine, for the reader.
        code: runs after PRELUDE.
        breach: the breach in a few words; empty if the container held the attack.
    """

    name: str
    held: str
    code: str
    breach: Callable[[AttackOutcome], str]


def run_attack(attack: Attack) -> str:
    """The breach of an attack; empty if the container held it.

    Raises:
        EnvironmentProblem: the attack could not be tried.
    """
    return attack.breach(run_probe(Role.SUBMISSION, PRELUDE + attack.code, LIMITS))


def run_probe(role: Role, code: str, limits: WorkerLimits, *, cuda: bool = False) -> AttackOutcome:
    """Run Python code in a container of the sandbox image, with its socket's path in `sys.argv[1]`.

    Raises:
        EnvironmentProblem: it cannot be started, or does not connect.
    """
    from haet_eval.runtimes.docker.runtime import PYTHON, DockerRuntime  # the engine's SDK is slow to import

    with DockerRuntime(cuda=cuda, mains={role: (PYTHON, "-I", "-c", code)}) as runtime:
        return observe(runtime, role, limits)


def observe(runtime: Runtime, role: Role, limits: WorkerLimits) -> AttackOutcome:
    """Start a worker, read its words and wait for its end, up to a time limit.

    Raises:
        EnvironmentProblem: it cannot be started, or does not connect.
    """
    # The socket exists before the container, which connects at once.
    with RunFolder() as folder, folder.listen(role) as listener, runtime:
        worker = runtime.start(role, folder.socket_path(role), limits, {})
        deadline = time.monotonic() + _PATIENCE_SECONDS
        # The words are read to their end first: a full socket would keep the code from ending.
        said = _hear(listener, deadline)
        while (end := worker.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return AttackOutcome(said, end, worker.processes_exhausted())


def _hear(listener: socket.socket, deadline: float) -> tuple[str, ...]:
    heard = bytearray()
    try:
        with _accepted(listener) as connection:
            while time.monotonic() < deadline and (more := connection.recv(4096)):
                heard += more
    except OSError as error:
        raise EnvironmentProblem(
            f"the self-test's container did not answer ({error})",
            "The machine may be overloaded; try again.",
            code="selftest",
        ) from None
    return tuple(heard.decode(errors="replace").splitlines())


@contextmanager
def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    listener.settimeout(_PATIENCE_SECONDS)
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(_PATIENCE_SECONDS)
        yield connection


_UNFINISHED: Final = "the attack ended before it was over"


def _reported(outcome: AttackOutcome) -> list[str] | None:
    """What the code of an attack said before its last word, which is `done`; None if it did not say that."""
    # Without the last word the code may have died before its first attempt, which is no proof of a safe
    # machine, and what it said may be cut off.
    *said, last = outcome.said or ("",)
    return said if last == "done" else None


def _nothing_succeeded(outcome: AttackOutcome) -> str:
    """The breach for code that reports each success by its name."""
    succeeded = _reported(outcome)
    if succeeded is None:
        return _UNFINISHED
    return f"it could {', '.join(succeeded)}" if succeeded else ""


def _fork_bomb(outcome: AttackOutcome) -> str:
    said = _reported(outcome)
    if said is None:
        return _UNFINISHED
    if not said:
        return f"it started {LIMITS.processes} processes and more"
    # Runs are judged by this report: without it an entry that starts too many processes has merely `failed`.
    return "" if outcome.processes_exhausted else "the kernel does not report that processes were refused"


def _memory_bomb(outcome: AttackOutcome) -> str:
    end = outcome.end
    if end is None or _reported(outcome) is not None:
        return f"it took more than its {LIMITS.memory_bytes >> 20} MiB and went on"
    if end.signal is None:
        return _UNFINISHED
    return "" if end.out_of_memory else "it was killed, but the engine does not say for what"


def _tmpfs(outcome: AttackOutcome) -> str:
    room = {"/tmp": LIMITS.tmp_bytes, "/dev/shm": LIMITS.shm_bytes}  # noqa: S108 inside the container
    said = _reported(outcome)
    if said is None:
        return _UNFINISHED
    written = dict(line.split() for line in said)
    over = [folder for folder, limit in room.items() if int(written[folder]) > limit]
    return f"it wrote more than it may to {', '.join(over)}" if over else ""


ATTACKS: Final = (
    Attack(
        "network",
        "no interface but loopback, no names resolved, no host reached",
        """
if sorted(os.listdir('/sys/class/net')) != ['lo']:
    say('see a network interface')
attempt('resolve a name', lambda: socket.getaddrinfo('example.org', 80))
attempt('connect to a host', lambda: socket.create_connection(('1.1.1.1', 53), 3))
say('done')
""",
        _nothing_succeeded,
    ),
    Attack(
        "socket families",
        "refused, all but unix",
        """
for family in ('INET', 'INET6', 'NETLINK', 'PACKET', 'VSOCK', 'ALG'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        attempt(f'open a socket AF_{family}', lambda: socket.socket(getattr(socket, f'AF_{family}'), kind))
say('done')
""",
        _nothing_succeeded,
    ),
    Attack(
        "rights",
        "no user but nobody, no capability, none to be gained",
        """
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
if os.getresuid() != (65534,) * 3:
    say('run as another user than nobody')
if any(int(status[key], 16) for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')):
    say('use a capability')
if int(status['NoNewPrivs']) != 1:
    say('gain rights by a program')
attempt('become root', lambda: os.setuid(0))
say('done')
""",
        _nothing_succeeded,
    ),
    Attack(
        "system calls",
        "what no training needs is refused",
        """
import ctypes
libc = ctypes.CDLL(None)
for name, arguments in {
    'unshare': (0x10000000,),
    'mount': (b'none', b'/tmp', b'tmpfs', 0, None),
    'ptrace': (0, 0, 0, 0),
    'memfd_create': (b'x', 0),
    'setns': (0, 0),
    'syslog': (0, None, 0),
}.items():
    if getattr(libc, 'klogctl' if name == 'syslog' else name)(*arguments) != -1:
        say(f'call {name}')
say('done')
""",
        _nothing_succeeded,
    ),
    Attack(
        "root file system",
        "read-only",
        """
for path in ('/file', '/etc/passwd', '/opt/sandbox/submission.py', '/run/haet/file', sys.executable):
    attempt(f'write {path}', lambda: os.open(path, os.O_CREAT | os.O_RDWR))
say('done')
""",
        _nothing_succeeded,
    ),
    Attack(
        "temporary files",
        "stopped at their size",
        """
for folder in ('/tmp', '/dev/shm'):
    written = 0
    try:
        for name in range(8):
            with open(f'{folder}/{name}', 'wb', buffering=0) as file:
                for _ in range(64):
                    written += file.write(bytes(2**16))
    except OSError:
        pass
    say(f'{folder} {written}')
say('done')
""",
        _tmpfs,
    ),
    Attack(
        "fork bomb",
        f"refused beyond {LIMITS.processes} processes",
        f"""
for _ in range({2 * LIMITS.processes}):
    try:
        if os.fork() == 0:
            host.close()
            time.sleep(60)
            os._exit(0)
    except OSError:
        say('refused')
        break
say('done')
host.shutdown(socket.SHUT_RDWR)
time.sleep(3)
os._exit(0)
""",
        _fork_bomb,
    ),
    Attack(
        # Random bytes touch every page; a page that is only reserved takes no memory.
        "memory bomb",
        f"killed beyond {LIMITS.memory_bytes >> 20} MiB",
        f"""
hoard = [os.urandom(2**20) for _ in range({2 * (LIMITS.memory_bytes >> 20)})]
say('done')
""",
        _memory_bomb,
    ),
)
