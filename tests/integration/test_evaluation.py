"""Whole evaluations with local processes: every verdict, and what the record says with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load

from haet_eval.errors import UsageProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.progress import Silent
from haet_eval.record import Content, from_json, seal
from haet_eval.remote.recount import recount
from haet_eval.remote.wire import TRACE_VERSION
from haet_eval.store import Store
from haet_eval.verification.check import Result
from haet_eval.verification.evidence import Sources
from haet_eval.verification.rerunning import Again, rerun
from haet_eval.verification.verify import verify
from tests.fixtures.submissions import write_competition, write_submission

EXAMPLES = Path(__file__).parents[2] / "submissions"
LINEAR = Path(__file__).parents[1] / "fixtures" / "linear"


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., WrittenRecord]:
    """Evaluates a folder, or the code of a `train`, under budgets of the test's choice."""

    def run(submission: Path | str, **budgets: int) -> WrittenRecord:
        if isinstance(submission, str):
            submission = write_submission(tmp_path / "submission", submission)
        rules = write_competition(tmp_path / "rules.toml", **budgets) if budgets else None
        request = Request(
            submission,
            data_dir=tmp_path / "data",
            results=tmp_path / "results",
            competition=str(rules) if rules else None,
            sandbox="process",
        )
        return evaluate(request)

    return run


def test_an_example_qualifies_and_its_record_can_be_recomputed(judge: Callable[..., WrittenRecord]) -> None:
    outcome = judge(EXAMPLES / "digits-cnn")
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert from_json(outcome.path.read_text(encoding="utf-8")) == record
    assert record.rank is None
    rank = Store(outcome.path.parent).ranked(record).rank
    assert rank is not None
    assert (rank.position, rank.of) == (1, 1)
    assert record.evaluation is not None
    assert record.evaluation.accuracy >= 0.93
    training, trace = record.training, record.trace
    assert training is not None
    assert trace is not None
    assert training.parameters is not None
    assert record.complexity == training.operations.total + training.parameters.total
    again = recount(outcome.path.parent / "artifacts" / f"{trace.sha256}.trace")
    assert again.header["version"] == TRACE_VERSION
    stored = outcome.path.parent / "artifacts" / f"{training.histogram.sha256}.histogram.json"
    assert again.histogram.to_json() == stored.read_bytes()
    assert again.parameters is not None
    assert again.parameters.total == training.parameters.total


def test_the_same_seed_gives_the_same_record_but_for_the_times(judge: Callable[..., WrittenRecord]) -> None:
    first, second = judge(LINEAR).record, judge(LINEAR).record
    assert first.status.verdict is Verdict.BELOW_THRESHOLD
    assert "below the 93.00 % asked for" in first.status.reason
    assert first.training is not None
    assert second.training is not None
    assert first.training.model == second.training.model
    assert first.training.histogram == second.training.histogram
    assert first.evaluation == second.evaluation


def test_an_ordinary_training_does_not_load_the_compiler(judge: Callable[..., WrittenRecord]) -> None:
    """The optimizers would at their first step: a second, and a fifth of the process's memory."""
    record = judge("""
        import sys

        def train(task):
            model = Linear()
            optimizer = torch.optim.Adam(model.parameters())
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(task.images[:10]), task.labels[:10]).backward()
            optimizer.step()
            optimizer.load_state_dict(optimizer.state_dict())
            print("loaded" if "torch._dynamo" in sys.modules else "not loaded")
            return model
    """).record
    assert record.log.head == "not loaded\n"


def test_lazy_conjugates_and_negatives_outlive_the_training(judge: Callable[..., WrittenRecord]) -> None:
    outcome = judge("""
        class Shown(Linear):
            def forward(self, images):
                print(self.conjugate.imag.sum().item(), self.negative.sum().item())
                return super().forward(images)

        def train(task):
            model, number = Shown(), torch.tensor([1 + 2j])
            model.register_buffer("conjugate", number.conj())
            model.register_buffer("negative", number.conj().imag)
            return model
    """)
    training = outcome.record.training
    assert training is not None
    assert training.model is not None
    stored = Store(outcome.path.parent).read_artifact(training.model)
    assert stored is not None
    weights = load(stored)
    assert weights["conjugate"].tolist() == [[1, -2]]
    assert weights["negative"].tolist() == [-2]
    assert set(outcome.record.log.head.split()) == {"-2.0"}


