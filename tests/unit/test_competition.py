"""Competitions: the built-in ones, an organizer's own file, and the errors of a wrong one."""

import pickle
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.competition import (
    Budgets,
    Competition,
    Limits,
    builtin_competitions,
    builtin_in_version_1,
    competition_for_task,
    load_competition,
    schema_text,
)
from haet_eval.errors import InvalidSubmission, UsageProblem

DIGEST_OF_DIGITS_IN_0_1_0 = "75f4d53216d3bec86ed8ebfdbca23b0bd8459b0994fe805812dc9bb549119ebb"
DIGEST_OF_OWN_IN_0_1_0 = "92b56e2acde702423edfcd5a9063d49305f4ad7abe87dcc0c6e09a9745277fbe"

OWN = """
name = "own"
title = "Our own"
description = "Least complexity."
ranking = "complexity"
awards = 1
[budgets]
wall_seconds = 100
processes = 7
[tasks.quick]
dataset = "digits"
threshold = 0.9
[tasks.quick.budgets]
wall_seconds = 10
[tasks.long]
dataset = "digits"
threshold = 0.95
"""


def write(folder: Path, text: str) -> str:
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def fault(folder: Path, text: str) -> str:
    with pytest.raises(UsageProblem) as caught:
        load_competition(write(folder, text))
    assert caught.value.hint
    return caught.value.message


def test_haet2021_has_the_published_rules() -> None:
    competition = load_competition("haet2021")
    assert {name: task.threshold for name, task in competition.tasks.items()} == {
        "cifar10": 0.93,
        "cifar100": 0.78,
    }
    assert competition.ranking == "complexity"
    assert competition.awards == 3
    assert "http" not in competition.description
    assert competition.limits == Limits(archive_bytes=65_536)


def test_digits_is_bounded_tighter_than_cifar() -> None:
    digits = load_competition("digits").budgets_for("digits")
    cifar = load_competition("haet2021").budgets_for("cifar10")
    assert load_competition("digits").task("digits").threshold == 0.93
    assert digits.wall_seconds < cifar.wall_seconds
    assert digits.memory_bytes < cifar.memory_bytes
    assert digits.prediction_free_operations_per_image < cifar.prediction_free_operations_per_image


@pytest.mark.parametrize(
    "prize", ["haet2021-energy", "haet2021-cluster", "haet2022-energy", "haet2022-cluster"]
)
def test_the_prizes_ask_for_the_accuracies_of_the_main_competition(prize: str) -> None:
    rules, main = load_competition(prize), load_competition("haet2021")
    assert {n: t.threshold for n, t in rules.tasks.items()} == {n: t.threshold for n, t in main.tasks.items()}
    assert rules.awards == 1
    assert rules.runner == "native"
    assert (rules.ranking, rules.nodes) == (
        ("training_energy", 1) if prize.endswith("energy") else ("training_time", 2)
    )


def test_acml2021_ranks_energy_within_intervals_of_five_points() -> None:
    rules = load_competition("acml2021")
    assert (rules.ranking, rules.inference_iterations, rules.awards) == ("inference_energy", 200, 1)
    assert rules.accuracy_intervals[-2:] == (0.90, 0.95)
    assert rules.task("cifar10").threshold == 0


def test_haet2023_has_ten_minutes_and_a_secret_test_set_and_practice_the_same_training_images() -> None:
    rules, practice = load_competition("haet2023"), load_competition("haet2023-practice")
    task = rules.task("cifar10")
    assert rules.ranking == "accuracy"
    assert rules.overtime == "checkpoint"
    assert task.budgets.wall_seconds == 600
    assert (task.train_images, task.test_images, task.secret_test) == (5000, 1000, True)
    assert practice.task("cifar10").train_seed == task.train_seed
    assert practice.awards == 0
    same = {"ranking", "runner", "overtime", "limits", "budgets"}
    assert rules.model_dump(include=same) == practice.model_dump(include=same)


@pytest.mark.parametrize("name", builtin_competitions())
def test_every_built_in_competition_loads_under_its_own_name(name: str) -> None:
    assert load_competition(name).name == name


