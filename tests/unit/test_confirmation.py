"""What follows from the runs of a confirmation, who is examined next, and what document and page show."""

from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import NoReturn

import pytest

from haet_eval.batch.events import Event
from haet_eval.batch.plan import BatchPlan
from haet_eval.batch.run import BatchSettings, Reporting
from haet_eval.competition import Task, load_competition
from haet_eval.confirmation.checks import (
    Case,
    RecordCheck,
    Undecided,
    audit,
    check_perturbed,
    check_replay,
    other_seeds,
    rerun,
)
from haet_eval.confirmation.notebook import Notebook
from haet_eval.confirmation.podium import nothing_to_confirm, podiums, under_other_rules
from haet_eval.confirmation.runs import NamedCompetition
from haet_eval.confirmation.settle import ConfirmationSettings, _is_ours, _next, settle
from haet_eval.errors import EnvironmentProblem, Verdict
from haet_eval.evaluation.audit import conclude, draw, with_audit
from haet_eval.evaluation.repetition import as_run, merge
from haet_eval.ranking import summarize
from haet_eval.record import Record
from haet_eval.reports.confirmation import (
    EntryCheck,
    Examined,
    SettledPool,
    confirmation_document,
    confirmation_html,
)
from haet_eval.store import Store, read_record
from haet_eval.verification.check import differs
from haet_eval.verification.evidence import Evidence, Sources
from haet_eval.verification.replaying import ReplayPlace
from haet_eval.verification.verify import RunWithEvidence, Verification
from tests.fixtures.records import make_record, make_training
from tests.fixtures.submissions import write_competition
from tests.unit.test_audit import DATA
from tests.unit.test_calendar import received

RULES = load_competition("haet2021")
TASK = RULES.tasks["cifar10"]


def ours(record: Record) -> Record:
    """The record, judged under these rules."""
    return received(record, None, RULES)


def several(*correct: int, operations: int = 10**17, task: Task = TASK) -> Record:
    """A record of runs with so many right predictions of 10,000."""
    records = [
        make_record(seed=seed, correct=right, training=make_training(operations))
        for seed, right in enumerate(correct)
    ]
    return merge(records, RULES.runs, task.threshold)


@pytest.mark.parametrize(
    ("correct", "operations", "held"),
    [
        ((9412, 9420), 10**17, True),
        ((9290, 9285), 10**17, True),  # below 93 %, as chance may have it
        ((9312, 9100), 10**17, False),  # together below it: p < 0.001
        ((9412, 9420), 2 * 10**17, False),
    ],
)
def test_other_seeds_hold_if_they_are_as_good_and_as_cheap(
    correct: tuple[int, ...], operations: int, held: bool
) -> None:
    record = make_record(correct=9330)
    assert other_seeds(record, several(*correct, operations=operations), TASK)[0] is held


def test_other_seeds_do_not_hold_if_a_run_fails() -> None:
    failed = make_record(verdict=Verdict.LIMIT_TIME, reason="It took too long.")
    again = merge([make_record(), failed], RULES.runs, TASK.threshold)
    assert other_seeds(make_record(), again, TASK) == (False, "limit:time: It took too long.")


def test_a_rerun_holds_if_it_costs_the_same_and_is_as_good() -> None:
    record = make_record(correct=9412)
    assert rerun(record, make_record(correct=9405), TASK)[0]
    assert not rerun(record, make_record(correct=9100), TASK)[0]
    held, detail = rerun(record, make_record(training=make_training(10**17 + 1)), TASK)
    assert not held
    assert "complexity" in detail


def test_operations_that_differ_in_disguise_are_reported_alone() -> None:
    record = make_record()
    drawn = draw("disguise", DATA, 1)
    found = conclude(as_run(record), as_run(record), drawn, 1, None)
    for flags, held in ((("operations",), True), (("cost", "operations"), False), (("drop",), False)):
        again = with_audit(record, found.model_copy(update={"flags": flags}))
        outcome = audit("disguise", reported=("operations",))(record, again, TASK)
        assert outcome[0] is held
        assert outcome[1].startswith(f"FLAGGED: {', '.join(flags)}")


