import dataclasses
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.competition import Competition, Counts, Ranking, load_competition
from haet_eval.errors import Verdict
from haet_eval.ranking import Entry, Pool, Ranked, place, rank, summarize, unranked
from haet_eval.record import Content, EnergyKind, Precision, Sandbox, seal
from tests.fixtures.records import digest, make_native, make_record, make_training

EARLY = datetime(2026, 5, 1, tzinfo=UTC)


def make_entry(
    record_id: str = "a",
    *,
    complexity: int = 100,
    accuracy: float = 0.94,
    source_bytes: int = 1000,
    created_at: datetime = EARLY,
    verdict: Verdict = Verdict.QUALIFIED,
    task: str = "cifar10",
    sandbox: Sandbox = "docker",
    data: str = "published",
    team: str | None = None,
    submission: str | None = None,
    ranking: Ranking = "complexity",
    seconds: float = 1.0,
    joules: float | None = None,
    energy_kind: EnergyKind | None = None,
    quiet: bool = True,
    intervals: tuple[float, ...] = (),
    awards: int | None = None,
) -> Entry:
    counted = verdict in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD)
    return Entry(
        record_id=record_id,
        created_at=created_at,
        verdict=verdict,
        competition="haet2021",
        task=task,
        sandbox=sandbox,
        dataset_digest=digest(data),
        official=sandbox == "docker" and data == "published",
        submission_sha256=digest(submission or record_id),
        team=team or record_id,
        name="a method",
        source_bytes=source_bytes,
        complexity=complexity if counted else None,
        operations=complexity if counted else None,
        parameters=0 if counted else None,
        accuracy=accuracy if counted else None,
        wall_seconds=seconds,
        runner="counted" if ranking == "complexity" else "native",
        energy_joules=joules,
        energy_kind=energy_kind,
        energy_counts=energy_kind == "measured" and quiet,
        ranking=ranking,
        accuracy_intervals=intervals,
        awards=awards,
    )


def energetic(
    record_id: str,
    joules: float,
    *,
    accuracy: float = 0.94,
    kind: EnergyKind = "measured",
    quiet: bool = True,
    intervals: tuple[float, ...] = (),
) -> Entry:
    return make_entry(
        record_id,
        ranking="inference_energy",
        joules=joules,
        accuracy=accuracy,
        energy_kind=kind,
        quiet=quiet,
        intervals=intervals,
        awards=1,
    )


def ids(ranked: list[Ranked]) -> list[str]:
    return [row.entry.record_id for row in ranked]


def test_least_complexity_wins_whatever_the_accuracy() -> None:
    big = make_entry("big", complexity=2**60 + 1, accuracy=0.99)
    small = make_entry("small", complexity=2**60, accuracy=0.93)
    assert ids(rank([big, small])) == ["small", "big"]


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (make_entry("b", accuracy=0.95), make_entry("a", accuracy=0.94, source_bytes=1)),
        (make_entry("b", source_bytes=900), make_entry("a", created_at=EARLY - timedelta(days=1))),
        (make_entry("b", created_at=EARLY - timedelta(seconds=1)), make_entry("a")),
        (make_entry("a"), make_entry("b")),
    ],
    ids=["accuracy", "smaller source", "earlier", "record id"],
)
def test_ties_are_broken_in_the_published_order(winner: Entry, loser: Entry) -> None:
    assert rank([loser, winner])[0].entry is winner


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.QUALIFIED])
def test_only_the_qualified_are_ranked(verdict: Verdict) -> None:
    assert rank([make_entry(verdict=verdict)], unofficial=True) == []


def test_unofficial_runs_are_ranked_apart_and_only_when_asked_for() -> None:
    official = make_entry("official", complexity=300)
    process = make_entry("process", complexity=100, sandbox="process")
    homemade = make_entry("home-made", complexity=200, data="home-made")
    entries = [process, homemade, official]
    assert ids(rank(entries)) == ["official"]
    ranked = rank(entries, unofficial=True)
    assert ids(ranked) == ["official", "home-made", "process"]
    assert {(row.position, row.of) for row in ranked} == {(1, 1)}
    assert [row.awarded for row in ranked] == [True, False, False]


