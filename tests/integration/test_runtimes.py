"""What every runtime promises about its workers; then what only containers and only processes do."""

import gc
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

import psutil
import pytest

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.docker import DockerRuntime
from haet_eval.runtimes.docker.engine import connect
from haet_eval.runtimes.docker.image import check_image
from haet_eval.runtimes.docker.worker import DockerWorker
from haet_eval.runtimes.failures import judge_end
from haet_eval.runtimes.folder import RunFolder, abandoned_folders
from haet_eval.runtimes.interface import Role
from haet_eval.runtimes.leftovers import remove_leftovers
from haet_eval.runtimes.process import ProcessRuntime
from tests.fixtures.probes import LIMITS, PATIENCE_SECONDS, Probe, in_container, in_process, with_limits

OTHER_RUNTIME = "io.containerd.runc.v2"
"""Every engine knows this name, too, by which it calls runc."""

# Passes connections on to the engine until it is killed, as if the engine were.
FORWARDER = """
import socket, sys, threading
def pump(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
while True:
    near, _ = listener.accept()
    far = socket.socket(socket.AF_UNIX)
    far.connect(sys.argv[2])
    threading.Thread(target=pump, args=(near, far), daemon=True).start()
    threading.Thread(target=pump, args=(far, near), daemon=True).start()
"""

# The Docker SDK does not close a socket that could not connect.
SDK_DROPS_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Start = Callable[..., AbstractContextManager[Probe]]


@pytest.fixture(
    params=[pytest.param("docker", marks=pytest.mark.docker), "process"],
)
def start(request: pytest.FixtureRequest) -> Start:
    if request.param == "process":
        return in_process
    request.getfixturevalue("sandbox_image")
    return in_container


def test_a_worker_talks_over_its_socket_and_its_status_is_known(start: Start) -> None:
    with start("say('here'); say(host.recv(5).decode()); sys.exit(3)") as probe:
        assert probe.line() == "here"
        assert probe.worker.poll() is None
        probe.connection.sendall(b"reply")
        assert probe.line() == "reply"
        end = probe.end()
    assert (end.code, end.signal) == (3, None)
    assert not end.out_of_memory
    assert not end.processes_exhausted
    assert not end.from_outside


STOPS_A_CHILD = """
import signal
if (child := os.fork()) == 0:
    time.sleep(600)
os.kill(child, signal.SIGSTOP)
os.waitpid(child, os.WUNTRACED)
say('stopped')
time.sleep(600)
"""
STOPS_ITSELF = "import signal; say('stopped'); os.kill(os.getpid(), signal.SIGSTOP)"