def test_a_forged_record_does_not_keep_the_true_one_from_being_examined() -> None:
    true, other = ours(make_record()), ours(make_record(name="other", training=make_training(2 * 10**17)))
    early = datetime(2026, 4, 30, 12, tzinfo=UTC)
    forged = ours(make_record(training=make_training(10**10), created_at=early))
    (podium,) = podiums(map(summarize, [true, other, forged]), RULES, "docker")
    first, second, third = podium.entries
    # The places on a leaderboard: the true record has the first if the forged one is left out.
    assert [place.position for place in podium.places] == [1, 1, 2]
    assert [entry.record_id for entry in podium.entries] == [
        forged.record_id,
        true.record_id,
        other.record_id,
    ]
    assert list(_next(podium, [])) == [first, third]
    unsound = Examined(first, 1, (EntryCheck("verify", False, ""),))
    assert list(_next(podium, [unsound])) == [second, third]
    fell = Examined(first, 1, (EntryCheck("verify", True, ""), EntryCheck("audit disguise", False, "")))
    assert list(_next(podium, [fell])) == [third]


def test_a_true_record_has_its_own_place_and_not_that_of_a_forged_one() -> None:
    """Otherwise a forged record would carry the true one past a better entry."""
    true, better = ours(make_record()), ours(make_record(name="better", training=make_training(10**16)))
    early = datetime(2026, 4, 30, 12, tzinfo=UTC)
    forged = ours(make_record(training=make_training(10**10), created_at=early))
    (podium,) = podiums(map(summarize, [true, better, forged]), RULES, "docker")
    assert [(place.entry.record_id, place.position) for place in podium.places] == [
        (forged.record_id, 1),
        (better.record_id, 2),
        (true.record_id, 2),
    ]


def test_records_of_earlier_rules_have_no_podium(tmp_path: Path) -> None:
    changed = tmp_path / "practice.toml"
    write_competition(changed, threshold=0.5)
    before = load_competition(str(changed))
    write_competition(changed, threshold=0.6)
    after = load_competition(str(changed))
    task = next(iter(before.tasks))
    old = summarize(received(make_record(task=task), None, before))
    assert len(podiums([old], before, "docker")) == 1
    assert podiums([old], after, "docker") == []
    assert under_other_rules([old], after, "docker") == 1
    assert "no qualified entry under these rules" in nothing_to_confirm([old], after, "docker")


def test_findings_of_other_circumstances_are_not_used(tmp_path: Path) -> None:
    book = Notebook(tmp_path, RULES.digest, "process", None)
    seeds = book.seeds("a" * 16)
    book.add("a" * 16, EntryCheck("verify", True, "as it should be"))
    again = Notebook(tmp_path, RULES.digest, "process", None)
    assert (again.seeds("a" * 16), again.found("a" * 16)) == (seeds, book.found("a" * 16))
    assert Notebook(tmp_path, RULES.digest, "docker", None).found("a" * 16) == {}


def test_findings_under_other_rules_are_not_used(tmp_path: Path) -> None:
    Notebook(tmp_path, RULES.digest, "process", None).add("a" * 16, EntryCheck("verify", True, ""))
    assert Notebook(tmp_path, "b" * 64, "process", None).found("a" * 16) == {}


class Contest:
    """Two records of different submissions in a results folder, none of whose artefacts is there."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        records = [ours(make_record()), ours(make_record(name="second", training=make_training(2 * 10**17)))]
        self.paths = {record.record_id: self.store.add(record) for record in records}
        (self.podium,) = podiums(map(summarize, records), RULES, "docker")
        self.podium = replace(self.podium, awards=1)
        self.folder = folder

    def settle(self) -> SettledPool:
        def open_site(_: BatchPlan) -> NoReturn:
            raise AssertionError("no entry is sound, so nothing is run")

        batch = BatchSettings(self.folder / "runs", self.folder, None, 0, "sources", None)
        sources = Sources(self.store, self.folder)
        book = Notebook(self.folder / "findings", RULES.digest, "process", None)
        reporting = Reporting(_Silent())
        rules = NamedCompetition("haet2021", RULES)
        setting = ConfirmationSettings(
            rules, self.paths, {}, sources, "process", None, book, batch, reporting, open_site
        )
        return settle(self.podium, setting).settled

    def kept(self) -> dict[str, EntryCheck]:
        """The findings of the first entry that the next start would use."""
        return Notebook(self.folder / "findings", RULES.digest, "process", None).found(
            self.podium.entries[0].record_id
        )


class _Silent:
    def tell(self, event: Event) -> None:
        pass


def test_a_record_whose_artefacts_are_not_here_has_not_fallen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps its place, which nobody else gets, and is examined again by the next start."""
    contest = Contest(tmp_path)
    record = read_record(contest.paths[contest.podium.entries[0].record_id])
    line = differs("trace", "is missing")
    monkeypatch.setattr(
        "haet_eval.confirmation.checks.verify",
        lambda path, *_, **__: (
            Verification(path, record, (line,)),
            [RunWithEvidence("", record, Evidence())],
        ),
    )
    for _ in range(2):
        (examined,) = contest.settle().examined
        assert examined.entry == contest.podium.entries[0]
        assert "verify could not be made: trace: is missing" in examined.undecided
        assert contest.kept() == {}