def test_each_task_has_its_own_places() -> None:
    entries = [make_entry("a", task="cifar10"), make_entry("b", task="cifar100", complexity=1)]
    assert [(row.entry.task, row.position) for row in rank(entries)] == [("cifar10", 1), ("cifar100", 1)]


def test_the_three_least_complex_submissions_are_awarded() -> None:
    entries = [make_entry(name, complexity=n) for n, name in enumerate("abcde")]
    assert [row.awarded for row in rank(entries)] == [True, True, True, False, False]


def hours(number: int) -> datetime:
    return EARLY + timedelta(hours=number)


def test_runs_of_one_submission_take_one_place() -> None:
    runs = [make_entry(f"run{n}", complexity=n, submission="same", created_at=hours(9 - n)) for n in range(3)]
    ranked = rank([*runs, *(make_entry(name, complexity=10) for name in "abc")])
    assert ids(ranked) == ["run2", "a", "b", "c"]
    assert [row.runs for row in ranked] == [3, 1, 1, 1]
    assert [row.awarded for row in ranked] == [True, True, True, False]
    assert reasons(runs) == dict.fromkeys(["run1", "run0"], "another evaluation counts")


def reasons(entries: list[Entry]) -> dict[str, str]:
    return {entry.record_id: why for entry, why in unranked(entries).items()}


@pytest.mark.parametrize(("counts", "expected"), [("first", "b"), ("last", "c"), ("best", "a")])
def test_the_rules_say_which_run_counts(counts: Counts, expected: str) -> None:
    runs = [
        make_entry("a", complexity=1, created_at=hours(1), submission="same"),
        make_entry("b", complexity=3, created_at=hours(0), submission="same"),
        make_entry("c", complexity=2, created_at=hours(2), submission="same"),
    ]
    assert ids(rank([dataclasses.replace(run, counts=counts) for run in runs])) == [expected]


def test_another_seed_gives_no_second_chance_unless_the_rules_allow_it() -> None:
    missed = make_entry("a", submission="same", verdict=Verdict.BELOW_THRESHOLD)
    passed = make_entry("b", submission="same", created_at=hours(1))
    assert rank([missed, passed]) == []
    assert reasons([missed, passed]) == {"a": "below_threshold", "b": "another evaluation counts"}
    assert ids(rank([dataclasses.replace(run, counts="best") for run in (missed, passed)])) == ["b"]


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.LIMIT_TIME, Verdict.INTERRUPTED])
def test_a_run_that_was_not_judged_stands_in_nobodys_way(verdict: Verdict) -> None:
    failed = make_entry("a", submission="same", verdict=verdict)
    assert ids(rank([failed, make_entry("b", submission="same", created_at=hours(1))])) == ["b"]


def test_a_team_has_as_many_entries_as_the_rules_allow_the_first_received() -> None:
    entries = [
        make_entry("fails", team="x", created_at=hours(0), verdict=Verdict.FAILED),
        make_entry("first", team="x", created_at=hours(1), complexity=3),
        make_entry("weak", team="X", created_at=hours(2), verdict=Verdict.BELOW_THRESHOLD),
        make_entry("edited", team="x", created_at=hours(3), complexity=1),
        make_entry("other", team="y", created_at=hours(4), complexity=2),
    ]
    capped = [dataclasses.replace(entry, entries_per_team=2) for entry in entries]
    assert ids(rank(capped)) == ["other", "first"]
    assert reasons(capped) == {
        "fails": "failed",
        "weak": "below_threshold",
        "edited": "beyond the entries of its team",
    }
    assert ids(rank(entries)) == ["edited", "other", "first"]


def test_a_rerun_has_no_place() -> None:
    record = make_record()
    again = seal(
        Content(
            **{name: getattr(record, name) for name in Content.model_fields}
            | {"rerun_of": record.record_id, "created_at": EARLY}
        )
    )
    assert [row.entry.record_id for row in rank([summarize(record), summarize(again)])] == [record.record_id]
    assert place(again, [summarize(record)]).rank is None
    assert unranked([summarize(again)]) == {summarize(again): "rerun"}


def test_ties_go_by_receipt_and_a_second_evaluation_loses_nothing() -> None:
    late = dataclasses.replace(make_entry("a", created_at=hours(1)), received_at=hours(0))
    early = dataclasses.replace(make_entry("b", created_at=hours(3)), received_at=hours(-1))
    assert ids(rank([late, early])) == ["b", "a"]
    again = make_entry("c", created_at=hours(9), submission="same")
    first = make_entry("d", created_at=hours(-9), submission="same")
    last = [dataclasses.replace(run, counts="last") for run in (again, first)]
    assert ids(rank([make_entry("e", created_at=hours(1)), *last])) == ["c", "e"]


