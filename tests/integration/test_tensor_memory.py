"""The peak of a training's tensor memory: what raises and lowers it, an oracle for it, and equal runs."""

import gc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from haet_eval.competition import Budgets
from haet_eval.data.digits import load_digits
from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.pair import open_pair
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from haet_eval.remote.client.task import SubmissionTask
from haet_eval.remote.messages import Job, Start
from haet_eval.runtimes.process import ProcessRuntime
from tests.fixtures.submissions import write_competition, write_submission
from tests.integration.battery.pair import SILENT_CLIENT, RemoteRun, run_plainly, run_remotely, whole_theme
from tests.integration.storage_follower import StorageFollower

MIB = 1 << 20
EXAMPLES = Path(__file__).parents[2] / "submissions"
PROGRAM = """
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(256, 256) for _ in range(8))

    def forward(self, x, checkpointed):
        for layer in self.layers:
            part = lambda x, layer=layer: torch.relu(torch.relu(layer(x)))
            x = checkpoint(part, x, use_reentrant=False) if checkpointed else part(x)
        return x.sum()


def step(model, x, checkpointed):
    model(x, checkpointed).backward()
    model.zero_grad(set_to_none=True)


def train(task):
    mark = lambda name: task.report(mark=name)
    mark("nothing")
    x = torch.ones(512, 512)
    mark("a tensor")
    views = [x[1:], x[2], x.t(), x.view(-1), x.expand(3, -1, -1), x.detach(), x.unfold(0, 2, 1)]
    mark("its views")
    x.add_(1).relu_().t_().unsqueeze_(0)
    mark("in place")
    y = torch.add(x, 1)
    mark("a copy")
    torch.mul(y, 2, out=y)
    mark("into it")
    del views, x
    mark("the first is freed")
    y.set_(torch.ones(4))
    mark("another storage")
    del y
    copies = [task.images.clone(), task.images[:1]]
    mark("the training set")
    del copies
    weight = torch.ones(512, 512, requires_grad=True)
    mark("before a graph")
    loss = (weight.exp() * 2).sin().sum()
    mark("a graph")
    del loss
    mark("a freed graph")
    x = torch.zeros(1024, 1024)
    x.exp_().sin_()
    mark("peak in place")
    x = x.exp().sin()
    mark("peak of copies")
    model = Deep()
    x = torch.rand(8192, 256)
    mark("before training")
    step(model, x, True)
    mark("checkpointed")
    step(model, x, False)
    mark("not checkpointed")
    step(model, x, False)
    mark("twice")
    return model
"""


@cache
def marks() -> Mapping[str, tuple[int, int, int]]:
    """Bytes that lived, the peak so far and the operations so far, at each mark of the program."""
    data, found = load_digits(), {}
    job = Job(
        files={"entry.py": PROGRAM},
        module="entry",
        function="train",
        images=data.train_images.shape,
        num_classes=10,
        seed=0,
        device="cpu",
        time_budget_seconds=60.0,
    )
    with open_pair(ProcessRuntime(), Budgets(cpus=1), {}) as run:
        meter = run.meter

        def report(values: Mapping[str, Any]) -> None:
            memory = meter.tensor_memory
            living = meter.executor_bytes - memory.training_set_bytes
            found[str(values["mark"])] = living, memory.peak_bytes, meter.operations

        run.relay.use(run.watch.look, report)
        run.relay.start(Start(device="cpu", threads=1), [data.train_images, data.train_labels])
        run.watch.begin("train", 60)
        run.relay.train(job)
    return found


def living(mark: str) -> int:
    return marks()[mark][0]


def peak(mark: str) -> int:
    return marks()[mark][1]


def operations(since: str, mark: str) -> int:
    return marks()[mark][2] - marks()[since][2]


def test_views_and_operators_in_place_add_nothing() -> None:
    assert living("nothing") == 0
    assert [living(mark) for mark in ("a tensor", "its views", "in place")] == [MIB, MIB, MIB]


def test_copies_count_until_their_last_handle_is_gone() -> None:
    assert living("a copy") == living("into it") == 2 * MIB
    assert living("the first is freed") == MIB
    assert living("another storage") == 16


def test_a_copy_of_the_training_set_counts() -> None:
    assert living("the training set") == load_digits().train_images.nbytes


def test_a_freed_graph_returns_to_the_level_before() -> None:
    assert living("a graph") > living("before a graph") + 2 * MIB
    assert living("a freed graph") == living("before a graph")
    assert living("twice") == living("not checkpointed") == living("before training")
    assert peak("twice") == peak("not checkpointed")


def test_in_place_lowers_the_peak() -> None:
    assert peak("peak of copies") > peak("peak in place")


def test_checkpointing_lowers_the_peak_and_raises_operations() -> None:
    assert peak("checkpointed") < peak("not checkpointed")
    assert operations("before training", "checkpointed") > operations("checkpointed", "not checkpointed")


PROGRAMS = [
    ("loops", "trainer_with_a_module"),
    ("loops", "script_with_every_switch"),
    ("optimizers", "adamw"),
    ("optimizers", "sgd_nesterov_foreach"),
    ("optimizers", "lbfgs"),
    ("optimizers", "averaged_model_ema"),
]


@cache
def remote_run(theme: str, name: str) -> RemoteRun:
    return run_remotely(theme, name)


@pytest.mark.parametrize(("theme", "name"), PROGRAMS)
def test_an_oracle_on_plain_tensors_finds_the_same_peak(theme: str, name: str) -> None:
    follower, _ = followed(theme, name)
    memory = remote_run(theme, name).memory
    assert memory.call is not None
    assert (memory.peak_bytes, memory.call.operator) == (follower.peak_bytes, follower.operator)


