"""Checkpoints as files: which are refused, what a full disk does, and who may read them."""

import os
import re
import resource
import shutil
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from haet_eval.dataset import Dataset
from haet_eval.evaluation.course import CheckpointPlan, Course, Earlier
from haet_eval.evaluation.frame import PlannedRun
from haet_eval.evaluation.heard import Heard
from haet_eval.evaluation.request import Request
from haet_eval.evaluation.results import Ran
from haet_eval.evaluation.run import run_counted
from haet_eval.evaluation.unpack import unpack
from haet_eval.progress import Silent
from haet_eval.record import from_json
from haet_eval.remote.checkpoint import CheckpointFile
from haet_eval.remote.packed import Broken
from haet_eval.resumable import RunHome, homes
from haet_eval.runtimes.process import ProcessRuntime
from haet_eval.store import Store
from tests.fixtures.evaluator import Evaluator
from tests.fixtures.resuming import Notes, plan_in
from tests.fixtures.submissions import write_competition, write_submission

pytestmark = pytest.mark.slow

TRAIN = """
def train(task):
    model = Linear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    seen = torch.zeros(())
    for step in range(300):
        chosen = torch.randint(0, len(task.images), (20,))
        loss = nn.functional.cross_entropy(model(task.images[chosen]), task.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += 1
        if step % 50 == 0:
            task.report(loss=loss.item(), noise=torch.randn(()).item())
    return model
"""
WITH_MUCH_MEMORY = """
def train(task):
    ballast = torch.ones(2_000_000)
    x = torch.rand(64, 64)
    for step in range(20_000):
        x = (x @ x).sin()
        if step % 200 == 0:
            x.sum().item()  # it waits for the executor, so that a checkpoint is soon reached
    return Linear()
"""
WRITES_INTO_THE_DATA = TRAIN.replace("    model = Linear()", "    task.images.add_(1)\n    model = Linear()")
MAGIC_BYTES = 18
FILE_BYTES = 1 << 20


@dataclass
class Training:
    """One submission, to be run with and without checkpoints in the same folder."""

    folder: Path
    code: str = TRAIN

    def run(self, plan: CheckpointPlan | None, notes: Notes | None = None) -> Ran:
        store, heard = Store(self.folder / "results"), Heard(notes or Silent())
        store.prepare()
        submission = write_submission(self.folder / "submission", self.code)
        unpacked = unpack(
            Request(submission, self.folder, store.directory, sandbox="process"), Heard(Silent())
        )
        assert unpacked.assignment is not None
        return run_counted(PlannedRun(unpacked.assignment, 0, "cpu", store, heard, plan), ProcessRuntime())

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    def interrupted(self) -> RunHome:
        """The folder of a run that ended in the middle, with its first half of checkpoints."""
        plan = plan_in(self.runs, resume=False)
        self.run(plan)
        (home,) = plan.ended
        checkpoints = home.checkpoints()
        assert len(checkpoints) > 4
        for path in checkpoints[: len(checkpoints) // 2]:
            path.unlink()
        home.unlock()
        return home

    def resumed(self) -> tuple[Ran, list[str]]:
        """The run that went on, and its notes; it takes no more checkpoints."""
        notes = Notes()
        plan = plan_in(self.runs, resume=True, every_seconds=1e9)
        ran = self.run(plan, notes)
        for home in plan.ended:
            home.unlock()
        return ran, notes.notes


def results(ran: Ran) -> tuple[object, ...]:
    """What must be the same, however often a run was interrupted."""
    training = ran.trained.training
    assert training is not None
    assert ran.predicted is not None
    assert ran.predicted.labels is not None
    labels = ran.predicted.labels.tobytes()
    counted = training.readback_bytes, training.upload_bytes, training.messages, training.timed_answers
    return ran.trace, training.model, training.operations, training.memory, counted, labels


def parts(ran: Ran) -> int:
    assert ran.trained.training is not None
    return len(ran.trained.training.resumed.parts) if ran.trained.training.resumed else 1


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, RunHome, Ran]:
    """A training, the folder of its interrupted run, and its results without an interruption."""
    training = Training(tmp_path_factory.mktemp("training"))
    return training, training.interrupted(), training.run(None)


@pytest.fixture
def training(original: tuple[Training, RunHome, Ran], tmp_path: Path) -> Training:
    """A copy of the interrupted run, to be damaged."""
    first, home, _ = original
    shutil.copytree(first.runs, tmp_path / "runs")
    assert home.path.parent == first.runs
    return Training(tmp_path)


@pytest.fixture
def expected(original: tuple[Training, RunHome, Ran]) -> tuple[object, ...]:
    return results(original[2])


def home_of(training: Training) -> RunHome:
    (home,) = homes(training.runs)
    return home


