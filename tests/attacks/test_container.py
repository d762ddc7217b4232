"""What hostile code can and cannot do in a worker's container, on the real engine.

The submission's container and the executor's are confined alike; the code runs as the submission would.
"""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from haet_eval.errors import SubmissionFailure, Verdict
from haet_eval.runtimes.docker.container import LABEL_FOLDER
from haet_eval.runtimes.docker.engine import connect
from haet_eval.runtimes.docker.worker import DockerWorker
from haet_eval.runtimes.failures import judge_end
from haet_eval.runtimes.folder import abandoned_folders, is_abandoned
from haet_eval.runtimes.interface import Exit, Role
from tests.fixtures.probes import LIMITS, in_container, with_limits

pytestmark = pytest.mark.docker

SYSTEM_CALLS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    say(errno.errorcode[ctypes.get_errno()] if result == -1 else "done")
"""


@pytest.fixture(autouse=True)
def engine_stays_healthy(sandbox_image: str) -> Iterator[None]:
    """After each attack the engine answers and holds nothing that nobody owns, and no folder is left."""
    yield
    assert not list(abandoned_folders())
    with closing(connect()) as client:
        left = client.containers.list(all=True, filters={"label": LABEL_FOLDER})
        assert not [one for one in left if is_abandoned(Path(one.labels[LABEL_FOLDER]))]


def said(code: str) -> list[str]:
    """What the code says in a container."""
    with in_container(code) as probe:
        return probe.lines()


def verdict(end: Exit) -> Verdict:
    """The verdict of the submission."""
    failure = judge_end(Role.SUBMISSION, end, submission_started=True)
    assert isinstance(failure, SubmissionFailure)
    return failure.verdict


def test_fork_bomb_is_bounded_and_gets_its_verdict() -> None:
    code = """
def bomb():
    refused = False
    while not refused:
        try:
            os.fork()
        except OSError:
            refused = True
bomb()
say('full')
time.sleep(2)
os._exit(1)
"""
    with in_container(code) as probe:
        assert probe.line() == "full"
        assert probe.worker.processes_exhausted()
        assert verdict(probe.end()) is Verdict.LIMIT_PROCESSES


def test_threads_count_as_processes() -> None:
    code = """
import threading
started = 0
try:
    for started in range(10_000):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
except RuntimeError:
    say(started)
    time.sleep(600)  # the kernel's count goes with the container
"""
    with in_container(code) as probe:
        assert int(probe.line()) < LIMITS.processes
        assert probe.worker.processes_exhausted()


@pytest.mark.parametrize("block", ["bytearray(os.urandom(2**20))", "shared()"])
def test_memory_bomb_gets_its_verdict(block: str) -> None:
    code = f"""
import mmap
def shared():
    pages = mmap.mmap(-1, 2**20)
    pages.write(bytes(2**20))
    return pages
hoard = []
while True:
    hoard.append({block})
"""
    with in_container(code) as probe:
        assert verdict(probe.end()) is Verdict.LIMIT_MEMORY


def test_a_child_out_of_memory_does_not_condemn_its_parent() -> None:
    code = """
if os.fork() == 0:
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(2**20)))
say(os.waitstatus_to_exitcode(os.wait()[1]))
sys.exit(0)
"""
    with in_container(code) as probe:
        assert probe.line() == str(-signal.SIGKILL)
        end = probe.end()
    assert end.code == 0
    assert not end.out_of_memory


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_filling_a_tmpfs_stops_at_its_size(folder: str) -> None:
    code = f"""
written = 0
with open("{folder}/file", "wb", buffering=0) as file:
    try:
        while True:
            written += file.write(bytes(2**16))
    except OSError as error:
        say(errno.errorcode[error.errno])
say(written)
"""
    refusal, written = said(code)
    assert refusal in ("ENOSPC", "EFBIG")
    assert int(written) <= (LIMITS.tmp_bytes if folder == "/tmp" else LIMITS.shm_bytes)


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_inodes_run_out(folder: str) -> None:
    code = f"""
count = 0
try:
    while True:
        open(f"{folder}/{{count}}", "w").close()
        count += 1