def test_a_record_that_is_contradicted_falls_though_its_artefacts_are_not_here(tmp_path: Path) -> None:
    """These records are made up: their figures contradict each other."""
    first, *_ = Contest(tmp_path).settle().examined
    assert not first.undecided
    assert [(one.name, one.held) for one in first.findings] == [("verify", False)]


@pytest.mark.parametrize(
    "problem", [Undecided("no data set"), EnvironmentProblem("no Docker", "Start it.", code="no-docker")]
)
def test_a_check_that_could_not_be_made_is_undecided_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fail(_: Case) -> NoReturn:
        raise problem

    contest = Contest(tmp_path)
    checks = {"verify": lambda _: (True, "it holds"), "replay": fail}
    monkeypatch.setattr("haet_eval.confirmation.settle.RECORD_CHECKS", checks)
    (examined,) = contest.settle().examined
    assert "replay could not be made: no " in examined.undecided
    assert not examined.held
    assert list(contest.kept()) == ["verify"]


@pytest.mark.parametrize(("check", "part"), [(check_replay, "replay"), (check_perturbed, "perturbed replay")])
def test_a_replay_that_lacks_something_is_undecided(tmp_path: Path, check: RecordCheck, part: str) -> None:
    """The trace and the data set are not here."""
    (path, *_) = Contest(tmp_path).paths.values()
    case = Case(path, Sources(Store(tmp_path), tmp_path), ReplayPlace("process"))
    with pytest.raises(Undecided, match=f"{part}: needs the trace and the data set"):
        check(case)


def test_a_run_that_was_interrupted_decides_nothing() -> None:
    assert _is_ours(make_record(verdict=Verdict.INTERRUPTED, reason="Ctrl-C"), None)
    assert not _is_ours(make_record(), None)


def settled() -> SettledPool:
    """Two entries, the first of which fell; their names are hostile."""
    records = [ours(make_record(name=name)) for name in ("<script>alert(1)</script>", "second")]
    (podium,) = podiums(map(summarize, records), RULES, "docker")
    findings = (
        (EntryCheck("verify", True, "21 lines hold"), EntryCheck("audit disguise", False, "FLAGGED: drop")),
        (EntryCheck("verify", True, "21 lines hold"),),
    )
    examined = tuple(
        Examined(replace(entry), place, found)
        for place, (entry, found) in enumerate(zip(podium.entries, findings, strict=True), start=1)
    )
    return SettledPool(podium.pool, 1, examined)


def test_the_document_names_the_confirmed_records_in_their_order() -> None:
    one = settled()
    document = confirmation_document(RULES, "docker", [one])
    assert document["confirmed"] == [one.examined[1].entry.record_id]
    assert document["full"] is True
    assert [entry["held"] for entry in document["entries"]] == [False, True]
    assert document["entries"][0]["checks"][1] == {
        "name": "audit disguise",
        "held": False,
        "detail": "FLAGGED: drop",
    }


def test_an_entry_that_is_undecided_does_not_hold() -> None:
    one = settled()
    undecided = replace(one, examined=(replace(one.examined[1], undecided="replay failed on our side"),))
    assert not undecided.full
    assert confirmation_document(RULES, "docker", [undecided])["confirmed"] == []
    assert "replay failed on our side" in confirmation_html("Confirmation", [undecided])


def test_the_page_runs_no_script_and_shows_each_check() -> None:
    page = confirmation_html("Confirmation", [settled()])
    assert "default-src 'none'; script-src 'none'" in unescape(page)
    assert "<script" not in page
    assert "1 of 1 awards are confirmed" in page
    assert page.count("<details") == 2
    assert "FLAGGED: drop" in page


def test_entries_of_the_other_sandbox_are_named_if_there_is_nothing_to_confirm() -> None:
    local = [summarize(ours(make_record(sandbox="process")))]
    assert podiums(local, RULES, "docker") == []
    assert "--sandbox process examines them" in nothing_to_confirm(local, RULES, "docker")
    assert "no qualified entry" in nothing_to_confirm([], RULES, "docker")


def test_no_records_confirm_nothing() -> None:
    assert podiums([], RULES, "docker") == []
    assert confirmation_document(RULES, "docker", []) == {
        "competition": "haet2021",
        "rules": RULES.digest,
        "sandbox": "docker",
        "full": False,
        "confirmed": [],
        "entries": [],
    }