def assert_it_runs_for_a_while(probe: Probe) -> None:
    """For long enough to look at it several times."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert probe.worker.poll() is None
        time.sleep(0.1)


def test_a_worker_may_stop_its_own_children(start: Start) -> None:
    with start(STOPS_A_CHILD) as probe:
        assert probe.line() == "stopped"
        assert_it_runs_for_a_while(probe)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_a_submission_that_stops_itself_in_its_container_wastes_its_own_time() -> None:
    with in_container(STOPS_ITSELF) as probe:
        assert probe.line() == "stopped"
        assert_it_runs_for_a_while(probe)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
@pytest.mark.parametrize("role", [Role.EXECUTOR, Role.NATIVE])
def test_other_workers_that_stand_still_in_their_container_judge_nobody(role: Role) -> None:
    with in_container(STOPS_ITSELF, role) as probe:
        assert probe.line() == "stopped"
        with pytest.raises(EnvironmentProblem) as caught:
            assert_it_runs_for_a_while(probe)
    assert caught.value.code == "paused"


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_a_container_that_was_started_again_between_two_looks_was_ended_from_outside() -> None:
    with in_container("say('here'); time.sleep(600)") as probe:
        assert probe.line() == "here"
        assert probe.worker.poll() is None
        assert isinstance(probe.worker, DockerWorker)
        with closing(connect()) as client:
            client.containers.get(probe.worker.container_id).restart(timeout=1)
        end = probe.worker.poll()
    assert end is not None
    assert end.from_outside
    assert end.detail == "its container was started again"


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_worker_that_a_signal_ends(start: Start, crash: signal.Signals) -> None:
    with start(f"os.kill(os.getpid(), {int(crash)})") as probe:
        end = probe.end()
    assert (end.code, end.signal) == (None, crash)
    assert not end.out_of_memory
    assert not end.from_outside


def test_only_listed_variables_reach_a_worker(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAET_SECRET", "leaked")
    with start(
        "say('|'.join(f'{k}={v}' for k, v in os.environ.items()))", environment={"OMP_NUM_THREADS": "1"}
    ) as probe:
        variables = dict(item.split("=", 1) for item in probe.line().split("|"))
    assert variables["OMP_NUM_THREADS"] == "1"
    assert set(variables) <= {
        *("HAET_COMPILED_CLIENT", "HOME", "HOSTNAME", "LANG", "LC_ALL"),
        *(
            "OMP_NUM_THREADS",
            "PATH",
            "PWD",
            "PYTHONHASHSEED",
            "TMPDIR",
            "TORCH_DEVICE_BACKEND_AUTOLOAD",
            "TZ",
        ),
    }


def test_the_executor_keeps_its_pages(start: Start) -> None:
    with start("say(os.environ['MALLOC_TRIM_THRESHOLD_'])", role=Role.EXECUTOR) as probe:
        assert probe.line() == "4000000000"


def test_its_home_can_be_written(start: Start) -> None:
    with start("outcome(lambda: open(os.environ['HOME'] + '/file', 'w'))") as probe:
        assert probe.line() == "done"


def test_killing_ends_a_worker_that_ignores_signals_and_is_idempotent(start: Start) -> None:
    code = (
        "import signal\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\nsay('deaf')\ntime.sleep(600)"
    )
    with start(code) as probe:
        assert probe.line() == "deaf"
        probe.worker.kill()
        assert probe.connection.recv(1) == b""
        probe.worker.kill()
        end = probe.worker.poll()
    assert end is not None
    assert (end.code, end.signal) == (None, signal.SIGKILL)
    assert not end.out_of_memory
    assert not end.from_outside


def test_killing_ends_a_daemonised_child(start: Start) -> None:
    code = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say('daemon')
        while True:
            time.sleep(1)
    os._exit(0)
os.wait()
time.sleep(600)
"""
    with start(code) as probe:
        assert probe.line() == "daemon"
        probe.worker.kill()
        assert probe.connection.recv(1) == b""  # nobody holds the other end any more


def test_a_memory_bomb_is_known_for_one(start: Start) -> None:
    with start("hoard = []\nwhile True: hoard.append(bytearray(os.urandom(2**20)))") as probe:
        end = probe.end()
    assert end.out_of_memory
    assert end.signal == signal.SIGKILL


def test_peak_memory_is_measured(start: Start) -> None:
    with start("block = bytearray(b'x') * (64 * 2**20); say('full'); time.sleep(600)") as probe:
        assert probe.line() == "full"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (probe.worker.peak_memory_bytes() or 0) < 64 * 2**20:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        peak = probe.worker.peak_memory_bytes()
    assert peak is not None
    assert peak <= LIMITS.memory_bytes


def test_processor_time_is_measured_of_children_that_nobody_waits_for_too(start: Start) -> None:
    code = """
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        while time.process_time() < 1:
            pass
        os._exit(0)
    try:
        os.wait()
    except ChildProcessError:
        pass
say('burnt')
time.sleep(600)
"""
    with start(code) as probe:
        assert probe.line() == "burnt"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (probe.worker.cpu_seconds() or 0) < 2:  # of 3 s; a look of the supervisor may come late
            assert time.monotonic() < deadline, probe.worker.cpu_seconds()
            time.sleep(0.05)
        if isinstance(probe.worker, DockerWorker):  # if the control group cannot be read, the engine says it
            assert (probe.worker._engine_seconds() or 0) >= 2


def test_too_many_processes_are_known(start: Start) -> None:
    code = """
for _ in range(200):
    try:
        if os.fork() == 0:
            time.sleep(600)
    except OSError:
        break
time.sleep(600)
"""
    with start(code) as probe:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not probe.worker.processes_exhausted():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_worker_ends_itself_at_its_deadline_which_judges_nobody(start: Start) -> None:
    """haet-eval ends each stage before: only if haet-eval itself was stopped does a worker come so far."""
    with start("time.sleep(600)", limits=with_limits(deadline_seconds=2)) as probe:
        end = probe.end()
    assert end.signal == signal.SIGKILL
    assert not end.out_of_memory
    for role in Role:
        assert isinstance(judge_end(role, end, submission_started=True), EnvironmentProblem)