except OSError as error:
    say(errno.errorcode[error.errno])
say(count)
"""
    refusal, count = said(code)
    assert refusal == "ENOSPC"
    assert int(count) <= LIMITS.tmp_inodes


def test_a_sparse_file_of_eight_tebibytes_is_refused() -> None:
    assert said("outcome(lambda: os.truncate(os.open('/tmp/file', os.O_CREAT | os.O_RDWR), 2**43))") == [
        "EFBIG"
    ]


def test_only_the_two_tmpfs_can_be_written() -> None:
    code = """
for folder, _, _ in os.walk('/'):
    if not folder.startswith('/proc/') and os.access(folder, os.W_OK):
        say(folder)
"""
    assert sorted(said(code)) == ["/dev/shm", "/tmp"]


@pytest.mark.parametrize("path", ["/opt/sandbox/submission.py", "/etc/passwd", "/run/haet/file", "/file"])
def test_the_root_and_the_socket_folder_are_read_only(path: str) -> None:
    assert said(f"outcome(lambda: os.open({path!r}, os.O_CREAT | os.O_RDWR))")[0] in ("EROFS", "EACCES")


def test_nothing_in_its_storage_can_be_executed() -> None:
    code = """
with open('/tmp/program', 'w') as file:
    file.write('#!/bin/sh\\n')
os.chmod('/tmp/program', 0o755)
outcome(lambda: os.execv('/tmp/program', ['program']))
"""
    assert said(code) == ["EACCES"]


def test_it_has_no_rights_and_can_gain_none() -> None:
    code = """
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
for key in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'):
    say(int(status[key], 16))
say(os.getresuid())
say(os.getgroups())
outcome(lambda: os.setuid(0))
outcome(lambda: os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0)))
outcome(lambda: os.chroot('/tmp'))
"""
    assert said(code) == [
        *("0", "0", "0", "0", "0", "1", "2"),
        "(65534, 65534, 65534)",
        *("[65534]", "EPERM", "EPERM", "EPERM"),
    ]


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("AF_INET", "SOCK_STREAM"),
        ("AF_INET", "SOCK_RAW"),
        ("AF_INET6", "SOCK_DGRAM"),
        ("AF_VSOCK", "SOCK_STREAM"),
        ("AF_NETLINK", "SOCK_RAW"),
        ("AF_PACKET", "SOCK_RAW"),
        ("AF_ALG", "SOCK_SEQPACKET"),
    ],
)
def test_sockets_of_other_families_are_refused(family: str, kind: str) -> None:
    assert said(f"outcome(lambda: socket.socket(socket.{family}, socket.{kind}))") == ["EAFNOSUPPORT"]


def test_a_family_with_high_bits_set_is_refused() -> None:
    refused = said(SYSTEM_CALLS + "call(41, ctypes.c_uint64(0x1_0000_0002), 1, 0)")
    assert refused == ["EAFNOSUPPORT"]


def test_nothing_of_the_host_can_be_written_and_nothing_is_attached(sandbox_image: str) -> None:
    """So the host has no file of the container to read, and no stream of it to drain."""
    with in_container("time.sleep(60)") as probe, closing(connect()) as client:
        assert isinstance(probe.worker, DockerWorker)
        facts = client.api.inspect_container(probe.worker.container_id)
    assert [(mount["Type"], mount["RW"]) for mount in facts["Mounts"]] == [("bind", False)]
    assert facts["HostConfig"]["LogConfig"]["Type"] == "none"
    assert {facts["Config"][stream] for stream in ("AttachStdin", "OpenStdin", "Tty")} == {False}
    assert not facts["HostConfig"]["Privileged"]
    assert facts["HostConfig"]["CapDrop"] == ["ALL"]


def test_names_are_not_resolved_and_there_is_no_network() -> None:
    code = """
try:
    socket.getaddrinfo('example.org', 80)
except OSError as error:
    say(type(error).__name__)
say(sorted(os.listdir('/sys/class/net')))
"""
    assert said(code) == ["gaierror", "['lo']"]


def test_no_socket_but_its_own_is_in_reach() -> None:
    code = """
