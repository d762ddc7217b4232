"""Whole evaluations on plain tensors: the same weights as on handles, every verdict, checkpoints."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.progress import Silent
from haet_eval.record import Content, Sandbox, from_json, seal, to_json
from haet_eval.store import Store
from haet_eval.verification.check import Result, believable, holds
from haet_eval.verification.conclusion import REPLAY, Word
from haet_eval.verification.evidence import Sources
from haet_eval.verification.rerunning import Again, compare, rerun
from haet_eval.verification.verify import verify
from tests.fixtures.submissions import write_native_competition, write_submission

EXAMPLES = Path(__file__).parents[2] / "submissions"
LINEAR = Path(__file__).parents[1] / "fixtures" / "linear"


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., WrittenRecord]:
    """Evaluates a folder, or the code of a `train`, natively under rules and budgets of the test's choice."""

    def run(
        submission: Path | str,
        *keys: str,
        sandbox: Sandbox = "process",
        count: bool = False,
        device: str = "cpu",
        runs: int = 1,
        **budgets: int,
    ) -> WrittenRecord:
        if isinstance(submission, str):
            submission = write_submission(tmp_path / "submission", submission)
        rules = write_native_competition(tmp_path / "rules.toml", *keys, **budgets)
        return evaluate(
            Request(
                submission,
                data_dir=tmp_path / "data",
                results=tmp_path / "results",
                competition=str(rules),
                sandbox=sandbox,
                count=count,
                device=device,
                runs=runs,
            )
        )

    return run


@pytest.mark.slow
def test_a_native_training_gives_the_weights_of_the_counted_one(judge: Callable[..., WrittenRecord]) -> None:
    outcome = judge(EXAMPLES / "digits-cnn", count=True)
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert from_json(outcome.path.read_text(encoding="utf-8")) == record
    assert record.environment.runner == "native"
    assert record.evaluation is not None
    assert record.evaluation.accuracy >= 0.93
    assert record.evaluation.operations is None
    assert record.native is not None
    assert record.training is not None
    assert record.native.model == record.training.model
    assert record.native.parameters == record.training.parameters
    assert record.complexity is not None
    assert record.trace is not None


RECURRENT = """
from torch.nn import functional

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = nn.LSTM(96, 8, batch_first=True)
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 10)

    def forward(self, images):
        rows = images.float().div(255).permute(0, 2, 1, 3).flatten(2)
        return self.head(self.norm(self.attention(self.rows(rows)[0])[:, -1]))

def train(task):
    model = Recurrent().to(task.device)
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(3):
        batch = torch.randperm(len(task.images), device=task.device)[:64]
        loss = functional.cross_entropy(model(task.images[batch]), task.labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model
"""


def test_layers_that_pytorch_would_fuse_give_the_same_weights_too(
    judge: Callable[..., WrittenRecord],
) -> None:
    record = judge(RECURRENT, count=True).record
    assert record.native is not None
    assert record.training is not None
    assert record.native.model == record.training.model
    assert record.native.parameters == record.training.parameters


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("submission", [EXAMPLES / "digits-cnn", RECURRENT], ids=["cnn", "recurrent"])
def test_native_and_counted_weights_are_the_same_on_a_gpu(
    judge: Callable[..., WrittenRecord], submission: Path | str
) -> None:
    record = judge(submission, count=True, device="cuda").record
    assert record.native is not None
    assert record.training is not None
    assert record.native.model == record.training.model


def test_a_native_record_says_what_was_not_counted(judge: Callable[..., WrittenRecord]) -> None:
    outcome = judge("def train(task):\n    task.report(step=1)\n    print('hello')\n    return Linear()")
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED
    assert (record.training, record.trace, record.complexity) == (None, None, None)
    assert record.native is not None
    assert record.native.wall_seconds > 0
    assert record.native.nodes == 1
    assert not record.native.checkpoint_used
    assert record.native.peak_memory_bytes is not None
    assert record.reports == ({"step": 1},)
    assert record.log.head == "hello\n"
    assert Store(outcome.path.parent).ranked(record).rank is not None


