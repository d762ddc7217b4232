"""Fixtures of every test: what a test needs of the machine, and whether its absence may skip it."""

import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from haet_eval.errors import EnvironmentProblem

for _variable in ("COLUMNS", "LINES"):  # pytest imports readline, which sets them behind os.environ
    os.environ.pop(_variable, None)
    os.unsetenv(_variable)

settings.register_profile("untimed", deadline=None)  # no test asserts how long something takes
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("untimed")

_BY_THEME: Final = ("test_battery.py", "test_counter_and_judge.py")
_QUICK: Final = "not slow"
_NO_ENGINE: Final = "needs a Docker engine: "
_NO_IMAGE: Final = "the sandbox image cannot be built here: "
_LEFT_OUT: Final = (
    "Left out: the tests marked slow (real images, long programs of the battery, the sweep over PyTorch's "
    "samples, fuzzing, packaging, the commands of the docs), and most examples of generated tests. "
    "`make test-all` runs everything."
)
_NO_DATA: Final = "needs the published CIFAR-10 and CIFAR-100, in the folder that HAET_TEST_DATA_DIR names"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Takes fewer examples in the quick tests, and keeps several test processes apart.

    Each has a folder for temporary files, so that none sees the runs of another, and a processor of its own.
    Kernels of two runs that both use all processors wait for each other, and take far longer than one after
    the other.
    """
    if config.option.markexpr == _QUICK:
        settings.load_profile("quick")
    if number := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw"):
        folder = tempfile.mkdtemp(prefix="haet-tests-")
        Path(folder).chmod(0o711)  # containers run as another user
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processors[int(number) % len(processors)]})


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names the group of each test: one process runs all tests of a group, one after the other.

    Tests with Docker are one group, as some of them look at all containers of the machine. Every other file
    is a group of its own, but for those of the battery: each theme is one, since its programs run once for
    both. What takes longest begins first.
    """
    items.sort(key=_rank)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker("docker") is not None:
        return "docker"
    file, _, name = item.nodeid.partition("::")
    theme = re.search(r"\[(\w+)", name) if Path(file).name in _BY_THEME else None
    return f"battery:{theme[1]}" if theme else file


def _rank(item: pytest.Item) -> int:
    order = ("docker", "integration", "attacks", "oracle", "unit")
    if item.get_closest_marker("docker") is not None:
        return 0
    return next(
        rank for rank, part in enumerate(order) if rank == len(order) - 1 or f"/{part}/" in item.nodeid
    )


@pytest.fixture(autouse=True)
def settings_of_torch() -> Iterator[None]:
    """Restores what an executor in this process switches on: later tests would warn of it."""
    torch = sys.modules.get("torch")
    before = torch.are_deterministic_algorithms_enabled() if torch else False
    yield
    if torch := sys.modules.get("torch"):
        torch.use_deterministic_algorithms(before)


@pytest.fixture(scope="session")
def docker_required() -> None:
    """Skips where no engine answers. With HAET_REQUIRE_DOCKER=1, as in CI, that is a failure instead."""
    from haet_eval.runtimes.docker.engine import connect

    try:
        connect().close()
    except EnvironmentProblem as problem:
        if os.environ.get("HAET_REQUIRE_DOCKER") == "1":
            pytest.fail(f"HAET_REQUIRE_DOCKER=1, but {problem.message}")
        pytest.skip(f"{_NO_ENGINE}{problem.message}")


@pytest.fixture(scope="session")
def sandbox_image(docker_required: None) -> str:
    """The digest of a sandbox image of the present sources; quick where its heavy layer is there."""
    from haet_eval.runtimes.docker.image import build_image

    lines: list[str] = []
    try:
        return build_image(lines.append)
    except EnvironmentProblem as problem:
        said = "\n".join([*lines[-20:], problem.message])
        if os.environ.get("HAET_REQUIRE_DOCKER") == "1":
            pytest.fail(said)
        pytest.skip(f"{_NO_IMAGE}{said}")


@pytest.fixture(scope="session")
def real_cifar() -> Path:
    """The data folder with the published images. Skips if no variable names one."""
    named = os.environ.get("HAET_TEST_DATA_DIR")
    if not named:
        pytest.skip(_NO_DATA)
    return Path(named)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    """Reports last which tests did not run, and why."""
    yield
    if config.option.markexpr == _QUICK:
        terminalreporter.write_line(_LEFT_OUT, yellow=True)
    skipped = (report.longrepr for report in terminalreporter.stats.get("skipped", ()))
    reasons = Counter(entry[2].removeprefix("Skipped: ") for entry in skipped if isinstance(entry, tuple))
    for reason, count in reasons.items():
        if reason.startswith((_NO_ENGINE, _NO_IMAGE)):
            terminalreporter.write_line(f"{count} Docker tests were skipped: {reason}", yellow=True)
        if reason == _NO_DATA:
            terminalreporter.write_line(f"{count} tests on real images were skipped: {reason}", yellow=True)