def test_an_undamaged_run_goes_on_at_its_newest_checkpoint(
    training: Training, expected: tuple[object, ...]
) -> None:
    ran, notes = training.resumed()
    assert results(ran) == expected
    assert parts(ran) == 2
    assert not notes


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def rewritten(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def replaced_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "edited-state": (lambda path: flipped(path, -100), "it was changed"),
    "edited-document": (lambda path: flipped(path, MAGIC_BYTES + 40), ""),
    "cut-short": (lambda path: os.truncate(path, path.stat().st_size - 1), "bytes, and should have"),
    "longer": (lambda path: put(path, path.read_bytes() + b"x"), "bytes, and should have"),
    "empty": (lambda path: os.truncate(path, 0), "not a checkpoint, or one of another version"),
    "header-only": (lambda path: os.truncate(path, MAGIC_BYTES + 2), "it is cut short"),
    "other-format": (lambda path: flipped(path, MAGIC_BYTES - 2), "one of another version"),
    "other-version": (
        lambda path: rewritten(path, b'"haet_eval":"0', b'"haet_eval":"9'),
        "wrote it, and this is",
    ),
    "foreign": (lambda path: rewritten(path, b'"run":"2', b'"run":"3'), "belongs to another run"),
    "document-too-long": (
        lambda path: put(path, path.read_bytes()[:MAGIC_BYTES] + struct.pack("<I", 1 << 30) + b"x" * 100),
        "too long",
    ),
    "a-pipe": (replaced_by_a_pipe, "a named pipe"),
}


def chosen(training: Training) -> tuple[Earlier | None, list[str]]:
    """The checkpoint at which the run would go on, and the notes about others."""
    home, notes = home_of(training), Notes()
    plan = plan_in(training.runs, resume=True)
    course = Course(plan, home.facts().identity, "a processor", Heard(notes))
    assert course.home is not None
    (training.folder / "temporary").mkdir()
    found = course.newest(training.folder / "temporary")
    course.home.unlock()
    return found, notes.notes


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_by_name_and_the_one_before_it_is_taken(
    training: Training, damage: str
) -> None:
    harm, said = DAMAGE[damage]
    home = home_of(training)
    newest, before = home.checkpoints()[:2]
    expected = CheckpointFile(before, home.name)
    expected.close()
    harm(newest)
    found, notes = chosen(training)
    assert found is not None
    assert found.checkpoint == expected.facts
    (note,) = notes
    assert str(newest) in note
    assert said in note
    found.close()


def test_without_a_sound_checkpoint_the_run_begins_from_its_beginning(training: Training) -> None:
    for path in home_of(training).checkpoints():
        flipped(path, -100)
    found, notes = chosen(training)
    assert found is None
    assert notes[-1] == "The run has no checkpoint that can be used: it begins from its beginning."
    assert "The one before it is tried." in notes[0]
    assert "The one before it" not in notes[-2]