FAILURES = {
    "an exception": (
        "def train(task):\n    raise KeyError('lost')",
        Verdict.FAILED,
        ["KeyError: 'lost'", "submission.py, line 14"],
    ),
    "an exception with a file name that is not UTF-8": (
        "def train(task):\n    raise ValueError(b'caf\\xe9'.decode('utf-8', 'surrogateescape'))",
        Verdict.FAILED,
        ["ValueError: caf\\udce9", "submission.py, line 14", 'File "submission.py", line 14, in train'],
    ),
    "an exit": ("def train(task):\n    raise SystemExit(0)", Verdict.FAILED, ["SystemExit"]),
    "no module": ("def train(task):\n    return 3", Verdict.FAILED, ["returned int", "torch.nn.Module"]),
    "a train that takes more than the task": (
        "def train(task, lr):\n    return Linear()",
        Verdict.FAILED,
        ["train(task, lr) cannot be called with the task alone", "write `def train(task):`"],
    ),
    "a model that returns nothing": (
        "def train(task):\n    model = Linear()\n    model.forward = lambda images: None\n    return model",
        Verdict.FAILED,
        ["the model returned NoneType; it must return a tensor of logits"],
    ),
    "images left as integers": (
        "def train(task):\n    Linear().head(task.images.flatten(1))",
        Verdict.FAILED,
        ["Images are uint8", "`images / 255`", "submission.py, line 14"],
    ),
    "a shape error": (
        "def train(task):\n    task.images @ task.labels",
        Verdict.FAILED,
        ["submission.py, line 14"],
    ),
    "an index out of range": (
        "def train(task):\n    x = torch.zeros(3)[task.labels + 7]\n    x.sum().item()",
        Verdict.FAILED,
        ["index", "out of"],
    ),
    "an unregistered tensor": (
        """
        def train(task):
            model = Linear()
            shift = torch.ones(10)
            model.forward = lambda images: model.head(images.flatten(1).float()) + shift
            return model
        """,
        Verdict.FAILED,
        ["shape [10]", "register_buffer"],
    ),
    "logits of another shape": (
        "def train(task):\n    return nn.Flatten()",
        Verdict.FAILED,
        ["logits", "[200, 10]"],
    ),
    "an operator that is not allowed": (
        "def train(task):\n    torch.ones(3).to_sparse()",
        Verdict.UNCOUNTABLE,
        ["sparse"],
    ),
}


@pytest.mark.parametrize(("code", "verdict", "words"), FAILURES.values(), ids=FAILURES)
def test_a_failure_says_what_happened_and_where(
    judge: Callable[..., WrittenRecord], code: str, verdict: Verdict, words: list[str]
) -> None:
    record = judge(code).record
    assert record.status.verdict is verdict, record.status.reason
    for word in words:
        assert word in record.status.reason + record.log.head
    assert record.rank is None


LIMITS = {
    "time in Python": ("def train(task):\n    while True: pass", Verdict.LIMIT_TIME, {"wall_seconds": 2}),
    "time in the executor": (
        "def train(task):\n    x = torch.ones(2000, 2000)\n    while True: x = (x @ x).clamp(max=1)",
        Verdict.LIMIT_TIME,
        {"wall_seconds": 2},
    ),
    "output": (
        "def train(task):\n    while True: print('x' * 1000)",
        Verdict.LIMIT_OUTPUT,
        {"output_bytes": 100_000},
    ),
    "read-back": (
        "def train(task):\n    for image in task.images: image.tolist()",
        Verdict.LIMIT_READBACK,
        {"readback_bytes": 10_000},
    ),
    "upload": (
        "def train(task):\n    torch.tensor(list(range(5000)))",
        Verdict.LIMIT_UPLOAD,
        {"upload_bytes": 10_000},
    ),
    "messages": (
        "def train(task):\n    x = torch.ones(1)\n    while True: x = x * x",
        Verdict.LIMIT_MESSAGES,
        {"messages": 10_000},
    ),
    "processor time": (
        "def train(task):\n    while True: pass",
        Verdict.LIMIT_CPU,
        {"submission_cpu_seconds": 6},
    ),
    "processor time of a child": (
        "def train(task):\n    import os\n    while os.fork(): os.wait()\n    while True: pass",
        Verdict.LIMIT_CPU,
        {"submission_cpu_seconds": 6},
    ),
    "processor time that messages without a price do not buy": (
        "def train(task):\n    x = torch.ones(1)\n    while True: x.view(1)",
        Verdict.LIMIT_CPU,
        {"submission_cpu_seconds": 6, "submission_cpu_microseconds": 10**6},
    ),
    "operations": (
        "def train(task):\n    x = torch.ones(500, 500)\n    while True: x = (x @ x).clamp(max=1)",
        Verdict.LIMIT_OPERATIONS,
        {"operations": 10**9},
    ),
    "prediction": (
        """
        def train(task):
            model = Linear()
            model.forward = lambda images: sum(model.head(images.flatten(1).float()) for _ in range(50))
            return model
        """,
        Verdict.LIMIT_PREDICTION,
        {"prediction_operations_per_image": 100_000},
    ),
}


SLOW_LIMITS = ("processor time of a child", "processor time that messages without a price do not buy")


