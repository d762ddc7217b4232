"""`haet-eval doctor` on the real engine and without one, and a self-test that can fail."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from haet_eval.doctor import FindingState, examine
from haet_eval.errors import ExitCode
from haet_eval.runtimes.docker.runtime import PYTHON, DockerRuntime
from haet_eval.runtimes.interface import Role, Runtime, WorkerLimits
from haet_eval.runtimes.process import ProcessRuntime
from haet_eval.selftest import ATTACKS, LIMITS, PRELUDE, observe

ATTACK = {attack.name: attack for attack in ATTACKS}


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "haet_eval.cli.main", "doctor", *arguments]
    environment = os.environ | variables
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def by_name(done: subprocess.CompletedProcess[str]) -> Mapping[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(done.stdout)["findings"]}


@pytest.mark.docker
@pytest.mark.slow
def test_the_engine_of_the_tests_withstands_every_attack(sandbox_image: str, tmp_path: Path) -> None:
    findings = {one.name: one for one in examine(tmp_path)}
    assert {f"attack: {name}" for name in ATTACK} <= findings.keys()
    bad = [one for one in findings.values() if not one.allows_judging]
    assert not bad
    assert findings["image"].state is FindingState.OK
    assert findings["data digits"].state is FindingState.OK
    assert findings["data cifar10"].state is FindingState.WARNING
    assert "haet-eval data fetch cifar10" in findings["data cifar10"].fix


@pytest.mark.docker
def test_quick_attacks_nothing(sandbox_image: str, tmp_path: Path) -> None:
    done = doctor("--quick", "--data-dir", str(tmp_path))
    assert done.returncode == ExitCode.QUALIFIED, done.stdout + done.stderr
    assert "attack:" not in done.stdout
    assert "without --quick the engine is attacked" in done.stdout


@pytest.mark.docker
def test_the_oci_runtime_is_named_and_one_that_is_not_there_is_not_ready(
    sandbox_image: str, tmp_path: Path
) -> None:
    other = doctor("--quick", "--json", "--oci-runtime", "io.containerd.runc.v2", "--data-dir", str(tmp_path))
    assert by_name(other)["engine"]["message"].endswith("runtime io.containerd.runc.v2")
    assert by_name(other)["limits"]["state"] == "ok"
    missing = doctor("--quick", "--json", "--data-dir", str(tmp_path), HAET_OCI_RUNTIME="no-such-runtime")
    assert missing.returncode == ExitCode.ENVIRONMENT
    assert "no runtime 'no-such-runtime'" in by_name(missing)["limits"]["message"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("unix:///nowhere/docker.sock", "no Docker engine answers"),
        ("tcp://10.0.0.1:2375", "an engine elsewhere"),
    ],
)
def test_without_an_engine_it_is_not_ready_and_says_what_to_do(
    tmp_path: Path, address: str, words: str
) -> None:
    done = doctor("--json", "--data-dir", str(tmp_path), DOCKER_HOST=address)
    assert done.returncode == ExitCode.ENVIRONMENT
    assert json.loads(done.stdout)["ready"] is False
    engine = by_name(done)["engine"]
    assert engine["state"] == "not ready"
    assert words in engine["message"]
    assert engine["fix"]
    assert by_name(done)["attacks"]["state"] == "warning"
    assert done.stderr == ""


def test_the_table_says_the_same_in_words(tmp_path: Path) -> None:
    done = doctor("--data-dir", str(tmp_path), DOCKER_HOST="unix:///nowhere/docker.sock")
    assert done.returncode == ExitCode.ENVIRONMENT
    assert "not ready engine" in done.stdout
    assert "→ Start it" in done.stdout
    assert done.stdout.endswith("Not ready to judge untrusted code: see above what to do.\n")


def breach(name: str, runtime: Runtime, limits: WorkerLimits = LIMITS) -> str:
    return ATTACK[name].breach(observe(runtime, Role.SUBMISSION, limits))


@pytest.mark.parametrize(
    ("name", "words"),
    [("socket families", "open a socket AF_INET"), ("rights", "gain rights by a program")],
)
def test_where_nothing_confines_the_code_the_attack_succeeds(name: str, words: str) -> None:
    command = (sys.executable, "-I", "-c", PRELUDE + ATTACK[name].code)
    assert words in breach(name, ProcessRuntime(mains={Role.SUBMISSION: command}))


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
@pytest.mark.parametrize(
    ("name", "limits", "words"),
    [
        ("fork bomb", replace(LIMITS, processes=200), "started 32 processes and more"),
        ("memory bomb", replace(LIMITS, memory_bytes=2**30), "more than its 192 MiB"),
        ("temporary files", replace(LIMITS, tmp_bytes=2**26), "more than it may to /tmp"),
    ],
)
def test_where_a_limit_does_not_hold_the_attack_succeeds(name: str, limits: WorkerLimits, words: str) -> None:
    command = (PYTHON, "-I", "-c", PRELUDE + ATTACK[name].code)
    assert words in breach(name, DockerRuntime(mains={Role.SUBMISSION: command}), limits)


def test_the_disks_of_the_named_folders_are_looked_at(tmp_path: Path) -> None:
    """Folders that do not exist yet will be on the disk of the folder above them."""
    results, run_dir = Path("/proc/results"), tmp_path / "new" / "runs"
    found = {one.name: one for one in islice(examine(tmp_path, results, run_dir, quick=True), 5)}
    # There is no room below /proc.
    assert found["disk for results"].message == "0 bytes free at /proc/results"
    assert found["disk for results"].state is FindingState.NOT_READY
    assert str(run_dir) in found["disk for checkpoints"].message
