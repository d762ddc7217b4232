"""When the machine fails and not the submission: nobody is judged, and the user reads what to do.

Each fault is brought about for real, and haet-eval is run as a user runs it.
"""

import contextlib
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import psutil
import pytest

import haet_eval
from haet_eval.errors import ExitCode, Verdict
from haet_eval.record import from_json
from haet_eval.runtimes.docker.cgroup import ControlGroup
from tests.fixtures.engine_proxy import engine_proxy
from tests.fixtures.evaluator import FOREVER, PATIENCE_SECONDS, QUICK, Evaluator, containers_of, ended
from tests.fixtures.program import with_constant
from tests.fixtures.submissions import write_competition, write_native_competition, write_submission

REPOSITORY = Path(haet_eval.__file__).parents[1]


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    return write_submission(tmp_path / "quick", QUICK)


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    return write_submission(tmp_path / "endless", FOREVER)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a file system of so many KiB, on this folder or on a new one."""
    mounted = []

    def mount(kibibytes: int, folder: Path = tmp_path / "disk") -> Path:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def assert_our_fault(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """It ends as the environment's failure, says what and what next, and shows no traceback."""
    assert done.returncode == ExitCode.ENVIRONMENT, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "haet-eval itself failed" not in done.stderr
    *_, error, hint = done.stderr.splitlines()
    assert error.startswith("Error: ")
    assert hint.startswith("Hint: ")
    for word in words:
        assert word.casefold() in f"{error}\n{hint}".casefold()


def worker_of(program: subprocess.Popen[str], role: str) -> psutil.Process:
    """The process of a worker below its supervisor."""
    (found,) = (
        one
        for one in psutil.Process(program.pid).children(recursive=True)
        if any(part.endswith(f"/{role}.py") for part in one.cmdline())
        and not any(part.endswith("supervisor.py") for part in one.cmdline())
    )
    return found


def test_no_engine(evaluator: Evaluator, quick: Path) -> None:
    done = evaluator.run(quick, DOCKER_HOST="unix:///nowhere/docker.sock")
    assert_our_fault(done, "no Docker engine answers", "--sandbox process")
    evaluator.assert_nothing_is_left()
    evaluator.assert_next_run_works()


def test_an_engine_elsewhere(evaluator: Evaluator, quick: Path) -> None:
    done = evaluator.run(quick, DOCKER_HOST="tcp://10.0.0.1:2375")
    assert_our_fault(done, "an engine elsewhere", "unset DOCKER_HOST")
    evaluator.assert_nothing_is_left()