def test_every_task_of_a_built_in_competition_finds_it() -> None:
    assert [competition_for_task(task) for task in ("digits", "cifar10", "cifar100")] == [
        "digits",
        "haet2021",
        "haet2021",
    ]


def test_an_unknown_task_is_reported_with_the_existing_ones() -> None:
    with pytest.raises(InvalidSubmission, match=r"'imagenet' is no task of .* cifar10, cifar100, digits"):
        competition_for_task("imagenet")
    with pytest.raises(InvalidSubmission, match=r"'digits' is no task of competition haet2021; .* cifar100"):
        load_competition("haet2021").task("digits")


def test_a_task_takes_the_budgets_of_the_competition_but_for_its_own(tmp_path: Path) -> None:
    competition = load_competition(write(tmp_path, OWN))
    assert competition.budgets_for("long") == Budgets(wall_seconds=100, processes=7)
    assert competition.budgets_for("quick") == Budgets(wall_seconds=10, processes=7)


def test_a_competition_survives_json_and_pickle(tmp_path: Path) -> None:
    competition = load_competition(write(tmp_path, OWN))
    for copy in (
        Competition.model_validate_json(competition.model_dump_json()),
        pickle.loads(pickle.dumps(competition)),
    ):
        assert copy.model_dump() == competition.model_dump()
        assert copy.digest == competition.digest


def test_the_digest_ignores_layout_and_spelled_out_defaults(tmp_path: Path) -> None:
    digest = load_competition(write(tmp_path, OWN)).digest
    assert load_competition(write(tmp_path, "# a comment\n" + OWN)).digest == digest
    assert load_competition(write(tmp_path, OWN + "[limits]\nentries = 200\n")).digest == digest


@given(threshold=st.floats(0, 1), wall_seconds=st.integers(1, 10**6), entries=st.integers(1, 10**6))
def test_the_digest_changes_with_any_rule(threshold: float, wall_seconds: int, entries: int) -> None:
    def rules(threshold: float, wall_seconds: int, entries: int) -> Competition:
        return Competition.model_validate(
            {
                "name": "own",
                "title": "Own",
                "description": "x",
                "ranking": "complexity",
                "awards": 1,
                "limits": {"entries": entries},
                "tasks": {
                    "a": {
                        "dataset": "digits",
                        "threshold": threshold,
                        "budgets": {"wall_seconds": wall_seconds},
                    }
                },
            }
        )

    one, other = rules(threshold, wall_seconds, entries), rules(0.5, 60, 200)
    assert (one.digest == other.digest) == ((threshold, wall_seconds, entries) == (0.5, 60, 200))


