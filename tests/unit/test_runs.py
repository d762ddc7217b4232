import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.competition import Runs
from haet_eval.errors import Verdict
from haet_eval.evaluation.repetition import merge, seeds, split
from haet_eval.ranking import rank, summarize
from haet_eval.record import Content, Record, from_json, seal, to_json
from haet_eval.verification.check import Result
from haet_eval.verification.evidence import Evidence
from haet_eval.verification.runs import check_runs
from tests.fixtures.records import make_native, make_record, make_training

THRESHOLD = 0.94


def one(seed: int, correct: int = 9412, operations: int = 10**17) -> Record:
    verdict = Verdict.QUALIFIED if correct >= 9400 else Verdict.BELOW_THRESHOLD
    return make_record(seed=seed, correct=correct, verdict=verdict, training=make_training(operations))


def failed(seed: int) -> Record:
    """A run that ran into a limit: no accuracy, no complexity."""
    record = one(seed)
    assert record.training is not None
    training = record.training.model_copy(update={"parameters": None, "model": None})
    status = record.status.model_copy(
        update={"verdict": Verdict.LIMIT_TIME, "stage": "train", "reason": "Too long."}
    )
    facts = {name: getattr(record, name) for name in Content.model_fields}
    changed = {"training": training, "complexity": None, "evaluation": None, "status": status}
    return seal(Content(**facts | changed))


def several(corrects: Sequence[int], rules: Runs = Runs()) -> Record:  # noqa: B008 frozen
    return merge([one(seed, correct) for seed, correct in enumerate(corrects)], rules, THRESHOLD)


def test_seeds_are_derived_as_documented() -> None:
    assert seeds(0, 3) == [0, 4204008845, 2942355498]
    assert seeds(7, 1) == [7]


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_seeds_are_different_and_stay_the_same_when_there_are_more(seed: int, runs: int) -> None:
    found = seeds(seed, runs)
    assert found == seeds(seed, runs + 1)[:-1]
    assert len(set(found)) == runs
    assert all(0 <= one < 2**32 for one in found)


def test_accuracy_has_a_mean_a_deviation_and_students_interval() -> None:
    statistics = several([9400, 9410, 9420]).statistics
    assert statistics is not None
    accuracy = statistics.accuracy
    assert accuracy is not None
    assert accuracy.mean == pytest.approx(0.941)
    assert accuracy.standard_deviation == pytest.approx(0.001)
    assert accuracy.confidence_95 is not None
    # t with 2 degrees of freedom: 4.302653, from a printed table.
    half = 4.302653 * 0.001 / math.sqrt(3)
    assert accuracy.confidence_95 == pytest.approx((0.941 - half, 0.941 + half))


def test_the_mean_complexity_is_rounded_up_and_the_median_is_a_runs_own() -> None:
    records = [one(0, operations=100), one(1, operations=201), one(2, operations=400), one(3, operations=900)]
    parameters = 11_000_000
    by_median = merge(records, Runs(ranks="median"), THRESHOLD)
    by_mean = merge(records, Runs(ranks="mean"), THRESHOLD)
    assert by_median.complexity == 201 + parameters
    assert by_mean.complexity == 401 + parameters
    assert by_mean.training == by_median.training == records[1].training


VERDICTS = {
    "the mean reaches it though a run does not": ("mean", [9390, 9410], Verdict.QUALIFIED),
    "the mean is below": ("mean", [9380, 9410], Verdict.BELOW_THRESHOLD),
    "every run reaches it": ("every", [9400, 9410], Verdict.QUALIFIED),
    "one run does not": ("every", [9399, 9999], Verdict.BELOW_THRESHOLD),
    "clearly above": ("one_sided", [9420, 9421, 9422], Verdict.QUALIFIED),
    "above, but this may be chance": ("one_sided", [9380, 9410, 9480], Verdict.BELOW_THRESHOLD),
    "always the same, and enough": ("one_sided", [9400, 9400], Verdict.QUALIFIED),
    "always the same, and not enough": ("one_sided", [9399, 9399], Verdict.BELOW_THRESHOLD),
}


@pytest.mark.parametrize(("passes", "corrects", "verdict"), VERDICTS.values(), ids=VERDICTS)
def test_the_rules_say_how_runs_pass(passes: str, corrects: list[int], verdict: Verdict) -> None:
    record = several(corrects, Runs.model_validate({"passes": passes}))
    assert record.status.verdict is verdict
    assert bool(record.status.reason) is (verdict is Verdict.BELOW_THRESHOLD)


