"""A theme, run plainly in this process and through handles in a pair of workers."""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from haet_eval.competition import Budgets
from haet_eval.counting.bill import bill
from haet_eval.evaluation.course import Course
from haet_eval.evaluation.frame import executor_threads
from haet_eval.evaluation.pair import open_pair
from haet_eval.evaluation.watch import ending
from haet_eval.progress import ReportValue
from haet_eval.remote.client.task import SubmissionTask
from haet_eval.remote.labels import TemplateLabels
from haet_eval.remote.memory import MeteredMemory
from haet_eval.remote.messages import Job, Start
from haet_eval.runtimes.environment import PYTHON_OPTIONS
from haet_eval.runtimes.interface import Role
from haet_eval.runtimes.process import ProcessRuntime, sandbox_mains
from tests.integration.battery.running import run_cases

BUDGETS = Budgets(readback_bytes=1 << 22, upload_bytes=1 << 24, wall_seconds=600)
IMAGES, CLASSES = 256, 10
_THREADS = {"models": 2}
# Without the guard of the sandbox's own main: some of these programs bring packages of their own.
_CLIENT = (
    "import os, socket, sys; os.environ['TORCH_COMPILE_DISABLE'] = '1'; "
    "from haet_eval.remote.client.job import run_job; "
    "link = socket.socket(socket.AF_UNIX); link.connect(sys.argv[1]); run_job(link)"
)
SILENT_CLIENT = "from haet_eval.remote.client.link import Link; Link.label = lambda *_: None; " + _CLIENT
"""A client that says nothing of its calls."""
FORGETFUL_CLIENT = "from haet_eval.remote import handles; handles._MAX_LAYOUTS = 4; " + _CLIENT
"""A client whose table of layouts is cleared all the time, and not once in 131,072 layouts."""

_FOLDER = Path(__file__).parent
_ENTRY = """
from battery import {theme}
from battery.running import run_cases

def train(task):
    return run_cases({theme}, task, {only!r})
"""


@dataclass(frozen=True)
class RemoteRun:
    """What programs that ran through handles left behind, and what the meter knows of the run.

    `operations` has what the judge has counted when each program was over, from the first on, and `levels` the
    bytes of tensors that lived then and the most that had lived.
    """

    results: dict[str, torch.Tensor]
    unpriced: frozenset[str]
    output: str
    operations: dict[str, int]
    memory: MeteredMemory
    trace_sha256: str
    labels: TemplateLabels
    levels: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class ThemeRun:
    """What the programs of a theme left behind, by case and key; and the operators without a price."""

    plain: dict[str, torch.Tensor]
    remote: dict[str, torch.Tensor]
    unpriced: frozenset[str]
    output: str

    @staticmethod
    def of(results: dict[str, torch.Tensor], case: str) -> dict[str, torch.Tensor]:
        """The results of one program, by key."""
        prefix = f"{case}/"
        return {key.removeprefix(prefix): value for key, value in results.items() if key.startswith(prefix)}


def run_theme(theme: str) -> ThemeRun:
    """Run the programs of `tests/integration/battery/<theme>.py` both ways."""
    remote = whole_theme(theme)
    return ThemeRun(run_plainly(theme), remote.results, remote.unpriced, remote.output)


@cache
def whole_theme(theme: str) -> RemoteRun:
    """All programs of a theme through handles, run once for all tests of this process."""
    return run_remotely(theme)


def _budgets(theme: str) -> Budgets:
    return BUDGETS.model_copy(update={"cpus": _THREADS.get(theme, 1)})


def battery_data() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels that the programs train on."""
    generator = np.random.default_rng(5)
    images = generator.integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8)
    return images, generator.integers(0, CLASSES, IMAGES)


def run_plainly(
    theme: str,
    only: str = "",
    tell: Callable[[dict[str, int | float | str]], None] = lambda _: None,
    watched_by: Callable[[SubmissionTask], AbstractContextManager[object]] | None = None,
) -> dict[str, torch.Tensor]:
    """The results of the programs on plain tensors.

    `tell` is given what they report, and `watched_by` makes a context that they run in.
    """
    module = importlib.import_module(f"tests.integration.battery.{theme}")
    images, labels = (torch.from_numpy(one) for one in battery_data())
    task = SubmissionTask(
        images, labels, CLASSES, 0, torch.device("cpu"), 600.0, lambda values, _: tell(values)
    )
    with _as_in_the_workers(executor_threads(_budgets(theme))), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with watched_by(task) if watched_by else nullcontext():
            return dict(run_cases(module, task, only).state_dict())


@contextmanager
def _as_in_the_workers(threads: int) -> Iterator[None]:
    """Compiled code runs eagerly, the layers of an encoder are not fused, and kernels have so many threads.

    Distributions check their parameters: PyTorch's compiler, once it is imported, switches that off.
    """
    config, heads, checked = torch._dynamo.config, torch.backends.mha, torch.distributions.Distribution
    before = config.disable, heads.get_fastpath_enabled(), torch.get_num_threads(), checked._validate_args
    config.disable = True
    checked.set_default_validate_args(True)
    heads.set_fastpath_enabled(False)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        config.disable = before[0]
        heads.set_fastpath_enabled(before[1])
        torch.set_num_threads(before[2])
        checked.set_default_validate_args(before[3])


def run_remotely(
    theme: str, only: str = "", client: str = _CLIENT, course: Course | None = None
) -> RemoteRun:
    """The same programs through handles, in a pair of workers; with a course, checkpoints are taken."""
    operations: dict[str, int] = {}
    levels: dict[str, tuple[int, int]] = {}
    images, labels = battery_data()
    job = Job(
        files=_files(theme, only),
        module="entry",
        function="train",
        images=images.shape,
        num_classes=CLASSES,
        seed=0,
        device="cpu",
        time_budget_seconds=600.0,
    )
    mains = sandbox_mains() | {Role.SUBMISSION: (sys.executable, *PYTHON_OPTIONS, "-c", client)}
    with open_pair(ProcessRuntime(mains=mains), _budgets(theme), {}, course=course) as run:

        def note(values: Mapping[str, ReportValue]) -> None:
            if "case" in values:
                name, memory = str(values["case"]), run.meter.tensor_memory
                operations[name] = run.meter.operations
                levels[name] = run.meter.executor_bytes - memory.training_set_bytes, memory.peak_bytes

        run.relay.use(run.watch.look, note)
        with ending(run.watch) as end:
            run.relay.start(Start(device="cpu", threads=executor_threads(_budgets(theme))), [images, labels])
            if run.attempt:
                run.attempt.begin(lambda _: None, BUDGETS.wall_seconds, None)
            else:
                run.watch.begin("train", BUDGETS.wall_seconds)
            tensors = run.relay.train(job)
            run.meter.seal(tensors)
            weights = run.relay.seal(tensors).weights
        if end.failure:
            raise end.failure
        run.trace.close()
        return RemoteRun(
            safetensors.torch.load(weights),
            frozenset(bill(run.meter.histogram()).uncounted),
            run.relay.log.head + run.relay.log.tail,
            operations,
            run.meter.tensor_memory,
            sha256(run.trace_path.read_bytes()).hexdigest(),
            run.relay.labels,
            levels,
        )


def _files(theme: str, only: str) -> dict[str, str]:
    files = {f"battery/{path.name}": path.read_text() for path in _FOLDER.glob("*.py")}
    return files | {"entry.py": _ENTRY.format(theme=theme, only=only)}