def edited(competition: Competition, **changes: Any) -> Competition:
    return Competition.model_validate(competition.model_dump(exclude_unset=True) | changes)


def test_the_digest_of_what_judges_is_without_texts_names_and_awards() -> None:
    rules = load_competition("haet2021")
    same = edited(rules, title="Other", description="Other", name="other", awards=7)
    assert same.judging_digest("cifar10") == rules.judging_digest("cifar10")
    only = {"tasks": {"cifar10": rules.tasks["cifar10"].model_dump(exclude_unset=True)}}
    assert edited(rules, **only).judging_digest("cifar10") == rules.judging_digest("cifar10")


def test_rules_that_were_edited_rank_apart_from_the_built_in_ones() -> None:
    rules = load_competition("haet2021")
    tasks = {name: task.model_dump(exclude_unset=True) for name, task in rules.tasks.items()}
    easier = edited(rules, tasks=tasks | {"cifar10": tasks["cifar10"] | {"threshold": 0.1}})
    slower = edited(rules, limits={"entries": 5})
    digests = [one.judging_digest("cifar10") for one in (rules, easier, slower)]
    assert len(set(digests)) == 3
    entries = [
        dataclasses.replace(make_entry(digest[:4], complexity=n), judging_digest=digest)
        for n, digest in enumerate(digests)
    ]
    assert [(row.position, row.of) for row in rank(entries)] == [(1, 1)] * 3


def test_older_records_of_the_built_in_rules_compete_with_new_ones() -> None:
    rules, record = load_competition("haet2021"), make_record()
    assert record.competition is not None
    built_in = record.competition.model_copy(update={"digest": rules.digest})
    older = summarize(record.model_copy(update={"competition": built_in}))
    assert older.judging_digest == rules.judging_digest("cifar10")


@pytest.mark.parametrize("other", ["caf\u0065\u0301", "CAF\u00c9", " caf\u00e9 ", "\uff43af\u00e9"])
def test_a_team_written_in_two_forms_of_unicode_is_one_team(other: str) -> None:
    entries = [make_entry("a", complexity=1, team="caf\u00e9"), make_entry("b", complexity=2, team=other)]
    assert [ranked.entry.record_id for ranked in rank(entries, best_of_team=True)] == ["a"]


def test_the_best_of_each_team_can_be_asked_for() -> None:
    entries = [
        make_entry("a", complexity=3, team="Lovelace"),
        make_entry("b", complexity=1, team="LOVELACE"),
        make_entry("c", complexity=2, team="Babbage"),
    ]
    best = rank(entries, best_of_team=True)
    assert ids(best) == ["b", "c"]
    assert [row.of for row in best] == [2, 2]


def test_least_time_or_highest_accuracy_wins_as_the_rules_say() -> None:
    slow, fast = (make_entry(n, ranking="training_time", seconds=s) for n, s in (("slow", 3.5), ("fast", 3)))
    assert ids(rank([slow, fast])) == ["fast", "slow"]
    low, high = (make_entry(n, ranking="accuracy", accuracy=a) for n, a in (("low", 0.5), ("high", 0.51)))
    assert ids(rank([low, high])) == ["high", "low"]


def test_a_counted_training_has_no_place_in_a_ranking_by_native_time() -> None:
    counted = dataclasses.replace(make_entry(ranking="training_time"), runner="counted")
    assert rank([counted], unofficial=True) == []
    assert unranked([counted]) == {counted: "no training time"}


def test_the_least_energy_of_each_interval_of_accuracy_is_awarded() -> None:
    bounds = (0.5, 0.9, 0.95)
    entries = [
        energetic("b", 20, accuracy=0.9, intervals=bounds),
        energetic("a", 10, accuracy=0.94, intervals=bounds),
        energetic("c", 1, accuracy=0.95, intervals=bounds),
        energetic("d", 3, accuracy=0.1, intervals=bounds),
        energetic("e", 2, accuracy=1.0, intervals=bounds),
    ]
    ranked = rank(entries)
    assert [(str(row.pool.interval), row.entry.record_id, row.position, row.awarded) for row in ranked] == [
        ("[0 %, 50 %)", "d", 1, True),
        ("[90 %, 95 %)", "a", 1, True),
        ("[90 %, 95 %)", "b", 2, False),
        ("[95 %, 100 %]", "c", 1, True),
        ("[95 %, 100 %]", "e", 2, False),
    ]