@given(st.lists(st.integers(9300, 9500), min_size=2, max_size=6))
def test_the_p_value_is_that_of_scipys_test(corrects: list[int]) -> None:
    from scipy.stats import ttest_1samp

    statistics = several(corrects, Runs(passes="one_sided")).statistics
    assert statistics is not None
    if len(set(corrects)) > 1:
        expected = ttest_1samp([one / 10_000 for one in corrects], THRESHOLD, alternative="greater").pvalue
        assert statistics.p_value == pytest.approx(float(expected))


@pytest.mark.parametrize("passes", ["mean", "every", "one_sided"])
def test_a_failed_run_is_shown_and_fails_them_all(passes: str) -> None:
    rules = Runs.model_validate({"passes": passes})
    record = merge([one(5), failed(6), one(7)], rules, THRESHOLD)
    assert record.status.verdict is Verdict.LIMIT_TIME
    assert record.status.reason == "Run 2 of 3 (seed 6): Too long."
    assert record.complexity is None
    assert record.runs is not None
    assert [run.status.verdict for run in record.runs][1] is Verdict.LIMIT_TIME
    assert record.statistics is not None
    assert record.statistics.accuracy is not None
    assert record.statistics.accuracy.runs == 2


def test_runs_can_be_written_read_and_taken_apart() -> None:
    records = [one(3, 9400), one(4, 9500)]
    record = merge(records, Runs(), THRESHOLD)
    assert from_json(to_json(record)) == record
    assert record.environment.seed == 3
    for before, after in zip(records, split(record), strict=True):
        same = ("environment", "status", "trace", "training", "complexity", "evaluation", "log")
        assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]


def test_runs_are_ranked_by_their_mean_accuracy_and_ranked_complexity() -> None:
    record = several([9400, 9500])
    entry = summarize(record)
    assert entry.accuracy == pytest.approx(0.945)
    assert [ranked.entry for ranked in rank([entry])] == [entry]


def test_a_record_of_several_runs_is_consistent() -> None:
    facts = {name: getattr(several([9400, 9500]), name) for name in Content.model_fields}
    with pytest.raises(ValueError, match="without statistics"):
        Content(**facts | {"statistics": None})
    with pytest.raises(ValueError, match="ranked"):
        Content(**facts | {"complexity": 1})


class TestVerification:
    """`check_runs` on records as a cheat would write them."""

    @staticmethod
    def differing(record: Record) -> set[str]:
        from haet_eval.competition import load_competition

        evidence = Evidence(competition=load_competition("haet2021"))
        return {check.subject for check in check_runs(record, evidence) if check.result is Result.DIFFERS}

    @staticmethod
    def honest() -> Record:
        from haet_eval.competition import load_competition

        rules = load_competition("haet2021")
        records = [one(seed, correct) for seed, correct in zip(seeds(9, 3), (9400, 9300, 9500), strict=True)]
        return merge(records, rules.runs, rules.tasks["cifar10"].threshold)

    def test_an_honest_record_holds(self) -> None:
        assert self.differing(self.honest()) == set()

    def test_chosen_seeds_differ(self) -> None:
        record = self.honest()
        environment = record.environment.model_copy(update={"seed": 10})
        assert "seeds" in self.differing(record.model_copy(update={"environment": environment}))

    def test_a_run_left_out_differs(self) -> None:
        record = self.honest()
        assert record.runs is not None
        runs = (record.runs[0], record.runs[2])
        assert {"seeds", "statistics"} <= self.differing(record.model_copy(update={"runs": runs}))

    def test_a_verdict_that_does_not_follow_differs(self) -> None:
        record = self.honest()
        status = record.status.model_copy(update={"verdict": Verdict.FAILED})
        assert self.differing(record.model_copy(update={"status": status})) == {"verdict"}

    def test_another_run_shown_differs(self) -> None:
        record = self.honest()
        assert record.runs is not None
        changed = record.model_copy(update={"evaluation": record.runs[2].evaluation})
        assert self.differing(changed) == {"the run that is shown"}

    def test_a_time_that_is_not_that_of_the_run_shown_differs(self) -> None:
        changed = self.honest().model_copy(update={"native": make_native(wall_seconds=1.0)})
        assert self.differing(changed) == {"the run that is shown"}