@pytest.mark.parametrize(
    ("code", "verdict", "budget"),
    [
        pytest.param(*limit, id=name, marks=[pytest.mark.slow] if name in SLOW_LIMITS else [])
        for name, limit in LIMITS.items()
    ],
)
def test_a_budget_that_is_used_up_ends_the_run_with_its_verdict(
    judge: Callable[..., WrittenRecord], code: str, verdict: Verdict, budget: dict[str, int]
) -> None:
    record = judge(code, **budget).record
    assert record.status.verdict is verdict, record.status.reason
    assert record.training is not None
    assert record.trace is not None


def test_operations_of_the_prediction_above_the_free_ones_are_complexity(
    judge: Callable[..., WrittenRecord], tmp_path: Path
) -> None:
    code = """
    def train(task):
        model = Linear()
        model.forward = lambda images: sum(model.head(images.flatten(1).float()) for _ in range(50))
        return model
    """
    free = 100_000
    outcome = judge(code, prediction_free_operations_per_image=free)
    record = outcome.record
    assert record.training is not None
    assert record.training.parameters is not None
    assert record.evaluation is not None
    assert record.evaluation.operations is not None
    charged = record.evaluation.operations - free * record.evaluation.total
    assert charged > 0
    assert record.evaluation.charged_operations == charged
    trained = record.training.operations.total + record.training.parameters.total
    assert record.complexity == trained + charged
    sources = Sources(Store(outcome.path.parent), tmp_path, str(tmp_path / "rules.toml"))
    found = {one.subject: one.result for one in verify(outcome.path, sources)[0].checks}
    assert found["charged operations"] is found["complexity"] is found["prediction"] is Result.HOLDS
    evaluation = record.evaluation.model_copy(update={"charged_operations": 0})
    facts = {name: getattr(record, name) for name in Content.model_fields}
    forged = seal(Content(**facts | {"evaluation": evaluation, "complexity": trained}))
    path = Store(outcome.path.parent).add(forged)
    found = {one.subject: one.result for one in verify(path, sources)[0].checks}
    assert found["charged operations"] is Result.DIFFERS


def test_prediction_reads_back_no_more_than_its_budget_for_each_batch(
    judge: Callable[..., WrittenRecord],
) -> None:
    code = """
    def train(task):
        model = Linear()
        plain = model.forward
        model.forward = lambda images: (images[0, 0, 0, :{count}].tolist(), plain(images))[1]
        return model
    """
    record = judge(code.format(count=16), prediction_readback_bytes=16).record
    assert record.evaluation is not None
    assert record.evaluation.readback_bytes == 3 * 16  # of 445 images, 200 at a time
    assert record.training is not None
    assert record.training.readback_bytes == 0
    record = judge(code.format(count=17), prediction_readback_bytes=16).record
    assert record.status.verdict is Verdict.LIMIT_READBACK
    assert record.status.code == "limit-prediction-readback"


def test_an_archive_that_cannot_be_read_gives_a_record_too(
    judge: Callable[..., WrittenRecord], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    outcome = judge(broken)
    assert outcome.record.status.verdict is Verdict.INVALID_SUBMISSION
    assert outcome.record.status.stage == "unpack"
    stored = json.loads(outcome.path.read_bytes())
    assert stored["training"] is None
    assert stored["submission"]["task"] is None


@pytest.mark.parametrize("task", [None, ""], ids=["as now", "as in 0.1.0"])
def test_an_archive_that_cannot_be_read_is_refused_again_when_it_is_rerun(
    judge: Callable[..., WrittenRecord], tmp_path: Path, task: str | None
) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no zip")
    record = judge(broken).record
    facts = {name: getattr(record, name) for name in Content.model_fields}
    before = seal(Content(**facts | {"submission": record.submission.model_copy(update={"task": task})}))
    again = Again(broken, tmp_path / "data", tmp_path / "again")
    found = rerun(before, again, Silent()).record
    assert found.status == before.status
    assert found.submission.sha256 == before.submission.sha256


def test_a_path_that_does_not_exist_gives_no_record(
    judge: Callable[..., WrittenRecord], tmp_path: Path
) -> None:
    with pytest.raises(UsageProblem, match="cannot be read"):
        judge(tmp_path / "nowhere")
    assert not list((tmp_path / "results").glob("*.json"))


def test_each_audit_may_print_as_much_as_the_run_that_it_audits(tmp_path: Path) -> None:
    submission = write_submission(
        tmp_path / "submission", 'def train(task):\n    print("x" * 600)\n    return Linear()'
    )
    rules = write_competition(tmp_path / "rules.toml", output_bytes=1000)
    request = Request(
        submission,
        tmp_path / "data",
        tmp_path / "results",
        competition=str(rules),
        sandbox="process",
        split_seed=1,
        disguise_seed=1,
    )
    record = evaluate(request).record
    for audit in (record.audit, record.second_audit):
        assert audit is not None
        assert audit.run.status.verdict is Verdict.BELOW_THRESHOLD, audit.run.status.reason
        assert audit.run.log.head == "x" * 600 + "\n"
