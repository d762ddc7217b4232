"""Fixtures of every test: what a test needs of the machine, and whether its absence may skip it."""

import hashlib
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

# Tests run the Python client, which is the reference, unless the variable says otherwise. Those of the
# compiled client run both.
os.environ.setdefault("HAET_COMPILED_CLIENT", "0")

settings.register_profile("untimed", deadline=None)  # no test asserts how long something takes
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("untimed")

_BY_THEME: Final = (
    *("test_battery.py::test_bit_identical", "test_battery.py::test_every_operator_has_a_price"),
    "test_battery.py::test_the_compiled_client_sends_the_same_bytes",
    "test_counter_and_judge.py::test_counter_counts_what_the_judge_counts",
    "test_resumed_battery.py::test_a_theme_that_goes_on_at_a_checkpoint_gives_the_same_bits",
    "test_tensor_memory.py::test_an_oracle_agrees_after_each_program_of_a_theme",
)
"""Tests of a theme of the battery, whose programs run once for all of them in one process."""

_QUICK_THEMES: Final = ("optimizers", "randomness", "views")
_QUICK_FILES: Final = (
    *("test_archive.py", "test_failed_calls.py", "test_nothing_is_unpickled.py", "test_recorded_calls.py"),
    *("test_signatures_cannot_be_moved.py", "test_tensors_cannot_be_swapped.py", "test_wire_fuzz.py"),
    *("test_completion.py", "test_evaluation.py", "test_guarded_values.py", "test_template.py"),
)
"""Of the attacks and the integration tests, which run in evaluations of their own: the rest are slow."""

_LONGEST_NAME: Final = 400
_QUICK: Final = "not slow"
_NO_ENGINE: Final = "needs a Docker engine: "
_NO_IMAGE: Final = "the sandbox image cannot be built here: "
_LEFT_OUT: Final = (
    "Left out: the tests marked slow (most evaluations and attacks, most themes of the battery, Docker, real "
    "images, fuzzing, the sweep over PyTorch's samples, packaging, the commands of the docs), and most "
    "examples of generated tests. `make test-all` runs everything."
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


def pytest_make_parametrize_id(val: object) -> str | None:
    """A name of bounded length for a long value: whole files as names would fill reports."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_NAME:
        digest = hashlib.sha256(val.encode() if isinstance(val, str) else val).hexdigest()[:8]
        return f"{len(val)}-{'characters' if isinstance(val, str) else 'bytes'}-{digest}"
    return None


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Names the group of each test, and marks those that start evaluations as slow.

    One process runs all tests of a group, one after the other.

    Tests with Docker are one group, as some of them look at all containers of the machine. Every other file
    is a group of its own, but for tests of the battery: those of a theme are one, since its programs run once
    for all of them. What takes longest begins first.
    """
    items.sort(key=_rank)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        if _starts_evaluations(item):
            item.add_marker(pytest.mark.slow)


def _starts_evaluations(item: pytest.Item) -> bool:
    folders = ("integration", "attacks")
    if not any(f"/{folder}/" in item.nodeid for folder in folders):
        return False
    if _theme(item):
        return _theme(item) not in _QUICK_THEMES or "counter" in item.nodeid
    return item.path.name not in _QUICK_FILES


def _group(item: pytest.Item) -> str:
    if item.get_closest_marker("docker") is not None:
        return "docker"
    theme = _theme(item)
    return f"battery:{theme}" if theme else item.nodeid.partition("::")[0]


def _theme(item: pytest.Item) -> str | None:
    """The theme of a test of the battery: the first word of its parameters."""
    function, _, parameters = item.name.partition("[")
    if f"{item.path.name}::{function}" not in _BY_THEME:
        return None
    theme = re.match(r"\w+", parameters)
    return theme[0] if theme else None


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