def installation(folder: Path) -> Path:
    """A copy of the program that a test may change."""
    shutil.copytree(
        REPOSITORY / "haet_eval", folder / "haet_eval", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(REPOSITORY / "sandbox", folder / "sandbox")
    shutil.copy(REPOSITORY / "Dockerfile", folder / "Dockerfile")
    return folder


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_no_image_of_this_version(evaluator: Evaluator, quick: Path, tmp_path: Path) -> None:
    program = installation(tmp_path / "installed")
    (program / "haet_eval" / "__init__.py").write_text('__version__ = "0.0.dev0"\n', encoding="utf-8")
    done = evaluator.run(quick, PYTHONPATH=str(program))
    assert_our_fault(done, "haet-eval-sandbox:0.0.dev0 is missing", "run `haet-eval image`")
    evaluator.assert_nothing_is_left()


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_a_stale_image(evaluator: Evaluator, quick: Path, tmp_path: Path) -> None:
    program = installation(tmp_path / "installed")
    with (program / "sandbox" / "executor.py").open("a", encoding="utf-8") as file:
        file.write("# changed since\n")
    done = evaluator.run(quick, PYTHONPATH=str(program))
    assert_our_fault(done, "built from other sources", "run `haet-eval image`")
    evaluator.assert_nothing_is_left()


def test_no_data(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "cifar", QUICK, task="cifar10")
    done = evaluator.run(submission, "--sandbox", "process")
    assert_our_fault(done, "cifar10 is not in", "haet-eval data fetch cifar10")
    evaluator.assert_nothing_is_left()


def test_damaged_data(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "cifar", QUICK, task="cifar10")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar-10-python.tar.gz").write_bytes(b"half an archive")
    assert_our_fault(evaluator.run(submission, "--sandbox", "process"), "cifar-10-python.tar.gz")
    evaluator.assert_nothing_is_left()


def test_results_that_cannot_be_written(evaluator: Evaluator, quick: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    evaluator.results = tmp_path / "file" / "results"
    done = evaluator.run(quick, "--sandbox", "process")
    assert_our_fault(done, "cannot be written: Not a directory", "--results")


@pytest.mark.parametrize("kibibytes", [4, 16, 24])
def test_the_disk_is_full_when_results_are_written(
    evaluator: Evaluator, quick: Path, small_disk: Callable[..., Path], kibibytes: int
) -> None:
    evaluator.results = small_disk(kibibytes)
    done = evaluator.run(quick, "--sandbox", "process")
    assert_our_fault(done, "cannot be written: No space left on device", "free space")
    for kept in evaluator.temporary.iterdir():  # it did not fit
        shutil.rmtree(kept)
    evaluator.assert_nothing_is_left()
    evaluator.results = evaluator.folder / "results"
    evaluator.assert_next_run_works()


def test_the_record_itself_does_not_fit(evaluator: Evaluator, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    (tmp_path / "invalid").mkdir()
    done = evaluator.run(tmp_path / "invalid", "--sandbox", "process", prepare=small_files)
    assert_our_fault(done, "cannot be written: File too large", "free space")
    evaluator.assert_nothing_is_left()


def test_no_room_for_temporary_files(
    evaluator: Evaluator, quick: Path, small_disk: Callable[..., Path]
) -> None:
    evaluator.temporary = small_disk(1024)  # KiB
    done = evaluator.run(quick, "--sandbox", "process")
    assert_our_fault(done, "1 MiB are free for temporary files", "TMPDIR")
    evaluator.assert_nothing_is_left()


def test_temporary_files_fill_the_disk_in_mid_run(
    evaluator: Evaluator, endless: Path, small_disk: Callable[..., Path]
) -> None:
    small_disk(150 << 10, evaluator.temporary)
    with evaluator.running(endless, "--sandbox", "process") as program:
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={evaluator.temporary}/big"], capture_output=True, check=False
        )
        done = ended(program)
    assert_our_fault(done, "No space left on device", "make room for temporary files")
    (evaluator.temporary / "big").unlink()
    evaluator.assert_nothing_is_left()


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced by a file"])
def test_a_run_whose_folder_is_gone_ends_at_once(
    evaluator: Evaluator, endless: Path, *, replaced: bool
) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        for folder in evaluator.temporary.iterdir():
            shutil.rmtree(folder)
            if replaced:
                folder.touch()
        done = ended(program)
    for file in evaluator.temporary.iterdir():
        file.unlink()
    assert_our_fault(done, "was removed while a run used it", "run it again")
    evaluator.assert_next_run_works()


@pytest.mark.parametrize(
    ("kind", "limit", "words"),
    [
        (resource.RLIMIT_NOFILE, 64, "a process may have 64 files at once here"),
        (resource.RLIMIT_AS, 6 << 30, "a process may have 6,144 MiB of addresses here"),
        (resource.RLIMIT_CPU, 60, "a process may have 60 s of processor time here"),
    ],
    ids=["open files", "addresses", "processor time"],
)
def test_a_limit_of_the_shell_is_not_held_against_the_submission(
    evaluator: Evaluator, quick: Path, kind: int, limit: int, words: str
) -> None:
    done = evaluator.run(
        quick, "--sandbox", "process", prepare=lambda: resource.setrlimit(kind, (limit, limit))
    )
    assert_our_fault(done, words, "ulimit -H")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_executor_is_killed(evaluator: Evaluator, endless: Path, number: signal.Signals) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        worker_of(program, "executor").send_signal(number)
        done = ended(program)
    assert_our_fault(done, "the executor was killed", number.name, "run it again")
    evaluator.assert_nothing_is_left()
    evaluator.assert_next_run_works()


@pytest.mark.parametrize("role", ["executor", "submission"])
def test_the_supervisor_of_a_worker_is_killed(evaluator: Evaluator, endless: Path, role: str) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        supervisor = worker_of(program, role).parent()
        assert supervisor is not None
        supervisor.kill()
        done = ended(program)
    assert_our_fault(done, "stopped from outside", "run it again")
    evaluator.assert_nothing_is_left()


SOME_SECONDS = """
import time

def train(task):
    end, x = time.monotonic() + 4, torch.ones(1)
    while time.monotonic() < end:
        x = x * 1
    return Linear()
"""


STEPS = """
import time

def train(task):
    x = torch.ones(1)
    for _ in range(5000):  # shows in the trace
        x = x * 1
    for _ in range(30):
        time.sleep(0.1)
        x = x * 1
    return Linear()
"""
SLEEPER = """
def train(task):
    time.sleep(20)
    return Linear()
"""


def second_executor(program: subprocess.Popen[str]) -> psutil.Process:
    """The executor of the training that follows the one under way."""
    first = worker_of(program, "executor")
    first.wait(PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ValueError, psutil.NoSuchProcess):  # not there yet, or not yet Python
            return worker_of(program, "executor")
        time.sleep(0.1)
    raise TimeoutError


def test_the_executor_is_killed_in_an_audit(evaluator: Evaluator, tmp_path: Path) -> None:
    """What the first training found is kept."""
    submission = write_submission(tmp_path / "audited", SOME_SECONDS)
    with evaluator.running(submission, "--sandbox", "process", "--audit", "resplit") as program:
        second_executor(program).kill()
        done = ended(program)
    assert done.returncode == ExitCode.NOT_QUALIFIED, done.stderr
    assert "The audit could not be made: the executor" in done.stderr
    (path,) = evaluator.results.glob("*.json")
    record = from_json(path.read_text("utf-8"))
    assert (record.status.verdict, record.audit) == (Verdict.BELOW_THRESHOLD, None)
    assert not list(evaluator.temporary.iterdir())


def test_the_executor_is_killed_in_a_training_that_is_counted_too(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    """The native training that came before is judged all the same."""
    submission = write_submission(tmp_path / "native", SOME_SECONDS)
    rules = write_native_competition(tmp_path / "rules.toml")
    options = ("--sandbox", "process", "--competition", str(rules), "--count")
    with evaluator.running(submission, *options) as program:
        worker_of(program, "executor").kill()
        done = ended(program)
    assert done.returncode == ExitCode.QUALIFIED, done.stderr
    assert "The training could not be counted: the executor was killed" in done.stderr
    (path,) = evaluator.results.glob("*.json")
    record = from_json(path.read_text("utf-8"))
    assert record.native is not None
    assert record.training is None
    assert not list(evaluator.temporary.iterdir())


def test_the_evaluator_is_killed(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        workers = psutil.Process(program.pid).children(recursive=True)
        assert len(workers) == 4  # two supervisors, two workers
        program.kill()
        assert ended(program).returncode == -signal.SIGKILL
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)
    assert not alive
    assert not list(evaluator.results.glob("*.json"))
    evaluator.assert_next_run_works()


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
@pytest.mark.parametrize("role", ["executor", "submission"])
def test_a_container_is_killed_from_outside(evaluator: Evaluator, endless: Path, role: str) -> None:
    with evaluator.running(endless) as program:
        container_of(evaluator, role).kill()
        done = ended(program)
    assert_our_fault(done, "stopped from outside", "run it again")
    evaluator.assert_nothing_is_left()
    assert not containers_of(evaluator)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_a_container_is_paused(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless) as program:
        containers_of(evaluator)[0].pause()
        done = ended(program)
    assert_our_fault(done, "was paused from outside", "run it again")
    assert not containers_of(evaluator)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_a_container_is_frozen_by_something_else_than_the_engine(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless) as program:
        container = containers_of(evaluator)[0]
        frozen = ControlGroup.of(container.attrs["State"]["Pid"]).freezer
        assert frozen is not None
        switch, stop, go_on = (
            (frozen, "FROZEN", "THAWED")
            if frozen.name == "freezer.state"
            else (frozen.with_name("cgroup.freeze"), "1", "0")
        )
        switch.write_text(stop, encoding="ascii")
        try:
            done = ended(program)
        finally:
            if switch.exists():
                switch.write_text(go_on, encoding="ascii")
    assert_our_fault(done, "was paused from outside", "run it again")
    for container in containers_of(evaluator):
        container.remove(force=True)


@pytest.mark.parametrize("role", ["executor", "submission"])
def test_the_supervisor_of_a_worker_is_stopped(evaluator: Evaluator, endless: Path, role: str) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        (supervisor,) = (
            process
            for process in psutil.Process(program.pid).children()
            if any(part.endswith(f"/{role}.py") for part in process.cmdline())
        )
        supervisor.suspend()
        done = ended(program)
    assert_our_fault(done, "was stopped from outside", "run it again")
    assert not supervisor.is_running()
    evaluator.assert_nothing_is_left()


def stop_for(program: subprocess.Popen[str], seconds: float) -> None:
    """As Ctrl-Z does, or a machine that sleeps: its workers are not stopped."""
    program.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    program.send_signal(signal.SIGCONT)


def test_a_stop_of_ours_beyond_the_budget_judges_nobody(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "some seconds", SOME_SECONDS)
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=10)
    with evaluator.running(submission, "--sandbox", "process", "--competition", str(rules)) as program:
        stop_for(program, 13)
        done = ended(program)
    assert_our_fault(done, "the evaluation stood still for 1", "run it again")


def test_a_short_stop_of_ours_costs_the_submission_nothing(evaluator: Evaluator, tmp_path: Path) -> None:
    submission = write_submission(tmp_path / "steps", STEPS)
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=12)
    with evaluator.running(submission, "--sandbox", "process", "--competition", str(rules)) as program:
        stop_for(program, 10)
        done = ended(program)
    assert done.returncode == ExitCode.NOT_QUALIFIED, done.stdout + done.stderr
    (path,) = evaluator.results.glob("*.json")
    record = from_json(path.read_text("utf-8"))
    assert record.status.verdict is Verdict.BELOW_THRESHOLD
    assert record.training is not None
    assert record.training.wall_seconds < 12
    assert record.training.paused_seconds > 7


@contextlib.contextmanager
def timed_run(evaluator: Evaluator, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The program in the middle of a training on plain tensors that is ranked by its time."""
    submission = write_submission(folder / "native", "import time\n" + SLEEPER)
    rules = write_native_competition(folder / "rules.toml")
    command = evaluator.command(submission, *options, "--competition", str(rules))
    with evaluator.start(command) as program:
        assert program.stderr is not None
        try:
            while not program.stderr.readline().startswith("train"):
                assert program.poll() is None
            time.sleep(5)
            yield program
        finally:
            program.kill()


def test_a_stop_in_a_timed_run_voids_it(evaluator: Evaluator, tmp_path: Path) -> None:
    with timed_run(evaluator, tmp_path, "--sandbox", "process") as program:
        stop_for(program, 8)
        done = ended(program)
    assert_our_fault(done, "the evaluation stood still for", "run it again")


STOPPED = "a worker's process was stopped (SIGSTOP)"


@pytest.mark.parametrize("role", ["executor", "submission"])
def test_the_process_of_a_worker_is_stopped(evaluator: Evaluator, endless: Path, role: str) -> None:
    with evaluator.running(endless, "--sandbox", "process") as program:
        worker = worker_of(program, role)
        worker.suspend()
        done = ended(program)
    assert_our_fault(done, STOPPED, "run it again")
    assert not worker.is_running()
    evaluator.assert_nothing_is_left()


def test_a_stop_of_the_process_in_a_timed_run_voids_it(evaluator: Evaluator, tmp_path: Path) -> None:
    with timed_run(evaluator, tmp_path, "--sandbox", "process") as program:
        worker_of(program, "native").suspend()
        done = ended(program)
    assert_our_fault(done, STOPPED, "run it again")
    evaluator.assert_nothing_is_left()


def container_of(evaluator: Evaluator, role: str) -> docker.models.containers.Container:
    (found,) = (one for one in containers_of(evaluator) if one.attrs["Config"]["Hostname"] == role)
    return found


def process_in(container: docker.models.containers.Container) -> psutil.Process:
    """The worker's own process in its container; it is the only child of process 1."""
    (found,) = psutil.Process(container.attrs["State"]["Pid"]).children()
    return found


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_the_executor_is_stopped_in_its_container(evaluator: Evaluator, endless: Path) -> None:
    with evaluator.running(endless) as program:
        process_in(container_of(evaluator, "executor")).suspend()
        done = ended(program)
    assert_our_fault(done, STOPPED, "run it again")
    assert not containers_of(evaluator)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_a_stop_in_the_container_of_a_timed_run_voids_it(evaluator: Evaluator, tmp_path: Path) -> None:
    with timed_run(evaluator, tmp_path) as program:
        process_in(container_of(evaluator, "native")).suspend()
        done = ended(program)
    assert_our_fault(done, STOPPED, "run it again")
    assert not containers_of(evaluator)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
@pytest.mark.parametrize("role", ["executor", "submission"])
def test_a_container_is_started_again(evaluator: Evaluator, endless: Path, role: str) -> None:
    with evaluator.running(endless) as program:
        container_of(evaluator, role).restart(timeout=1)
        done = ended(program)
    assert_our_fault(done, "stopped from outside", "run it again")
    evaluator.assert_nothing_is_left()
    assert not containers_of(evaluator)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_the_engine_hangs_for_a_while(evaluator: Evaluator, tmp_path: Path) -> None:
    """Its silence is nobody's time: the watch sees nothing meanwhile, and the training goes on."""
    submission = write_submission(tmp_path / "some seconds", SOME_SECONDS)
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        with evaluator.running(submission, DOCKER_HOST=proxy.address) as program:
            proxy.hang()
            time.sleep(8)
            proxy.recover()
            done = ended(program)
        assert done.returncode == ExitCode.NOT_QUALIFIED, done.stdout + done.stderr
    (path,) = evaluator.results.glob("*.json")
    record = from_json(path.read_text("utf-8"))
    assert record.status.verdict is Verdict.BELOW_THRESHOLD
    assert record.training is not None
    assert record.training.paused_seconds > 5


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_the_engine_hangs_for_good(evaluator: Evaluator, endless: Path, tmp_path: Path) -> None:
    evaluator.program = with_constant("haet_eval.runtimes.docker.engine", "_CALL_SECONDS", 15)
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        with evaluator.running(endless, DOCKER_HOST=proxy.address) as program:
            proxy.hang()
            done = ended(program)
        assert_our_fault(done, "the Docker engine failed", "docker info", "haet-eval clean")
    assert not list(evaluator.results.glob("*.json"))
    evaluator.assert_next_run_works()
    for container in containers_of(evaluator):
        container.remove(force=True)


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_the_engine_stops_in_mid_run(evaluator: Evaluator, endless: Path, tmp_path: Path) -> None:
    with engine_proxy(tmp_path / "engine.sock") as proxy:
        with evaluator.running(endless, DOCKER_HOST=proxy.address) as program:
            proxy.stop()
            done = ended(program)
        assert_our_fault(done, "the Docker engine failed", "docker info", "haet-eval clean")
    assert not list(evaluator.results.glob("*.json"))
    assert containers_of(evaluator), "no engine was there to remove them"
    evaluator.assert_next_run_works()
    assert not containers_of(evaluator)
