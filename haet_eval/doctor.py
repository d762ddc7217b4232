"""Is this machine ready to judge untrusted code, and safe? Findings in plain words, each with its fix."""

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

from haet_eval import __version__, selftest
from haet_eval.competition import builtin_competitions, load_competition
from haet_eval.dataset import dataset_names, load_dataset
from haet_eval.energy.choice import open_meters
from haet_eval.errors import EnvironmentProblem
from haet_eval.evaluation.frame import CLIENT_MEMORY_BYTES
from haet_eval.incidents import describe, incidents
from haet_eval.reports.text import readable_size
from haet_eval.results_folder import RUNS
from haet_eval.resumable import CLEANED_SECONDS, described, homes
from haet_eval.runtimes.folder import abandoned_folders, temporary_folder
from haet_eval.runtimes.interface import Role, WorkerLimits

_GIB: Final = 2**30
_RESULTS: Final = Path("results")
_SCARCE_BYTES: Final = 10 * _GIB
_TOO_LITTLE_BYTES: Final = _GIB
# Importing torch with CUDA takes far more memory, processes and time than an attack does.
_GPU_LIMITS: Final = WorkerLimits(memory_bytes=8 * _GIB, processes=256, deadline_seconds=180)
_NVIDIA_DRIVER: Final = Path("/proc/driver/nvidia/version")


class FindingState(StrEnum):
    """The state of a finding. With one of the last two, no competition should be judged here."""

    OK = "ok"
    WARNING = "warning"
    NOT_READY = "not ready"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row: the subject, its state, and what to do about it."""

    name: str
    state: FindingState
    message: str
    fix: str = ""

    @property
    def allows_judging(self) -> bool:
        """Whether this machine may judge untrusted code in spite of this finding."""
        return self.state in (FindingState.OK, FindingState.WARNING)


def examine(
    data_dir: Path, results: Path = _RESULTS, run_dir: Path | None = None, *, quick: bool = False
) -> Iterator[Finding]:
    """Look at the machine, one finding after the other.

    Args:
        data_dir: the folder of the data sets.
        results: the folder of records and incidents.
        run_dir: the folder of the runs that can go on, if it is not the one in the results.
        quick: leave out the checks that start containers.
    """
    # What is quick comes first: each finding is printed when it is known.
    yield _python()
    yield _memory()
    yield _disk("disk for results", results, "choose another folder with --results, or make room")
    # Without --run-dir, checkpoints lie in the results folder.
    if run_dir is not None:
        yield _disk("disk for checkpoints", run_dir, "choose another folder with --run-dir, or make room")
    yield _disk("disk for runs", temporary_folder(), "set TMPDIR to a folder with more room")
    for name in dataset_names():
        yield _dataset(name, data_dir)
    yield _leftovers()
    yield _incidents(results)
    yield _resumable(run_dir or results / RUNS)
    yield _energy()
    engine_ready = True
    for finding in _engine():
        engine_ready = engine_ready and finding.allows_judging
        yield finding
    if quick:
        return
    # Attacks on an engine without its image would all fail, and say nothing of its safety.
    if not engine_ready:
        yield Finding("attacks", FindingState.WARNING, "not tried before the engine and its image are ready")
        return
    yield _gpu()
    for attack in selftest.ATTACKS:
        yield _attack(attack)


def _checked(name: str, check: Callable[[], str | Finding]) -> Finding:
    """The check's finding: its text if all is well, or the problem that it raises."""
    try:
        found = check()
    except EnvironmentProblem as problem:
        return Finding(name, FindingState.NOT_READY, problem.message, problem.hint)
    return found if isinstance(found, Finding) else Finding(name, FindingState.OK, found)


def _python() -> Finding:
    ours = f"haet-eval {__version__}, Python {platform.python_version()}"
    try:
        return Finding("software", FindingState.OK, f"{ours}, torch {version('torch')}")
    except PackageNotFoundError:
        message = f"{ours}, no torch: Docker's image has it, but nothing runs in local processes"
        fix = "for `check` and --sandbox process: pip install 'haet-eval[local]'"
        return Finding("software", FindingState.WARNING, message, fix)


def _memory() -> Finding:
    # The total and not what is free now: a run is judged later, and other programs come and go.
    has = psutil.virtual_memory().total
    allowed = max(
        # Both workers of a run: the executor by the budget, the submission's process by less if the budget is
        # small.
        task.budgets.memory_bytes + min(CLIENT_MEMORY_BYTES, task.budgets.memory_bytes)
        for name in builtin_competitions()
        for task in load_competition(name).tasks.values()
    )
    message = f"{readable_size(has)}; the built-in rules let one run use {readable_size(allowed)}"
    if has >= allowed:
        return Finding("memory", FindingState.OK, message)
    # A warning only: a budget is a limit, and most submissions stay far below it.
    fix = "a run that needs more than there is cannot be judged here: lower memory_bytes in the competition"
    return Finding("memory", FindingState.WARNING, message, fix)


def _disk(name: str, folder: Path, fix: str) -> Finding:
    # A folder that does not exist yet will be on the disk of the next one above it.
    existing = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    try:
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(name, FindingState.WARNING, f"{folder} cannot be looked at: {error.strerror}", fix)
    message = f"{readable_size(free)} free at {folder}"
    if free >= _SCARCE_BYTES:
        return Finding(name, FindingState.OK, message)
    return Finding(
        name, FindingState.WARNING if free >= _TOO_LITTLE_BYTES else FindingState.NOT_READY, message, fix
    )