def test_only_energy_measured_in_quiet_competes() -> None:
    measured = energetic("measured", 300)
    estimated = energetic("estimated", 100, kind="estimated")
    busy = energetic("busy", 200, quiet=False)
    unavailable = make_entry("none", ranking="inference_energy", energy_kind="unavailable")
    entries = [unavailable, estimated, busy, measured]
    assert ids(rank(entries)) == ["measured"]
    everyone = rank(entries, unofficial=True)
    assert ids(everyone) == ["measured", "estimated", "busy"]
    assert [(row.awarded, row.of) for row in everyone] == [(True, 1), (False, 1), (False, 1)]
    assert unranked(entries) == {unavailable: "no inference energy"}


def test_as_many_are_awarded_as_the_rules_say_unless_the_caller_does() -> None:
    entries = [make_entry(name, complexity=n, awards=1) for n, name in enumerate("abc")]
    assert [row.awarded for row in rank(entries)] == [True, False, False]
    assert [row.awarded for row in rank(entries, awards=2)] == [True, True, False]


def test_a_record_of_a_prize_is_summarized_with_the_ranked_figure() -> None:
    record = make_record()
    assert record.competition is not None
    rules = record.competition.model_copy(
        update={"ranking": "training_time", "accuracy_intervals": (0.9,), "awards": 1}
    )
    native = make_native(wall_seconds=12.5, nodes=2)
    entry = summarize(record.model_copy(update={"competition": rules, "native": native}))
    assert (entry.figure, entry.runner, entry.nodes, entry.awards) == (12.5, "native", 2, 1)
    assert entry.accuracy_intervals == (0.9,)
    assert entry.complexity is not None


def test_a_record_is_placed_among_those_that_were_there() -> None:
    better = summarize(make_record(name="better", training=make_training(10)))
    worse = summarize(make_record(name="worse", training=make_training(1000)))
    elsewhere = summarize(make_record(name="cifar100", task="cifar100", training=make_training(1)))
    placed = place(make_record(training=make_training(100)), [worse, elsewhere, better])
    assert placed.rank is not None
    assert placed.rank.model_dump() == {"position": 2, "of": 3, "task": "cifar10", "official": True}


def test_a_run_without_docker_is_placed_among_its_like() -> None:
    official = summarize(make_record(training=make_training(1)))
    placed = place(make_record(sandbox="process"), [official])
    assert placed.rank is not None
    assert placed.rank.model_dump() == {"position": 1, "of": 1, "task": "cifar10", "official": False}


def test_what_did_not_qualify_has_no_place() -> None:
    assert place(make_record(verdict=Verdict.BELOW_THRESHOLD), []).rank is None


def test_placing_a_record_that_is_there_already_does_not_count_it_twice() -> None:
    record = make_record()
    placed = place(record, [summarize(record)])
    assert placed.rank is not None
    assert placed.rank.of == 1


small = st.integers(0, 3)
entries_of_everything = st.lists(
    st.builds(
        make_entry,
        st.text("abcdef", min_size=1, max_size=4),
        complexity=small,
        accuracy=small.map(lambda n: n / 4),
        source_bytes=small,
        created_at=small.map(lambda n: EARLY + timedelta(hours=n)),
        verdict=st.sampled_from(Verdict),
        task=st.sampled_from(["cifar10", "cifar100"]),
        sandbox=st.sampled_from(["docker", "process"]),
        data=st.sampled_from(["published", "home-made"]),
        team=st.sampled_from(["Lovelace", "Babbage", "Hopper"]),
        ranking=st.sampled_from(get_args(Ranking)),
        seconds=small.map(float),
        joules=st.none() | small.map(float),
        energy_kind=st.sampled_from(["measured", "estimated"]),
        quiet=st.booleans(),
        intervals=st.sampled_from([(), (0.25, 0.75)]),
        awards=st.none() | small,
    ),
    unique_by=lambda entry: entry.record_id,
    max_size=12,
)


