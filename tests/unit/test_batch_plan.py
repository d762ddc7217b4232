"""What a plan makes of submissions, and of the records that a results folder holds."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haet_eval.batch.job import BatchJob
from haet_eval.batch.ledger import GivenUpEvaluation, Ledger
from haet_eval.batch.plan import Item, Options, SubmissionState, make_plan
from haet_eval.batch.sources import SubmissionSource
from haet_eval.errors import EnvironmentProblem, UsageProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.evaluation.unpack import unread_submission
from haet_eval.record import Content, Record, seal
from haet_eval.store import Store
from haet_eval.submission.packing import pack_submission
from haet_eval.submission.unread import MOST_HASHED_BYTES
from tests.fixtures.records import make_record
from tests.fixtures.submissions import write_competition, write_submission

PROCESS = Options(sandbox="process")
TRAIN = "def train(task):\n    return Linear()"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def plan(store: Store, *paths: Path, options: Options = PROCESS) -> list[Item]:
    return list(make_plan(map(SubmissionSource, paths), options, Ledger(store)).items)


def states(items: list[Item]) -> list[SubmissionState]:
    return [item.state for item in items]


def only_job(store: Store, path: Path, options: Options = PROCESS) -> BatchJob:
    (item,) = plan(store, path, options=options)
    assert item.job is not None
    return item.job


def record_of(job: BatchJob, verdict: Verdict = Verdict.BELOW_THRESHOLD, **environment: Any) -> Record:
    """A record as an evaluation of this job would leave."""
    made = make_record(verdict=verdict)
    identity = job.identity
    facts = {"sandbox": identity.sandbox, "seed": identity.seed, "haet_eval": identity.haet_eval}
    changes: dict[str, Any] = {
        "submission": made.submission.model_copy(update={"sha256": identity.submission}),
        "competition": made.competition
        and made.competition.model_copy(update={"digest": identity.competition}),
        "environment": made.environment.model_copy(update=facts | environment),
    }
    return seal(Content(**{name: getattr(made, name) for name in Content.model_fields} | changes))


def test_a_judged_submission_is_done_as_folder_and_as_zip_and_under_another_name(
    tmp_path: Path, store: Store
) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    store.add(record_of(only_job(store, folder)))
    archive = tmp_path / "renamed.zip"
    pack_submission(folder, archive)
    assert states(plan(store, folder, archive)) == [SubmissionState.DONE, SubmissionState.REPEATED]
    assert states(plan(store, archive)) == [SubmissionState.DONE]


def test_every_verdict_but_an_interruption_is_final(tmp_path: Path, store: Store) -> None:
    for verdict in Verdict:
        if verdict is Verdict.INVALID_SUBMISSION:
            continue
        folder = write_submission(tmp_path / verdict, TRAIN, name=verdict)
        job = only_job(store, folder)
        record = record_of(job)
        changes: dict[str, Any] = {"status": record.status.model_copy(update={"verdict": verdict})}
        if verdict is Verdict.INTERRUPTED:
            changes["evaluation"] = None
        store.add(seal(Content(**{n: getattr(record, n) for n in Content.model_fields} | changes)))
        expected = SubmissionState.NEW if verdict is Verdict.INTERRUPTED else SubmissionState.DONE
        assert states(plan(store, folder)) == [expected]


def test_a_rerun_is_no_judgement(tmp_path: Path, store: Store) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    record = record_of(only_job(store, folder))
    parts = {name: getattr(record, name) for name in Content.model_fields}
    store.add(seal(Content(**parts | {"rerun_of": "0" * 16})))
    assert states(plan(store, folder)) == [SubmissionState.NEW]


@pytest.mark.parametrize("left", [None, b"", b"no record"])
def test_a_record_that_goes_after_it_was_listed_proves_nothing(
    tmp_path: Path, store: Store, left: bytes | None
) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    job = only_job(store, folder)
    path = store.add(record_of(job))
    ledger = Ledger(store)
    assert ledger.record_of(job.identity) == path
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    assert ledger.record_of(job.identity) is None


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"runs": 2},
        {"device": "cuda"},
        {"sandbox": "docker"},
        {"competition": "rules.toml"},
    ],
    ids=str,
)
def test_another_seed_sandbox_device_or_rules_is_another_evaluation(
    tmp_path: Path, store: Store, other: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_competition(Path("rules.toml"))
    folder = write_submission(tmp_path / "a", TRAIN)
    store.add(record_of(only_job(store, folder)))
    assert states(plan(store, folder)) == [SubmissionState.DONE]
    assert states(plan(store, folder, options=replace(PROCESS, **other))) == [SubmissionState.NEW]


def test_what_an_older_version_judged_is_judged_again(tmp_path: Path, store: Store) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    store.add(record_of(only_job(store, folder), haet_eval="0.0.9"))
    assert states(plan(store, folder)) == [SubmissionState.NEW]


def test_a_changed_submission_is_a_new_one(tmp_path: Path, store: Store) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    store.add(record_of(only_job(store, folder)))
    write_submission(folder, TRAIN + "  # better")
    assert states(plan(store, folder)) == [SubmissionState.NEW]


def test_refused_submissions_are_distinguished_and_refused_once(tmp_path: Path, store: Store) -> None:
    unknown_task = write_submission(tmp_path / "a", TRAIN, task="cifar-11")
    no_module = write_submission(tmp_path / "b", TRAIN)
    (no_module / "submission.py").unlink()
    no_archive = tmp_path / "c.zip"
    no_archive.write_bytes(b"hello")
    linked = write_submission(tmp_path / "d", TRAIN)
    (linked / "data").symlink_to("/")
    # Within the default limits, and larger than the rules of its task allow.
    too_large = write_submission(tmp_path / "e", TRAIN, task="cifar10")
    (too_large / "knowledge.txt").write_text(secrets.token_hex(70_000))
    paths = (unknown_task, no_module, no_archive, linked, too_large)
    items = plan(store, *paths)
    assert states(items) == [SubmissionState.REFUSED] * 5
    assert "did you mean cifar10?" in items[0].detail
    for path in paths:
        request = Request(path, tmp_path / "data", store.directory, sandbox="process")
        assert evaluate(request).record.status.verdict is Verdict.INVALID_SUBMISSION
    assert states(plan(store, *paths)) == [SubmissionState.DONE] * 5


def test_a_wrongly_named_submission_is_one_line_and_the_others_are_planned(
    tmp_path: Path, store: Store
) -> None:
    good = write_submission(tmp_path / "a", TRAIN)
    other_task = write_submission(tmp_path / "b", TRAIN, task="cifar10")
    dangling = tmp_path / "late.zip"
    dangling.symlink_to(tmp_path / "nowhere")
    items = plan(store, good, other_task, dangling, options=replace(PROCESS, task="digits"))
    assert states(items) == [SubmissionState.NEW, SubmissionState.BLOCKED, SubmissionState.BLOCKED]
    assert "is for the task 'cifar10', and --task names 'digits'" in items[1].detail
    assert "late.zip cannot be read" in items[2].detail
    assert all(item.hint for item in items[1:])


@pytest.mark.parametrize("options", [{"task": "cifar10"}, {"task": "digit"}, {"competition": "haet2021"}])
def test_a_wrong_task_or_competition_is_the_callers_mistake(
    tmp_path: Path, store: Store, options: dict[str, str]
) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    request = Request(folder, tmp_path / "data", store.directory, sandbox="process", **options)  # type: ignore[arg-type]
    with pytest.raises(UsageProblem, match="task"):
        evaluate(request)
    assert not list(store.directory.glob("*.json"))


def test_two_broken_folders_are_two(tmp_path: Path, store: Store) -> None:
    folders = [write_submission(tmp_path / name, f"{TRAIN}  # {name}") for name in ("a", "other")]
    for folder in folders:
        (folder / "data").symlink_to("/")
    assert states(plan(store, *folders)) == [SubmissionState.REFUSED, SubmissionState.REFUSED]


def test_two_broken_folders_of_the_same_names_and_sizes_are_two(tmp_path: Path, store: Store) -> None:
    folders = [write_submission(tmp_path / name, f"{TRAIN}  # {name}") for name in ("a", "b")]
    for folder in folders:
        (folder / "data").symlink_to("/")
    assert states(plan(store, *folders)) == [SubmissionState.REFUSED, SubmissionState.REFUSED]
    (folders[1] / "submission.py").write_text((folders[0] / "submission.py").read_text())
    assert states(plan(store, *folders)) == [SubmissionState.REFUSED, SubmissionState.REPEATED]
    (folders[1] / "data").unlink()
    (folders[1] / "data").symlink_to("~")
    assert states(plan(store, *folders)) == [SubmissionState.REFUSED, SubmissionState.REFUSED]


@pytest.mark.parametrize("place", [0, MOST_HASHED_BYTES // 2, MOST_HASHED_BYTES - 1])
def test_archives_that_are_far_too_large_are_as_many_as_there_are(
    tmp_path: Path, store: Store, place: int
) -> None:
    paths = [tmp_path / name / "entry.zip" for name in ("a", "b", "c")]
    for path, content in zip(paths, [b"a" * 2**21, b"b" * 2**21, b"a" * 2**21], strict=True):
        path.parent.mkdir()
        with path.open("wb") as file:
            file.seek(place)
            file.write(content)
            file.truncate(MOST_HASHED_BYTES + 2**22)
    expected = [SubmissionState.REFUSED, SubmissionState.REFUSED, SubmissionState.REPEATED]
    assert states(plan(store, *paths)) == expected
    assert all(unread_submission(path).archive_sha256 is None for path in paths)


def test_a_failure_of_ours_is_remembered_until_it_is_forgotten(tmp_path: Path, store: Store) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    job, ledger = only_job(store, folder), Ledger(store)
    with ledger.locked():
        ledger.put_failure(job.identity, GivenUpEvaluation("a", "the engine died", "start it"))
        (item,) = plan(store, folder)
        assert (item.state, item.detail) == (SubmissionState.FAILED_BEFORE, "the engine died")
        ledger.forget_failure(job.identity)
    assert states(plan(store, folder)) == [SubmissionState.NEW]


def test_a_plan_writes_nothing(tmp_path: Path, store: Store) -> None:
    plan(store, write_submission(tmp_path / "a", TRAIN))
    assert not store.directory.exists()


def test_only_one_batch_has_the_lock(store: Store) -> None:
    second = Ledger(store)
    with Ledger(store).locked(), pytest.raises(EnvironmentProblem, match="another batch"), second.locked():
        pass


def test_missing_rules_are_reported_before_anything_runs(tmp_path: Path, store: Store) -> None:
    folder = write_submission(tmp_path / "a", TRAIN)
    with pytest.raises(UsageProblem, match="there is no competition"):
        plan(store, folder, options=replace(PROCESS, competition="digit"))


def test_a_remembered_failure_that_was_damaged_is_forgotten(tmp_path: Path, store: Store) -> None:
    folder = write_submission(tmp_path / "s", TRAIN)
    (item,) = plan(store, folder)
    assert item.job is not None
    damaged: Any = ["no", "text"]
    Ledger(store).put_failure(item.job.identity, GivenUpEvaluation("a", damaged, damaged))
    assert states(plan(store, folder)) == states([item])