import stat
for folder, _, names in os.walk('/'):
    for name in names:
        path = os.path.join(folder, name)
        if not path.startswith('/proc/') and stat.S_ISSOCK(os.lstat(path).st_mode):
            say(path)
outcome(lambda: os.listdir('/run/haet'))
say(os.path.exists('/run/haet/meter.sock'))
"""
    assert said(code) == ["EACCES", "True"]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("ptrace", 101),
        ("mount", 165),
        ("keyctl", 250),
        ("unshare", 272),
        ("perf_event_open", 298),
        ("process_vm_readv", 310),
        ("memfd_create", 319),
        ("bpf", 321),
        ("userfaultfd", 323),
        ("pidfd_getfd", 438),
        ("setxattr", 188),
        ("shmget", 29),
    ],
)
def test_a_system_call_that_no_training_needs_is_refused(name: str, number: int) -> None:
    assert said(SYSTEM_CALLS + f"call({number}, 0, 0, 0, 0, 0)") == ["EPERM"], name


@pytest.mark.parametrize("number", [425, 426, 427])
def test_io_uring_is_not_there(number: int) -> None:
    assert said(SYSTEM_CALLS + f"call({number}, 8, 0, 0, 0, 0)") == ["ENOSYS"]


def test_no_new_namespace_by_clone() -> None:
    new_user_namespace = 0x10000000
    assert said(SYSTEM_CALLS + f"call(56, {new_user_namespace | signal.SIGCHLD}, 0, 0, 0, 0)") == ["EPERM"]
    assert said(SYSTEM_CALLS + "call(435, 0, 0)") == ["ENOSYS"]


def test_32_bit_system_calls_do_not_get_round_the_filter() -> None:
    code = """
import ctypes, mmap
# int 0x80 with eax = 20 (getpid of the 32-bit table)
machine_code = b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3"
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(machine_code)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
say(ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid())
"""
    with in_container(code) as probe:
        assert probe.lines() != ["True"]


def test_standard_output_leads_nowhere() -> None:
    code = """
for process in ('self', '1'):
    for descriptor in '012':
        try:
            say(os.readlink(f'/proc/{process}/fd/{descriptor}'))
        except PermissionError:
            say('hidden')
block = b'x' * 2**20
for _ in range(256):
    os.write(1, block)
    os.write(2, block)
say('flooded')
"""
    *targets, last = said(code)
    assert set(targets) <= {"/dev/null", "hidden"}
    assert last == "flooded"


def test_its_deadline_cannot_be_escaped() -> None:
    code = """
import signal
signal.alarm(0)
for s in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN):
    os.kill(1, s)
os.setsid() if os.getpid() != os.getsid(0) else None
say('still here')
time.sleep(600)
"""
    with in_container(code, limits=with_limits(deadline_seconds=3)) as probe:
        assert probe.line() == "still here"
        assert probe.end().signal == signal.SIGKILL


def test_the_executor_is_confined_alike() -> None:
    code = """
outcome(lambda: socket.socket(socket.AF_INET))
outcome(lambda: open('/file', 'w'))
say(os.getuid())
"""
    with in_container(code, role=Role.EXECUTOR) as probe:
        assert probe.lines() == ["EAFNOSUPPORT", "EROFS", "65534"]


def test_torch_trains_under_the_filter() -> None:
    code = """
import torch, torchvision
torch.manual_seed(0)
model = torchvision.models.resnet18(num_classes=10)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(2):
    loss = torch.nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4))
    optimizer.zero_grad(); loss.backward(); optimizer.step()
say(torch.isfinite(loss).item())
"""
    with in_container(code, role=Role.EXECUTOR, limits=with_limits(memory_bytes=2 * 2**30)) as probe:
        assert probe.lines() == ["True"]


def test_the_image_holds_what_the_workers_import() -> None:
    code = """
import haet_eval.remote.client, haet_eval.remote.executor
import pathlib
for main in ('submission', 'executor'):
    compile(pathlib.Path(f'/opt/sandbox/{main}.py').read_text(), main, 'exec')
say('both')
"""
    assert said(code) == ["both"]