@given(entries_of_everything, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_files_never_matters(
    entries: list[Entry], unofficial: bool, best_of_team: bool, random: Random
) -> None:
    shuffled = list(entries)
    random.shuffle(shuffled)
    first, second = (rank(e, unofficial=unofficial, best_of_team=best_of_team) for e in (entries, shuffled))
    assert first == second


@given(entries_of_everything)
def test_every_qualified_entry_has_one_place_of_its_own(entries: list[Entry]) -> None:
    ranked = rank(entries, unofficial=True)
    reached = [entry for entry in entries if entry.verdict is Verdict.QUALIFIED and entry.figure is not None]
    assert sorted(ids(ranked)) == sorted(entry.record_id for entry in reached)
    for before, after in pairwise(ranked):
        assert after.position in (1, before.position + 1)
        if after.position > 1:
            assert before.pool == after.pool
            worse = -1 if after.pool.ranking == "accuracy" else 1
            assert worse * (before.entry.figure or 0) <= worse * (after.entry.figure or 0)
            assert before.of == after.of
        else:
            assert before.position == before.of


@given(entries_of_everything)
def test_each_pool_is_within_one_interval_and_each_entry_within_that_of_its_pool(
    entries: list[Entry],
) -> None:
    for row in rank(entries, unofficial=True):
        low, high = row.pool.interval
        assert row.entry.accuracy is not None
        assert low <= row.entry.accuracy <= high
        assert not {bound for bound in row.entry.accuracy_intervals if low < bound < high}


@given(entries_of_everything, st.booleans())
def test_the_awarded_are_the_first_of_official_pools(entries: list[Entry], best_of_team: bool) -> None:
    ranked = rank(entries, unofficial=True, best_of_team=best_of_team, awards=2)
    first_two: defaultdict[Pool, list[str]] = defaultdict(list)
    for row in ranked:
        known = first_two[row.pool]
        if not row.pool.unofficial and row.entry.submission_sha256 not in known:
            known.append(row.entry.submission_sha256)
            assert row.awarded == (len(known) <= 2)
        else:
            assert not row.awarded


@given(entries_of_everything, entries_of_everything)
def test_what_was_not_judged_never_changes_a_place(entries: list[Entry], others: list[Entry]) -> None:
    judged = (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD)
    losers = [entry for entry in others if entry.verdict not in judged]
    assert rank([*entries, *losers], unofficial=True) == rank(entries, unofficial=True)


@given(entries_of_everything)
def test_officials_stand_the_same_with_and_without_the_unofficial(entries: list[Entry]) -> None:
    everyone = rank(entries, unofficial=True)
    assert rank(entries) == [row for row in everyone if not row.pool.unofficial]


def test_memory_bits_and_modelled_energy_rank_the_least_first() -> None:
    figures = {"peak_tensor_bytes": 3, "bit_complexity": 5, "modelled_joules": 0.5}
    rankings: dict[str, Ranking] = {
        "peak_tensor_bytes": "peak_memory",
        "bit_complexity": "bit_complexity",
        "modelled_joules": "modelled_energy",
    }
    for name, ranking in rankings.items():
        facts: list[dict[str, Any]] = [{name: figures[name] * times} for times in (2, 1)]
        entries = [
            dataclasses.replace(make_entry(record_id, ranking=ranking), **one)
            for record_id, one in zip(("more", "less"), facts, strict=True)
        ]
        older = make_entry("older", ranking=ranking)
        assert [ranked.entry.record_id for ranked in rank([*entries, older])] == ["less", "more"]
        assert unranked([*entries, older]) == {older: f"no {ranking.replace('_', ' ')}"}


def test_bits_of_charged_operations_are_the_widest() -> None:
    training = make_training(operations=100, parameters=200)
    widths = Precision(by_dtype={"bfloat16": 100}, bit_operations=1600, parameter_bits=6400)
    record = make_record(training=training.model_copy(update={"precision": widths}))
    assert summarize(record).bit_complexity == 8000
    assert record.evaluation is not None
    evaluation = record.evaluation.model_copy(update={"operations": 10, "charged_operations": 10})
    charged = record.model_copy(update={"evaluation": evaluation})
    assert summarize(charged).bit_complexity == 8000 + 64 * 10
    assert summarize(make_record()).bit_complexity is None