def test_a_run_that_departed_begins_anew_although_its_checkpoints_cannot_be_removed(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    other = f"seen += 2 if step == 20 and os.path.exists({str(seen)!r}) else 1"
    training = Training(tmp_path, "import os\n" + TRAIN.replace("seen += 1", other))
    home = training.interrupted()
    (home.path / "checkpoint-999999").mkdir()  # the removal fails here, and leaves the sound ones
    seen.touch()
    ran, notes = training.resumed()
    assert home.checkpoints()
    assert sum("it begins from its beginning" in note for note in notes) == 1, notes
    assert ran.failure is None
    assert ran.trained.training is not None
    assert ran.trained.training.resumed is not None
    assert ran.trained.training.resumed.restarts == 1


@pytest.mark.parametrize("stream", ["trace", "answers"])
@pytest.mark.parametrize(
    "harm", [lambda path: flipped(path, 3), lambda path: os.truncate(path, 3), os.unlink]
)
def test_a_changed_trace_or_changed_answers_are_refused(
    training: Training, stream: str, harm: Callable[[Path], None]
) -> None:
    (path,) = home_of(training).path.glob(f"{stream}-*")
    harm(path)
    found, notes = chosen(training)
    assert found is None
    missing = "No such file" in notes[0]
    assert missing or re.search(rf"{path.name} (?:was changed|is cut short)", notes[0])


def test_a_checkpoint_names_no_file_outside_of_its_folder(training: Training) -> None:
    home = home_of(training)
    newest = home.checkpoints()[0]
    content = newest.read_bytes()
    (stream,) = home.path.glob("trace-*")
    outside = b"../" + b"x" * (len(stream.name) - 3)
    newest.write_bytes(content.replace(stream.name.encode(), outside))
    with pytest.raises(Broken, match="schema"):
        CheckpointFile(newest, home.name)


def test_other_users_may_not_look_into_the_folder_of_a_run(
    original: tuple[Training, RunHome, Ran],
) -> None:
    assert stat.S_IMODE(original[1].path.stat().st_mode) == 0o700


def test_training_data_are_stored_only_if_something_has_written_to_them(
    original: tuple[Training, RunHome, Ran], tmp_path: Path
) -> None:
    clean = stored_bytes(original[1])
    writer = Training(tmp_path, WRITES_INTO_THE_DATA)
    home = writer.interrupted()
    written = stored_bytes(home)
    data = _digits(tmp_path).train_images.nbytes
    assert clean < data // 2
    assert written >= data
    ran, notes = writer.resumed()
    assert not notes
    assert parts(ran) == 2
    assert results(ran) == results(writer.run(None))


def stored_bytes(home: RunHome) -> int:
    """The size of the storages in the newest checkpoint."""
    newest = CheckpointFile(home.checkpoints()[0], home.name)
    newest.close()
    return newest.facts.storage_bytes


def _digits(folder: Path) -> Dataset:
    submission = write_submission(folder / "any", "def train(task): ...")
    assignment = unpack(Request(submission, folder, folder / "r", sandbox="process"), Silent()).assignment
    assert assignment is not None
    return assignment.dataset


# A disk that is full.


def test_a_full_disk_loses_the_checkpoint_and_keeps_the_run(evaluator: Evaluator, tmp_path: Path) -> None:
    """Files may have 1 MiB here, and each checkpoint needs 8."""
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=600, messages=10**9)
    submission = write_submission(tmp_path / "submission", WITH_MUCH_MEMORY)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    done = evaluator.run(
        submission,
        *("--sandbox", "process", "--checkpoint-every", "0.1", "--competition", str(rules)),
        prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, hard)),
    )
    assert "A checkpoint could not be written: File too large." in done.stderr
    assert "Traceback" not in done.stderr
    (path,) = evaluator.results.glob("*.json")
    record = from_json(path.read_bytes())
    assert record.status.stage == "record"
    assert not list(evaluator.results.rglob(".haet-*.tmp"))
    assert not (evaluator.results / "runs").exists()


def test_a_folder_of_runs_that_cannot_be_made_costs_the_checkpoints_only(
    evaluator: Evaluator, tmp_path: Path
) -> None:
    rules = write_competition(tmp_path / "rules.toml", wall_seconds=600, messages=10**9)
    submission = write_submission(tmp_path / "submission", WITH_MUCH_MEMORY)
    (tmp_path / "a file").write_text("")
    done = evaluator.run(
        submission,
        *("--sandbox", "process", "--checkpoint-every", "0.1", "--competition", str(rules)),
        *("--run-dir", str(tmp_path / "a file" / "runs")),
    )
    assert "A checkpoint could not be written" in done.stderr
    assert list(evaluator.results.glob("*.json"))


# What attacks gain from an interruption: nothing.

AFTER_MANY_STEPS = """
def train(task):
    model = Linear()
    read = 0.0
    for step in range(600):
        noise = torch.randn(4) * 1.5
        if step % 50 == 0:
            noise.sum().item()  # it waits for the executor, so that checkpoints come
        {attack}
    return model
"""
ATTACKS = {
    "reads-more-than-it-may": "read += task.images[step].float().mean().item()",
    "sends-more-than-it-may": "noise += torch.tensor([step * 1e4 + i for i in range(10_000)]).sum()",
    "uses-a-tensor-that-is-gone": (
        "import struct; link = task.images.dispatcher.link; "
        "step == 500 and link.write(struct.pack('<BQBq', 4, 1 << 40, 0, 0))"
    ),
    "draws-from-a-generator-that-knows-data": (
        "step == 500 and torch.poisson(task.images[:9].float()); Linear.forward = lambda self, x: "
        "self.head(x.flatten(1).float()) + torch.randn(())"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_ends_the_same_way_after_an_interruption(attack: str, tmp_path: Path) -> None:
    training = Training(tmp_path, AFTER_MANY_STEPS.format(attack=ATTACKS[attack]))
    plan = plan_in(training.runs, resume=False)
    whole = training.run(plan)
    assert whole.failure is not None
    (home,) = plan.ended
    for path in home.checkpoints()[: len(home.checkpoints()) // 2]:
        path.unlink()
    home.unlock()
    ran, notes = training.resumed()
    assert not notes
    assert ran.failure is not None
    assert (ran.failure.verdict, ran.failure.code) == (whole.failure.verdict, whole.failure.code)
    assert ran.failure.reason == whole.failure.reason
    assert ran.trace == whole.trace