def _dataset(name: str, data_dir: Path) -> Finding:
    """A missing data set is not a fault of the machine: not every competition needs each data set."""
    row = f"data {name}"
    try:
        official = load_dataset(name, data_dir).official
    except EnvironmentProblem as problem:
        return Finding(row, FindingState.WARNING, problem.message, problem.hint)
    if official:
        return Finding(row, FindingState.OK, "present, and equal to the published data set")
    return Finding(
        row,
        FindingState.WARNING,
        "present, but not the published data set: its records will not be official",
        f"`haet-eval data fetch {name}` gets the published data set",
    )


def _leftovers() -> Finding:
    # Folders and no containers: these need the engine, which the next rows look at.
    left = len(list(abandoned_folders()))
    if not left:
        return Finding("leftovers", FindingState.OK, "no leftovers of interrupted runs")
    return Finding(
        "leftovers",
        FindingState.WARNING,
        f"folders of {left} interrupted runs",
        "`haet-eval clean` removes them",
    )


def _incidents(results: Path) -> Finding:
    """Evaluations that failed on our side, each with a file of the known facts."""
    found = incidents(results)
    if not found:
        return Finding("incidents", FindingState.OK, f"no evaluation in {results} has failed on our side")
    return Finding(
        "incidents",
        FindingState.WARNING,
        f"evaluations that failed on our side: {len(found)}; the last: {describe(found[-1])}",
        f"read {found[-1]}; evaluate again what it names; then remove the files",
    )


def _resumable(folder: Path) -> Finding:
    """Trainings that were interrupted and can go on."""
    # A run without a checkpoint would begin again, so it does not count.
    found = [home for home in homes(folder) if home.checkpoints()]
    if not found:
        return Finding("runs to go on", FindingState.OK, f"no run in {folder} was interrupted")
    return Finding(
        "runs to go on",
        FindingState.OK,
        f"{len(found)} runs that are under way or were interrupted. {'; '.join(map(described, found))}",
        f"`haet-eval resume {found[0].name}` goes on; `haet-eval clean` removes runs after"
        f" {CLEANED_SECONDS // 86400} days",
    )


def _energy() -> Finding:
    """Only competitions that rank energy need its counters."""
    # The driver's file and not torch: this machine may judge in containers without torch of its own.
    meters = open_meters("auto", "cuda" if _NVIDIA_DRIVER.exists() else "cpu")
    if not meters.opened:
        return Finding("energy", FindingState.OK, f"cannot be measured on this machine: {meters.missing}")
    covers = ", ".join(part for meter in meters.opened for part in meter.covers)
    for meter in meters.opened:
        meter.close()
    return Finding("energy", FindingState.OK, f"counted for {covers}")


def _engine() -> Iterator[Finding]:
    """The engine and the checks that need it; only the first finding if it does not answer."""
    from haet_eval.runtimes.docker import examination  # the engine's SDK is slow to import

    try:
        facts = examination.examine_engine()
    except EnvironmentProblem as problem:
        yield Finding("engine", FindingState.NOT_READY, problem.message, problem.hint)
        return
    yield Finding("engine", FindingState.OK, f"Docker {facts.version}, runtime {facts.oci_runtime}")
    yield _checked("limits", lambda: _limits(facts.cgroup_version, facts.swap_limited))
    # Images and containers fill this disk, which is often not that of the results.
    if facts.root_folder.exists():  # it does not exist here if the engine runs in a virtual machine
        yield _disk("disk for images", facts.root_folder, "`docker image prune` removes what nobody uses")
    yield _checked("image", examination.examine_image)


def _limits(cgroup_version: str, swap_limited: bool) -> str | Finding:
    from haet_eval.runtimes.docker.examination import examine_limits

    examine_limits()
    # With swap, a container may use more memory than its limit says, and slow down all others.
    if not swap_limited and psutil.swap_memory().total:
        return Finding(
            "limits",
            FindingState.WARNING,
            "memory is limited, but not swap, of which this machine has some",
            "switch swap off, or start the kernel with swapaccount=1",
        )
    return f"memory, processes, processors and system calls (control groups, version {cgroup_version})"


def _gpu() -> Finding:
    """Whether the executor's container sees a GPU, if the machine has one."""
    if not _NVIDIA_DRIVER.exists():
        return Finding("GPU", FindingState.OK, "none on this machine: kernels run on the CPU")
    fix = "install the NVIDIA Container Toolkit and restart the engine; --device cpu works as it is"
    code = selftest.PRELUDE + (
        "import torch\n"
        "for index in range(torch.cuda.device_count()):\n"
        "    say(torch.cuda.get_device_name(index))\n"
    )
    try:
        # As the executor would see it: a driver on the host is of no use without the engine's container
        # toolkit.
        seen = selftest.run_probe(Role.EXECUTOR, code, _GPU_LIMITS, cuda=True).said
    except EnvironmentProblem as problem:
        return Finding(
            "GPU", FindingState.WARNING, f"the machine's is not seen in containers: {problem.message}", fix
        )
    if not seen:
        return Finding("GPU", FindingState.WARNING, "torch in the executor's container sees none", fix)
    return Finding("GPU", FindingState.OK, f"{', '.join(seen)}, in the executor's container")


def _attack(attack: selftest.Attack) -> Finding:
    name = f"attack: {attack.name}"
    try:
        breach = selftest.run_attack(attack)
    except EnvironmentProblem as problem:
        return Finding(name, FindingState.NOT_READY, problem.message, problem.hint)
    if not breach:
        return Finding(name, FindingState.OK, attack.held)
    fix = "do not run untrusted code on this engine; the documentation has a threat model for engines"
    return Finding(name, FindingState.UNSAFE, breach, fix)