def test_leaving_the_runtime_kills_what_runs() -> None:
    with RunFolder() as folder, folder.listen(Role.EXECUTOR) as listener:
        main = (
            sys.executable,
            "-I",
            "-c",
            "import socket, sys, time\ns = socket.socket(1)\ns.connect(sys.argv[1])\ntime.sleep(600)",
        )
        with ProcessRuntime(mains={Role.EXECUTOR: main}) as runtime:
            runtime.start(Role.EXECUTOR, folder.socket_path(Role.EXECUTOR), LIMITS, {})
            connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE_SECONDS)
            assert connection.recv(1) == b""


def test_a_worker_that_cannot_be_ended_in_time_does_not_keep_another(monkeypatch: pytest.MonkeyPatch) -> None:
    main = (sys.executable, "-c", "import time; time.sleep(1000)")
    with RunFolder() as folder, ExitStack() as stack:
        runtime = ProcessRuntime(mains={Role.NATIVE: main})
        stack.callback(runtime.close)
        workers = []
        for node in range(2):
            stack.enter_context(folder.listen(Role.NATIVE, node))
            workers.append(runtime.start(Role.NATIVE, folder.socket_path(Role.NATIVE, node), LIMITS, {}))
        monkeypatch.setattr("haet_eval.runtimes.process._END_SECONDS", 0)
        with pytest.raises(EnvironmentProblem, match="did not end within 0 s"):
            runtime.close()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while None in [worker.poll() for worker in workers]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_process_worker_says_why_it_could_not_start() -> None:
    with in_process("import nothing_of_that_name") as probe:
        end = probe.end()
    assert end.code == 1
    assert "nothing_of_that_name" in end.detail


def test_what_was_printed_before_is_no_cause_of_a_kill() -> None:
    code = "sys.stderr.write('No CUDA runtime is found'); sys.stderr.flush(); os.kill(os.getpid(), 9)"
    with in_process(code) as probe:
        end = probe.end()
    assert (end.signal, end.detail) == (signal.SIGKILL, "")
    problem = judge_end(Role.SUBMISSION, end, submission_started=True)
    assert "CUDA" not in str(problem)


@pytest.fixture
def orphan_maker(tmp_path: Path) -> Iterator[Callable[[str], tuple[psutil.Process, socket.socket]]]:
    """Starts another haet-eval that starts a worker; gives it and its end of the worker's socket."""
    started: list[subprocess.Popen[bytes]] = []

    def make(runtime: str) -> tuple[psutil.Process, socket.socket]:
        meeting = tmp_path / "meeting"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(meeting))
        listener.listen(1)
        listener.settimeout(PATIENCE_SECONDS)
        program = f"""
import socket, time
from tests.fixtures.probes import in_container, in_process
with in_{runtime}("say('up'); host.recv(1); say('alive'); time.sleep(600)") as probe:
    assert probe.line() == "up"
    meeting = socket.socket(socket.AF_UNIX)
    meeting.connect({str(meeting)!r})
    socket.send_fds(meeting, [b"x"], [probe.connection.fileno()])
    time.sleep(600)
"""
        owner = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
        started.append(owner)
        connection, _ = listener.accept()
        with listener, connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        return psutil.Process(owner.pid), socket.socket(fileno=descriptors[0])

    yield make
    for owner in started:
        owner.kill()
        owner.wait()


def test_local_workers_end_with_a_killed_haet_eval(
    orphan_maker: Callable[[str], tuple[psutil.Process, socket.socket]],
) -> None:
    owner, worker_socket = orphan_maker("process")
    with worker_socket:
        worker_socket.settimeout(PATIENCE_SECONDS)
        owner.kill()
        assert worker_socket.recv(1) == b""


@pytest.mark.docker
def test_leftovers_of_a_killed_run_go_and_those_of_a_live_run_stay(
    sandbox_image: str, orphan_maker: Callable[[str], tuple[psutil.Process, socket.socket]]
) -> None:
    owner, worker_socket = orphan_maker("container")
    with in_container("say('mine'); say(host.recv(1).decode())") as mine, worker_socket:
        worker_socket.settimeout(PATIENCE_SECONDS)
        assert mine.line() == "mine"
        remove_leftovers()
        worker_socket.sendall(b"x")
        assert worker_socket.recv(100) == b"alive\n"  # untouched: its owner lives
        owner.kill()
        owner.wait()
        removed = remove_leftovers()
        assert len(removed.containers) >= 1
        assert len(removed.folders) >= 1
        assert worker_socket.recv(1) == b""
        mine.connection.sendall(b"y")
        assert mine.line() == "y"
    assert list(abandoned_folders()) == []