FAILURES = {
    "an exception": (
        "def train(task):\n    raise KeyError('lost')",
        {},
        Verdict.FAILED,
        ["KeyError: 'lost'", "submission.py, line 14"],
    ),
    "an exit": ("def train(task):\n    raise SystemExit(0)", {}, Verdict.FAILED, ["SystemExit"]),
    "an end of the process": (
        "import os\ndef train(task):\n    os._exit(3)",
        {},
        Verdict.FAILED,
        ["exit status 3"],
    ),
    "a crash": (
        "import os\ndef train(task):\n    os.kill(os.getpid(), 11)",
        {},
        Verdict.FAILED,
        [signal.SIGSEGV.name],
    ),
    "no module": ("def train(task):\n    return 3", {}, Verdict.FAILED, ["returned int", "torch.nn.Module"]),
    "logits of another shape": (
        "def train(task):\n    return nn.Flatten()",
        {},
        Verdict.FAILED,
        ["logits must be floats of shape [200, 10]"],
    ),
    "no end": (
        "def train(task):\n    while True: task.images.float().mean()",
        {"wall_seconds": 2},
        Verdict.LIMIT_TIME,
        ["budget of 2 s"],
    ),
    "no end of the prediction": (
        """
        class Slow(Linear):
            def forward(self, images):
                while True: pass

        def train(task):
            return Slow()
        """,
        {"prediction_seconds": 2},
        Verdict.LIMIT_TIME,
        ["prediction", "budget of 2 s"],
    ),
    "much output": (
        "def train(task):\n    for _ in range(1000): print('x' * 1000)\n    return Linear()",
        {"output_bytes": 10_000},
        Verdict.LIMIT_OUTPUT,
        ["10,000 bytes"],
    ),
    "much memory": (
        "def train(task):\n    kept = []\n    while True: kept.append(torch.ones(1 << 24))",
        {"memory_bytes": 1 << 30},
        Verdict.LIMIT_MEMORY,
        ["memory"],
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_have_their_verdicts(judge: Callable[..., WrittenRecord], name: str) -> None:
    code, budgets, verdict, words = FAILURES[name]
    record = judge(code, **budgets).record
    assert record.status.verdict is verdict, record.status.reason
    for word in words:
        assert word in record.status.reason
    assert record.native is not None
    assert record.evaluation is None


def test_energy_of_inference_repeats_the_prediction(judge: Callable[..., WrittenRecord]) -> None:
    code = """
    class Talking(Linear):
        def forward(self, images):
            print(len(images), end=" ")
            return super().forward(images)

    def train(task):
        return Talking()
    """
    keys = ('ranking = "inference_energy"', "inference_iterations = 3")
    record = judge(code, *keys, prediction_batch_size=400).record
    assert record.log.head.split() == ["400", "45"] * 3
    assert record.energy is not None
    assert record.energy.iterations == 3


CHECKPOINTS = 'overtime = "checkpoint"'
NO_END = """
def train(task):
    model = Linear()
    {before}
    while True:
        try:
            task.images.float().mean()
        except {caught}:
            print("caught")
"""


def test_the_last_checkpoint_counts_when_the_time_is_over(judge: Callable[..., WrittenRecord]) -> None:
    code = """
    def train(task):
        model, best = Linear(), Linear()
        with torch.no_grad():
            model.head.weight.zero_()
            model.head.bias.copy_(torch.arange(10.0))
            task.checkpoint(best)
            task.checkpoint(model)
            model.head.bias.mul_(-1)
        while True:
            task.images.float().mean()
    """
    outcome = judge(code, CHECKPOINTS, wall_seconds=3)
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.native is not None
    assert record.native.checkpoint_used
    assert record.native.wall_seconds >= 3
    assert record.evaluation is not None
    predictions = (
        outcome.path.parent / "artifacts" / f"{record.evaluation.predictions.sha256}.predictions.txt"
    )
    assert set(predictions.read_text().split()) == {"9"}  # as the model was when it was marked


def test_a_model_that_is_returned_in_time_counts_instead_of_checkpoints(
    judge: Callable[..., WrittenRecord],
) -> None:
    code = "def train(task):\n    task.checkpoint(Linear())\n    return Linear()"
    record = judge(code, CHECKPOINTS).record
    assert record.status.verdict is Verdict.QUALIFIED
    assert record.native is not None
    assert not record.native.checkpoint_used


def test_without_a_checkpoint_time_is_over(judge: Callable[..., WrittenRecord]) -> None:
    record = judge(NO_END.format(before="", caught="ValueError"), CHECKPOINTS, wall_seconds=2).record
    assert record.status.verdict is Verdict.LIMIT_TIME


def test_checkpoints_count_only_if_the_rules_say_so(judge: Callable[..., WrittenRecord]) -> None:
    code = NO_END.format(before="task.checkpoint(model)", caught="ValueError")
    record = judge(code, wall_seconds=2).record
    assert record.status.verdict is Verdict.LIMIT_TIME


@pytest.mark.slow
def test_a_training_that_cannot_be_stopped_fails(
    judge: Callable[..., WrittenRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haet_eval.evaluation.watch.GRACE_SECONDS", 5.0)  # time to be asked twice
    code = NO_END.format(before="task.checkpoint(model)", caught="BaseException")
    record = judge(code, CHECKPOINTS, wall_seconds=2).record
    assert record.status.verdict is Verdict.LIMIT_TIME
    assert "caught" in record.log.head


@pytest.mark.docker
def test_containers_give_the_weights_of_local_processes(
    judge: Callable[..., WrittenRecord], sandbox_image: str
) -> None:
    local, inside = (judge(LINEAR, sandbox=sandbox).record for sandbox in ("process", "docker"))
    assert local.native is not None
    assert inside.native is not None
    assert inside.native.model == local.native.model
    assert inside.evaluation == local.evaluation
    assert inside.environment.image_digest == sandbox_image


PROBE = """
import platform
import socket

def outcome(action):
    try:
        action()
    except OSError as error:
        return type(error).__name__ + str(error.errno)
    return "done"

def train(task):
    print(outcome(lambda: socket.socket(socket.AF_INET)))
    print(outcome(lambda: open("/opt/sandbox/new", "w")))
    print(platform.python_version())
    return Linear()
"""


@pytest.mark.docker
def test_a_node_alone_has_no_network_and_cannot_write_and_its_python_is_recorded(
    judge: Callable[..., WrittenRecord], sandbox_image: str
) -> None:
    record = judge(PROBE, sandbox="docker").record
    assert record.log.head.split() == ["OSError97", "OSError30", record.environment.python]


@pytest.mark.docker
def test_data_loaders_may_have_processes(judge: Callable[..., WrittenRecord], sandbox_image: str) -> None:
    code = """
    from torch.utils.data import DataLoader, TensorDataset

    def train(task):
        loader = DataLoader(TensorDataset(task.images, task.labels), batch_size=500, num_workers=1)
        print(sum(len(labels) for _, labels in loader))
        return Linear()
    """
    record = judge(code, sandbox="docker").record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.log.head == "1352\n"


@pytest.mark.slow
def test_several_native_runs_have_statistics(judge: Callable[..., WrittenRecord]) -> None:
    record = judge(LINEAR, runs=2).record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.statistics is not None
    assert record.statistics.complexity is None
    assert record.runs is not None
    assert all(run.native is not None for run in record.runs)
    times = sorted(run.native.wall_seconds for run in record.runs if run.native is not None)
    assert record.native is not None
    assert record.native.wall_seconds == times[0]


@pytest.mark.slow
def test_native_records_can_be_verified_and_run_again(tmp_path: Path) -> None:
    rules = write_native_competition(tmp_path / "rules.toml")
    request = Request(
        LINEAR, tmp_path / "data", tmp_path / "first", competition=str(rules), sandbox="process"
    )
    for count in (False, True):
        path = evaluate(replace(request, count=count)).path
        sources = Sources(Store(path.parent), tmp_path / "data", competition=str(rules))
        verification, parts = verify(path, sources)
        assert verification.believable, verification.checks
        assert "native weights" in parts[0].evidence.files
        # A replay is of the counted training, and says nothing of the model on plain tensors.
        replayed = verification.and_also([holds(REPLAY, "the answers are those of the trace")])
        assert replayed.conclusion.word is Word.CONSISTENT
        assert "Only a rerun shows" in replayed.conclusion.sentence
        record = from_json(path.read_bytes())
        again = Again(LINEAR, tmp_path / "data", tmp_path / "second", competition=str(rules))
        found = rerun(record, again, Silent()).record
        checks = tuple(compare(record, Store(path.parent), found, Store(tmp_path / "second")))
        assert believable(checks), checks
        assert record.native is not None
        assert record.native.parameters is not None
        more = record.native.parameters.model_copy(update={"total": 10**6, "trainable": 10**6})
        other = record.model_copy(update={"native": record.native.model_copy(update={"parameters": more})})
        compared = compare(other, Store(path.parent), found, Store(tmp_path / "second"))
        assert [one.subject for one in compared if one.result is Result.DIFFERS] == ["native parameters"]
        assert ("count" in {check.subject for check in checks}) == count


def test_a_native_record_holds_whatever_became_of_its_count(tmp_path: Path) -> None:
    rules = write_native_competition(tmp_path / "rules.toml", messages=1)
    request = Request(
        LINEAR, tmp_path / "data", tmp_path / "results", competition=str(rules), sandbox="process", count=True
    )
    outcome = evaluate(request)
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.training is not None
    assert record.training.messages > 1
    assert record.complexity is None
    sources = Sources(Store(outcome.path.parent), tmp_path / "data", competition=str(rules))
    verification, _ = verify(outcome.path, sources)
    assert verification.believable, verification.checks


def test_a_native_record_that_breaks_the_rules_does_not_hold(tmp_path: Path) -> None:
    rules = write_native_competition(tmp_path / "rules.toml")
    request = Request(
        LINEAR, tmp_path / "data", tmp_path / "results", competition=str(rules), sandbox="process"
    )
    outcome = evaluate(request)
    native = outcome.record.native
    assert native is not None
    for change in ({"nodes": 2}, {"checkpoint_used": True}, {"wall_seconds": 90.0}):
        content = {name: getattr(outcome.record, name) for name in Content.model_fields}
        content["native"] = native.model_copy(update=change)
        outcome.path.write_text(to_json(seal(Content(**content))))
        sources = Sources(Store(outcome.path.parent), tmp_path / "data", competition=str(rules))
        checks = {check.subject: check.result for check in verify(outcome.path, sources)[0].checks}
        assert checks["native training"] is Result.DIFFERS, change


def test_a_submission_that_talks_to_the_socket_itself_fails(judge: Callable[..., WrittenRecord]) -> None:
    code = """
    import gc, socket

    def train(task):
        for found in gc.get_objects():
            if isinstance(found, socket.socket):
                found.sendall(b"\\\\xff" * 100)
        while True: pass
    """
    record = judge(code).record
    assert record.status.verdict is Verdict.FAILED
    assert "broke the protocol" in record.status.reason


@pytest.mark.docker
def test_too_many_threads_and_too_much_memory_in_a_container(
    judge: Callable[..., WrittenRecord], sandbox_image: str
) -> None:
    threads = """
    import threading, time

    def train(task):
        for _ in range(200):
            threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        return Linear()
    """
    record = judge(threads, sandbox="docker", processes=64).record
    assert record.status.verdict is Verdict.LIMIT_PROCESSES, record.status.reason
    memory = "def train(task):\n    kept = []\n    while True: kept.append(torch.ones(1 << 24))"
    record = judge(memory, sandbox="docker", memory_bytes=1 << 30).record
    assert record.status.verdict is Verdict.LIMIT_MEMORY, record.status.reason