def test_a_misspelt_name_is_reported_with_the_right_one() -> None:
    with pytest.raises(UsageProblem, match=r"did you mean haet2021\?") as caught:
        load_competition("heat2021")
    assert "digits-memory, haet2021, " in caught.value.hint
    assert "haet2023-practice" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("threshold = 0.95", "threshold = 95", "`tasks.long.threshold` should be less than or equal to 1"),
        ("threshold = 0.95", 'threshold = "0.95"', "`tasks.long.threshold` should be a valid number"),
        ("awards = 1", "", "`awards` is missing"),
        ("awards = 1", "award = 1", "`award` is no key of a competition; did you mean awards?"),
        ("processes = 7", "processes = 0", "`budgets.processes` should be greater than 0"),
        ("processes = 7", "processes = true", "`budgets.processes` should be a valid integer"),
        ("wall_seconds = 10\n", "wall_secs = 10\n", "`tasks.quick.budgets.wall_secs` is no key"),
        ('"complexity"', '"beauty"', "`ranking` should be 'complexity', 'peak_memory', "),
        ('name = "own"', 'name = "Our own"', "`name` "),
        ("[tasks.long]", "[tasks.long", "is no valid TOML"),
        ("awards = 1", f"awards = {'9' * 5000}", "is no valid TOML"),
    ],
)
def test_a_fault_in_a_file_is_reported_with_its_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in OWN
    assert told in fault(tmp_path, OWN.replace(old, new, 1))


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8-sig")
    assert load_competition(str(path)).name == "own"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"complexity"', '"training_energy"', '`ranking = "training_energy"` needs `runner = "native"`'),
        ('"complexity"', '"complexity"\nrunner = "native"', 'needs `runner = "counted"`'),
        (
            "awards = 1",
            'awards = 1\novertime = "checkpoint"',
            '`overtime = "checkpoint"` needs `runner = "native"`',
        ),
        ("awards = 1", "awards = 1\nnodes = 2", 'more than one of `nodes` needs `ranking = "training_time"`'),
        ("awards = 1", "awards = 1\ninference_iterations = 3", "`inference_iterations` needs"),
        (
            "awards = 1",
            "awards = 1\naccuracy_intervals = [0.9, 0.5]",
            "in `accuracy_intervals`, the bounds must ascend",
        ),
        (
            "awards = 1",
            "awards = 1\naccuracy_intervals = [0.0, 0.5]",
            "in `accuracy_intervals`, the bounds must be above 0 and below 1",
        ),
        (
            "awards = 1",
            "awards = 1\naccuracy_intervals = [0.5, 1.0]",
            "in `accuracy_intervals`, the bounds must be above 0 and below 1",
        ),
        ("awards = 1", "awards = 1\nruns = { p = 0.01 }", '`p` needs `passes = "one_sided"`'),
        (
            "awards = 1",
            "awards = 1\naccuracy_intervals = [90]",
            "`accuracy_intervals.0` should be less than or equal to 1 (a fraction: 0.93 for 93 %), and is 90",
        ),
        ("threshold = 0.95", "threshold = 0.95\ntrain_images = 5", "in `tasks.long`, `train_images` and"),
        (
            "threshold = 0.95",
            "threshold = 0.95\ntest_images = 5",
            "`test_images` and `test_seed` go together",
        ),
        (
            "threshold = 0.95",
            "threshold = 0.95\nsecret_test = true\ntest_seed = 1",
            "remove `test_seed`",
        ),
        (
            "threshold = 0.95",
            'threshold = 0.95\ndata = { train = "a.npz" }',
            "either `data.test` names the test set, or `secret_test = true`",
        ),
        (
            "threshold = 0.95",
            'threshold = 0.95\ndata = { train = "a", test = "b", image_size = [0, 32] }',
            "in `tasks.long.data.image_size`, sides are from 1 to 1024 pixels",
        ),
    ],
)
def test_rules_that_contradict_each_other_are_reported(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in OWN
    assert told in fault(tmp_path, OWN.replace(old, new, 1))


@pytest.mark.parametrize(
    "ranking", ["complexity", "training_energy", "inference_energy", "training_time", "accuracy"]
)
def test_every_ranking_has_its_runner(tmp_path: Path, ranking: str) -> None:
    runner = "counted" if ranking == "complexity" else "native"
    text = OWN.replace('"complexity"', f'"{ranking}"\nrunner = "{runner}"')
    assert load_competition(write(tmp_path, text)).runner == runner


def test_a_file_knows_its_folder_which_is_no_part_of_its_digest(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        competition = load_competition(write(tmp_path / name, OWN))
        assert competition.folder == (tmp_path / name).resolve()
        digests.add(competition.digest)
    assert len(digests) == 1
    assert load_competition("digits").folder is None


def test_keys_of_later_versions_keep_the_digest_of_older_rules(tmp_path: Path) -> None:
    assert builtin_in_version_1("digits").digest == DIGEST_OF_DIGITS_IN_0_1_0
    assert load_competition("digits").digest != DIGEST_OF_DIGITS_IN_0_1_0
    digest = load_competition(write(tmp_path, OWN)).digest
    spelled_out = OWN.replace("awards = 1", 'awards = 1\nrunner = "counted"\nnodes = 1\novertime = "fail"')
    assert load_competition(write(tmp_path, spelled_out)).digest == digest
    changed = OWN.replace("awards = 1", "awards = 1\naccuracy_intervals = [0.5]")
    assert load_competition(write(tmp_path, changed)).digest != digest


@pytest.mark.parametrize("name", builtin_competitions())
def test_rules_that_have_changed_since_0_1_0_are_kept_in_a_folder(name: str) -> None:
    now, before = load_competition(name), builtin_in_version_1(name)
    unchanged = name in {"digits-cluster", "digits-energy"}
    assert (now.digest == before.digest) == unchanged
    assert before.version == 1
    later = {"digits-bits", "digits-memory"}
    if now.runner == "counted" and name not in later:
        assert before.budgets.prediction_operations_per_image <= 5_000_000_000


def test_an_own_file_has_the_digest_that_0_1_0_gave_it_and_a_new_one(tmp_path: Path) -> None:
    """0.1.0 gave this file the digest that stands here."""
    now = load_competition(write(tmp_path, OWN))
    before = now.as_in_version_1()
    assert before.digest == DIGEST_OF_OWN_IN_0_1_0 != now.digest
    assert before.folder == now.folder
    assert before.budgets_for("long").prediction_operations_per_image == 5_000_000_000
    assert now.budgets_for("long").prediction_operations_per_image > 5_000_000_000
    limited = OWN.replace("processes = 7", "processes = 7\nprediction_operations_per_image = 9", 1)
    assert load_competition(write(tmp_path, limited)).as_in_version_1().budgets_for("long") == Budgets(
        wall_seconds=100, processes=7, prediction_operations_per_image=9
    )


@given(messages=st.integers(0, 10**9), operations=st.integers(0, 10**15))
def test_processor_time_is_bought_by_messages_that_operations_pay_for(messages: int, operations: int) -> None:
    budgets = load_competition("haet2021").budgets
    allowed = budgets.cpu_allowance_seconds(messages, operations)
    assert budgets.cpu_allowance_seconds(messages, 0) == budgets.submission_cpu_seconds
    assert budgets.cpu_allowance_seconds(0, operations) == budgets.submission_cpu_seconds
    assert budgets.submission_cpu_seconds <= allowed
    assert allowed <= budgets.submission_cpu_seconds + operations / budgets.submission_cpu_operations
    assert allowed <= budgets.submission_cpu_seconds + messages * budgets.submission_cpu_microseconds / 1e6


def test_a_competition_without_a_task_is_refused(tmp_path: Path) -> None:
    assert "`tasks` is missing" in fault(tmp_path, OWN[: OWN.index("[tasks")])
    assert "`tasks` " in fault(tmp_path, OWN[: OWN.index("[tasks")] + "[tasks]\n")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageProblem, match="cannot be read"):
        load_competition(str(tmp_path / "own.toml"))


def test_the_stored_schema_is_current() -> None:
    stored = (files("haet_eval") / "resources" / "competition.schema.json").read_text("utf-8")
    assert stored == schema_text(), "run: python -m scripts.export_schema"


ENERGY_MODEL = """
[energy_model]
source = "a paper"
operation = { float32 = 2.3, bfloat16 = 1 }
other_operation = 3
byte = 0.1
"""


def test_a_model_of_energy_is_exact_and_needed_to_rank_by_it(tmp_path: Path) -> None:
    modelled = OWN.replace('ranking = "complexity"', 'ranking = "modelled_energy"')
    with pytest.raises(UsageProblem, match=r"needs `\[energy_model\]`"):
        load_competition(write(tmp_path, modelled))
    model = load_competition(write(tmp_path, modelled + ENERGY_MODEL)).energy_model
    assert model is not None
    assert model.joules({"float32": 10**15, "bfloat16": 10**12, "int64": 10**12}, 10**13) == 2300 + 1 + 3 + 1
    assert model.joules({"float32": 10**40 + 1}, 0) == 2.3e28


def test_a_model_of_energy_is_part_of_the_digest_if_the_rules_have_one(tmp_path: Path) -> None:
    digest = load_competition(write(tmp_path, OWN)).digest
    assert load_competition(write(tmp_path, OWN + ENERGY_MODEL)).digest != digest


def test_memory_and_bits_are_ranked_if_they_are_counted(tmp_path: Path) -> None:
    for ranking in ("peak_memory", "bit_complexity"):
        text = OWN.replace('ranking = "complexity"', f'ranking = "{ranking}"')
        assert load_competition(write(tmp_path, text)).ranking == ranking
        with pytest.raises(UsageProblem, match='needs `runner = "counted"`'):
            load_competition(write(tmp_path, f'runner = "native"\n{text}'))