RESTS = {
    "aten.hann_window.default": "a window of one more element, of which the last is not shown",
    "aten.hamming_window.default": "a window of one more element, of which the last is not shown",
    "aten.unique_consecutive.default": "room for as many results as there are elements",
    "aten.unique_dim.default": "room for as many results as there are elements",
    "aten.col2im.default": "as much room as its columns take",
    "aten.linalg_lstsq.default": "the right side, of which the solution is a part",
    "aten._new_zeros_with_same_feature_meta.default": "as much room as the storage of the other tensor",
}
"""Operators that return a part of what they have allocated, and why. The judge counts what is returned."""

GAPS = {"decompositions": 64}
"""Bytes of a result that lie between its elements, by program.

`lstsq` returns a part of the rows of its right side, and the judge's executor keeps them without the others.
"""


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["autocast", "functional", "indexing", "linalg", "views"])
def test_an_oracle_agrees_after_each_program_of_a_theme(theme: str) -> None:
    follower, levels = followed(theme)
    assert {operator for operator, rest in follower.rests.items() if rest} <= RESTS.keys()
    found = {
        name: (living + GAPS.get(name, 0), peak) for name, (living, peak) in whole_theme(theme).levels.items()
    }
    assert found == levels


def followed(theme: str, only: str = "") -> tuple[StorageFollower, dict[str, tuple[int, int]]]:
    """The oracle over plain tensors, with the bytes that lived after each program and the most until then."""
    found: list[StorageFollower] = []
    levels: dict[str, tuple[int, int]] = {}

    def follow(task: SubmissionTask) -> AbstractContextManager[object]:
        found.append(StorageFollower(task.images, task.labels))
        return found[0]

    def note(values: Mapping[str, Any]) -> None:
        if "case" in values:
            gc.collect()
            levels[values["case"]] = found[0].living_bytes, found[0].peak_bytes

    run_plainly(theme, only, tell=note, watched_by=follow)
    return found[0], levels


def test_labels_are_no_part_of_the_trace() -> None:
    theme, name = PROGRAMS[0]
    silent = run_remotely(theme, name, client=SILENT_CLIENT)
    assert silent.memory == remote_run(theme, name).memory
    assert silent.trace_sha256 == remote_run(theme, name).trace_sha256
    assert not silent.labels
    assert remote_run(theme, name).labels


@pytest.mark.parametrize(("theme", "name"), PROGRAMS[:2])
def test_equal_runs_have_equal_traces(theme: str, name: str) -> None:
    assert run_remotely(theme, name).trace_sha256 == remote_run(theme, name).trace_sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits-cnn", "digits-resnet9"])
def test_equal_runs_of_an_example_have_equal_traces(tmp_path: Path, name: str) -> None:
    """So have their labels, their memory and its call: all of it lies in files named by their digest."""
    first, second = (
        evaluate(Request(EXAMPLES / name, tmp_path, tmp_path / folder, sandbox="process")).record
        for folder in ("first", "second")
    )
    assert first.trace is not None
    assert first.trace == second.trace
    assert first.training is not None
    assert second.training is not None
    assert first.training.memory == second.training.memory
    assert first.training.labels == second.training.labels


GARBAGE = """
def train(task):
    model = Linear()
    for _ in range(300):
        kept = [task.images[:8].float(), object()]
        kept.append(kept)
        for _ in range({more}):
            object.__new__(type("Another", (), {{}}))
        torch.relu(kept[0])
    return model
"""


def judged(folder: Path, code: str, number: int, competition: Path | None = None) -> Record:
    submission = write_submission(folder / f"submission{number}", code)
    rules = str(competition) if competition else None
    request = Request(submission, folder, folder / f"results{number}", sandbox="process", competition=rules)
    return evaluate(request).record


def test_when_garbage_is_collected_does_not_depend_on_allocations(tmp_path: Path) -> None:
    """Python's own collector runs after so many allocations; with more of them it would run earlier."""
    few, many = (judged(tmp_path, GARBAGE.format(more=more), more).training for more in (0, 9))
    assert few is not None
    assert many is not None
    assert few.memory == many.memory
    assert few.messages == many.messages


LABELLED = """
class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Identity(), Linear()])

    def forward(self, x):
        return self.parts[1](x).sum() + torch.nn.functional.pad(x.flatten(1), (0, 5000)).sum()

def train(task):
    x = task.images[:64].float()
    Wide()(x).backward()
    return Linear()
"""


def test_a_record_says_which_line_and_module_made_the_peak(tmp_path: Path) -> None:
    """It is what the submission says, and a check says the same of it."""
    training = judged(tmp_path, LABELLED.replace("3072", "64"), 0).training
    assert training is not None
    assert training.memory is not None
    call = training.memory.call
    assert call is not None
    lines = (tmp_path / "submission0" / "submission.py").read_text("utf-8").splitlines()
    name, _, number = (call.line or "").partition(":")
    assert name == "submission.py"
    assert "functional.pad" in lines[int(number) - 1]
    assert call.module == "Wide"


LARGE = """
def train(task):
    model = Linear()
    x = torch.ones(1024, 1024)
    y = x.relu()
    del y
    y = x.relu()
    z = x.relu()
    return model
"""


def test_the_budget_ends_the_run_at_the_same_call(tmp_path: Path) -> None:
    rules = write_competition(tmp_path / "rules.toml", peak_tensor_bytes=9 * MIB)
    record = judged(tmp_path, LARGE, 0, rules)
    assert record.status.verdict is Verdict.LIMIT_MEMORY
    assert record.status.code == "limit-tensor-memory"
    assert record.training is not None
    assert record.training.memory is not None
    call = record.training.memory.call
    assert call is not None
    assert call.operator == "aten.relu.default"
    assert record.training.memory.peak_bytes > 12 * MIB