@pytest.mark.docker
def test_nothing_is_left_of_a_container(sandbox_image: str) -> None:
    with in_container("say('up')") as probe:
        container_id = _container_id(probe)
        assert probe.lines() == ["up"]
        probe.end()
    with closing(connect()) as client:
        left = client.api.containers(all=True, filters={"id": container_id})
    assert left == []


@pytest.mark.docker
def test_a_container_that_an_administrator_kills_was_ended_from_outside(sandbox_image: str) -> None:
    with in_container("say('up'); time.sleep(600)") as probe, closing(connect()) as client:
        assert probe.line() == "up"
        client.api.kill(_container_id(probe))
        end = probe.end()
    assert end.from_outside
    assert not end.out_of_memory


@pytest.mark.docker
def test_a_container_that_an_administrator_removes_was_ended_from_outside(sandbox_image: str) -> None:
    with in_container("say('up'); time.sleep(600)") as probe, closing(connect()) as client:
        assert probe.line() == "up"
        client.api.remove_container(_container_id(probe), force=True)
        assert probe.end().from_outside


@SDK_DROPS_SOCKETS
@pytest.mark.docker
def test_an_engine_that_stops_in_mid_run_is_the_environments_fault(
    sandbox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = tmp_path / "engine.sock"
    forwarder = subprocess.Popen(
        [sys.executable, "-c", FORWARDER, str(address), "/var/run/docker.sock"], stdout=subprocess.PIPE
    )
    assert forwarder.stdout is not None
    with forwarder:
        assert forwarder.stdout.readline() == b"listening\n"
        monkeypatch.setenv("DOCKER_HOST", f"unix://{address}")
        orphan = _container_id_of_a_run_that_loses_its_engine(forwarder)
    monkeypatch.delenv("DOCKER_HOST")
    gc.collect()
    assert remove_leftovers().containers
    with closing(connect()) as client:
        assert client.api.containers(all=True, filters={"id": orphan}) == []


@pytest.mark.docker
def test_the_image_is_described(sandbox_image: str) -> None:
    with DockerRuntime() as runtime:
        runtime.check()
        facts = runtime.describe()
    assert facts["image_digest"] == sandbox_image
    assert facts["engine_version"]


@pytest.mark.docker
def test_an_image_of_other_sources_is_noticed(sandbox_image: str) -> None:
    with closing(connect()) as client, pytest.raises(EnvironmentProblem, match="other sources") as caught:
        check_image(client, source_digest="another")
    assert "haet-eval image" in caught.value.hint


@pytest.mark.docker
def test_an_unknown_oci_runtime_is_refused(sandbox_image: str) -> None:
    with (
        DockerRuntime(oci_runtime="no-such-runtime") as runtime,
        pytest.raises(EnvironmentProblem, match="no-such-runtime"),
    ):
        runtime.check()


@pytest.mark.docker
def test_another_oci_runtime_is_used_and_reported(
    sandbox_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAET_OCI_RUNTIME", OTHER_RUNTIME)
    with RunFolder() as folder, folder.listen(Role.SUBMISSION), DockerRuntime() as runtime:
        runtime.check()
        assert runtime.describe()["oci_runtime"] == OTHER_RUNTIME
        worker = runtime.start(Role.SUBMISSION, folder.socket_path(Role.SUBMISSION), LIMITS, {})
        with closing(connect()) as client:
            assert client.api.inspect_container(worker.container_id)["HostConfig"]["Runtime"] == OTHER_RUNTIME


def test_a_missing_engine_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(EnvironmentProblem, match="no Docker engine answers at /nowhere/") as caught:
        connect()
    assert "systemctl start docker" in caught.value.hint


def test_an_engine_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(EnvironmentProblem, match="elsewhere"):
        connect()


def test_a_socket_path_that_is_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with RunFolder() as folder, pytest.raises(EnvironmentProblem, match="too long") as caught:
        folder.listen(Role.EXECUTOR)
    assert "TMPDIR" in caught.value.hint


def _container_id(probe: Probe) -> str:
    assert isinstance(probe.worker, DockerWorker)
    return probe.worker.container_id


def _container_id_of_a_run_that_loses_its_engine(forwarder: subprocess.Popen[bytes]) -> str:
    with ExitStack() as run:
        probe = run.enter_context(in_container("say('up'); time.sleep(600)"))
        assert probe.line() == "up"
        forwarder.kill()
        forwarder.wait()
        with pytest.raises(EnvironmentProblem, match="looking at a worker"):
            probe.worker.poll()
        with pytest.raises(EnvironmentProblem):
            run.close()
    return _container_id(probe)
