import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from haet_eval.cli.explain import explain
from haet_eval.counting.bill import bill
from haet_eval.counting.costs import CallCost, call_costs
from haet_eval.counting.histogram import Histogram
from haet_eval.counting.operations import priced
from haet_eval.errors import UsageProblem, Verdict
from haet_eval.operators.signature import Argument, Signature, TensorMeta
from haet_eval.operators.standard import STANDARD
from haet_eval.record import (
    Content,
    HistogramArtifact,
    Operations,
    OperatorCost,
    PeakCall,
    Record,
    TensorMemory,
    UncountedOperator,
    seal,
)
from haet_eval.reports.dossier import make_dossier
from haet_eval.store import Store, read_record
from tests.fixtures.records import make_record, make_training


def matrix(rows: int, columns: int) -> TensorMeta:
    return TensorMeta((rows, columns), (columns, 1), 0, "float32")


def product(rows: int) -> Signature:
    arguments: dict[str, Argument] = {"self": matrix(rows, 3), "mat2": matrix(3, 4)}
    return Signature("aten.mm.default", arguments, (matrix(rows, 4),))


def relu(rows: int) -> Signature:
    return Signature("aten.relu.default", {"self": matrix(rows, 4)}, (matrix(rows, 4),))


def view(rows: int) -> Signature:
    arguments: dict[str, Argument] = {"self": matrix(rows, 4), "size": (rows * 4,)}
    return Signature("aten.view.default", arguments, (TensorMeta((rows * 4,), (1,), 0, "float32"),))


FORWARD = (0, 0, 10, 0, 0, 0)
HISTOGRAM = Histogram([(product(8), FORWARD), (product(2), FORWARD), (relu(8), FORWARD), (view(8), FORWARD)])
OPERATIONS = Operations(
    standard=1,
    total=2320,
    by_phase={"backward": 320, "forward": 2000},
    by_operator=(
        OperatorCost(operator="aten.relu.default", calls=10, operations=320),
        OperatorCost(operator="aten.mm.default", calls=20, operations=2000),
        OperatorCost(operator="aten.view.default", calls=10, operations=0),
    ),
    uncounted=(),
)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Store(tmp_path / "results")


def make_explained(operations: Operations = OPERATIONS, histogram: bytes = HISTOGRAM.to_json()) -> Record:
    artifact = HistogramArtifact(
        sha256=hashlib.sha256(histogram).hexdigest(), bytes=len(histogram), entries=4
    )
    return make_record(
        verdict=Verdict.UNCOUNTABLE if operations.uncounted else Verdict.QUALIFIED,
        training=make_training().model_copy(update={"operations": operations, "histogram": artifact}),
    )


def run(*arguments: object) -> Result:
    return CliRunner().invoke(explain, list(map(str, arguments)), catch_exceptions=False)


def test_calls_are_priced_and_the_dearest_comes_first() -> None:
    assert call_costs(HISTOGRAM) == [
        CallCost(
            "aten.mm.default",
            "self float32[8, 3], mat2 float32[3, 4] → float32[8, 4]",
            10,
            32 * 5,
            10 * 32 * 5,
        ),
        CallCost(
            "aten.mm.default", "self float32[2, 3], mat2 float32[3, 4] → float32[2, 4]", 10, 8 * 5, 10 * 8 * 5
        ),
        CallCost("aten.relu.default", "self float32[8, 4] → float32[8, 4]", 10, 32, 10 * 32),
    ]


def test_shows_where_the_operations_went(store: Store) -> None:
    path = store.add(make_explained())
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    shown = run(path).stdout
    by_phase, by_family, by_operator, by_dtype, by_bytes, by_call = shown.split("By ")[1:]
    assert by_phase.index("forward") < by_phase.index("backward")
    assert "86.2 %" in by_phase
    assert by_operator.index("aten.mm.default") < by_operator.index("aten.relu.default")
    assert by_family.index("matmul") < by_family.index("pointwise")
    assert "n(2K − 1): n sums of K products." in by_operator.split("What a call of them costs")[1]
    assert "float32    32          74,240       2,320  100.0 %" in by_dtype
    assert by_bytes.index("aten.mm.default") < by_bytes.index("aten.relu.default")
    assert "self float32[8, 3]" in by_call
    assert "complexity 11,002,320 = parameters 11,000,000 + operations 2,320" in shown


def test_without_the_histogram_the_record_alone_is_explained(store: Store) -> None:
    path = store.add(make_explained())
    assert "By call" not in run(path).stdout
    assert json.loads(run(path, "--json").stdout)["by_call"] is None


def test_json_has_every_line_and_exact_counts(store: Store) -> None:
    path = store.add(make_explained())
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    document = json.loads(run(path, "--json", "--lines", 1).stdout)
    assert document["operations"] == "2320"
    assert document["by_phase"][0] == {"phase": "forward", "operations": "2000", "share": 2000 / 2320}
    assert [line["operations"] for line in document["by_operator"]] == ["2000", "320", "0"]
    assert sum(int(line["operations"]) for line in document["by_call"]) == 2320
    assert document["by_family"][0] == {
        "family": "matmul",
        "calls": "20",
        "operations": "2000",
        "share": 2000 / 2320,
    }


def test_operators_below_the_machine_balance_are_bound_by_memory(store: Store) -> None:
    path = store.add(make_explained())
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    document = json.loads(run(path, "--json", "--balance", "0.5").stdout)
    product, rectified = document["bytes_by_operator"]
    read, written = 4 * 10 * (24 + 12 + 6 + 12), 4 * 10 * (32 + 8)
    assert product == {
        "operator": "aten.mm.default",
        "calls": "20",
        "read": str(read),
        "written": str(written),
        "intensity": 2000 / (read + written),
        "bound_by_memory": False,
    }
    assert (rectified["operator"], rectified["bound_by_memory"]) == ("aten.relu.default", True)
    assert document["machine_balance"] == 0.5
    assert json.loads(run(path, "--json").stdout)["bytes_by_operator"][0]["bound_by_memory"] is True


def test_the_peak_of_the_tensors_is_shown_and_a_dash_of_older_records(store: Store) -> None:
    older = make_explained()
    assert older.training is not None
    assert "peak of the tensors –" in run(store.add(older)).stdout
    memory = TensorMemory(
        peak_bytes=3000,
        model_bytes=1000,
        other_bytes=2000,
        training_set_bytes=9000,
        call=PeakCall(number=12, operator="aten.relu.default", phase="forward"),
    )
    training = older.training.model_copy(update={"memory": memory})
    shown = run(store.add(make_record(name="newer", training=training))).stdout
    assert "peak of the tensors 3,000 bytes = model 1,000 + other 2,000" in shown
    assert "reached at call 12, aten.relu.default, in forward" in shown


REFERENCE = Path(__file__).parents[2] / "docs" / "reference-leaderboard"


def test_the_course_of_the_memory_is_shown_from_the_trace() -> None:
    """Also of a record from before memory was counted."""
    (path,) = REFERENCE.glob("*-small-cnn-be05eb53*.json")
    shown = run(path, "--memory", "--lines", "2").stdout
    assert "reached at call" in shown
    assert "aten.div.Tensor" in shown
    assert "more; --lines shows them" in shown
    document = json.loads(run(path, "--memory", "--json").stdout)
    assert max(document["points"]) == document["peak_bytes"]
    assert sum(one["bytes"] for one in document["largest"]) == document["peak_bytes"]
    assert run(path, "--memory", "--compare", path).exit_code == 2


def test_operations_are_shown_by_line_and_by_module() -> None:
    (path,) = REFERENCE.glob("*-resnet-9-narrow-*.json")
    shown = run(path, "--modules", "--lines", "4").stdout
    assert "submission.py:82" in shown
    assert "Sequential.6.layers.0.0" in shown
    assert "(no module: backward passes, optimizers, and what train() does itself)" in shown
    document = json.loads(run(path, "--modules", "--json").stdout)
    training = read_record(path).training
    assert training is not None
    for name in ("lines", "modules"):
        assert sum(int(one["operations"]) for one in document[name]) == training.operations.total
        assert sum(one["share"] for one in document[name]) == pytest.approx(1)


def test_places_are_shown_of_one_record_that_has_them() -> None:
    (path,) = REFERENCE.glob("*-small-cnn-be05eb53*.json")
    with pytest.raises(UsageProblem, match="names no lines of its calls"):
        run(path, "--modules")
    assert run(path, "--modules", "--memory").exit_code == 2
    assert run(path, "--modules", "--reprice").exit_code == 2


def test_the_course_is_written_as_a_page_with_a_plot(tmp_path: Path) -> None:
    (path,) = REFERENCE.glob("*-small-cnn-be05eb53*.json")
    page = tmp_path / "new" / "memory.html"
    assert "to be read in any browser" in run(path, "--memory", "--html", page).stderr
    assert "<svg" in page.read_text("utf-8")
    assert run(path, "--html", page).exit_code == 2
    assert run(path, "--memory", "--json", "--html", page).exit_code == 2


def test_an_entry_has_a_roofline_if_its_histogram_is_there(store: Store) -> None:
    record = make_explained()
    path = store.add(record)
    assert make_dossier(path, record, None).roofline is None
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    picture = make_dossier(path, record, None).roofline
    assert picture is not None
    assert picture.balance == "20"
    assert [spot.text.partition(":")[0] for spot in picture.spots] == ["aten.mm.default", "aten.relu.default"]


def test_labels_that_are_not_those_of_the_record_are_refused(tmp_path: Path) -> None:
    (source,) = REFERENCE.glob("*-small-cnn-be05eb53*.json")
    record, store = read_record(source), Store(tmp_path)
    assert record.training is not None
    assert record.trace is not None
    trace = Store(REFERENCE).artifact_path(record.trace)
    assert trace is not None
    store.put_artifact(trace, "trace")
    labels = store.put_artifact(b"[[0, 1, 2]]", "labels.json")
    training = record.training.model_copy(update={"labels": labels})
    content = {name: getattr(record, name) for name in Content.model_fields}
    path = store.add(seal(Content(**content | {"training": training})))
    with pytest.raises(UsageProblem, match="labels of the record's calls cannot be read"):
        run(path, "--memory")


def test_without_the_trace_there_is_no_course(store: Store) -> None:
    with pytest.raises(UsageProblem, match="is not there, so the course of its memory is not known"):
        run(store.add(make_explained()), "--memory")


def test_long_tables_are_cut_and_say_so(store: Store) -> None:
    path = store.add(make_explained())
    shown = run(path, "--lines", 1).stdout
    assert "aten.relu.default" not in shown
    assert "… and 2 more" in shown


def test_a_record_can_be_named_by_its_id(store: Store) -> None:
    record = make_explained()
    store.add(record)
    assert record.record_id in run(record.record_id[:6], "--results", store.directory).stdout


def test_several_records_are_shown_one_after_another_without_their_signatures(store: Store) -> None:
    records = [store.add(make_record(name=name)) for name in ("first", "second")]
    signature = records[0].with_suffix(".dsse.json")
    signature.touch()
    shown = run(*records, signature).stdout
    assert shown.index("first") < shown.index("second")
    for option in (["--json"], ["--reprice"], ["--compare", records[0]]):
        refused = run(*records, *option)
        assert refused.exit_code == 2
        assert "--compare, --reprice, --memory, --modules and --json take one record" in refused.stderr


def test_operators_without_a_price_are_named(store: Store) -> None:
    lstm = UncountedOperator(
        operator="aten.lstm[red].input", calls=3, shapes=("[8, 4] float32",), hint="unroll it\x1b[2J"
    )
    operations = OPERATIONS.model_copy(update={"uncounted": (lstm,)})
    training = make_training().model_copy(update={"operations": operations})
    path = store.add(make_record(verdict=Verdict.UNCOUNTABLE, reason="lstm", training=training))
    shown = run(path).stdout
    assert "aten.lstm[red].input" in shown
    assert "unroll it" in shown
    assert "\x1b" not in shown
    assert "complexity –" in shown


def test_what_never_trained_has_nothing_to_explain(store: Store) -> None:
    path = store.add(make_record(verdict=Verdict.INVALID_SUBMISSION, reason="there is no haet.toml"))
    shown = run(path).stdout
    assert "invalid_submission. there is no haet.toml" in shown
    assert "never came to training" in shown
    assert json.loads(run(path, "--json").stdout)["operations"] is None


def test_a_training_without_operations_has_no_shares(store: Store) -> None:
    nothing = Operations(standard=1, total=0, by_phase={"forward": 0}, by_operator=(), uncounted=())
    assert "0.0 %" in run(store.add(make_explained(nothing))).stdout


def test_a_changed_histogram_is_refused(store: Store) -> None:
    path = store.add(make_explained())
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    (histogram,) = store.artifacts.iterdir()
    histogram.write_bytes(b"{}")
    with pytest.raises(UsageProblem, match="digest is another"):
        run(path)


def test_a_file_that_is_not_a_histogram_is_refused(store: Store) -> None:
    path = store.add(make_explained(histogram=b"{}"))
    store.put_artifact(b"{}", "histogram.json")
    with pytest.raises(UsageProblem, match="cannot be read: not a histogram"):
        run(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", "no json"])
def test_a_file_that_is_not_a_record_is_the_users_problem(tmp_path: Path, content: str) -> None:
    file = tmp_path / "record.json"
    file.write_text(content)
    with pytest.raises(UsageProblem, match="no sound record"):
        run(file)


CHEAPER = OPERATIONS.model_copy(
    update={
        "total": 2120,
        "by_phase": {"backward": 320, "forward": 1800},
        "by_operator": (
            OperatorCost(operator="aten.relu.default", calls=10, operations=320),
            OperatorCost(operator="aten.mm.default", calls=18, operations=1800),
        ),
    }
)


def test_two_records_side_by_side(store: Store) -> None:
    first, second = store.add(make_explained()), store.add(make_explained(CHEAPER))
    shown = run(first, "--compare", second).stdout
    assert "11,002,320" in shown
    assert "11,002,120" in shown
    by_phase, by_family, by_operator = shown.split("By ")[1:]
    assert "−200" in by_phase
    assert "−8.62 %" in by_family
    assert "aten.mm.default" in by_operator
    assert "relu" not in by_operator


def test_a_comparison_as_json(store: Store) -> None:
    first, second = store.add(make_explained()), store.add(make_explained(CHEAPER))
    document = json.loads(run(first, "--compare", second, "--json").stdout)
    assert (document["first"]["operations"], document["second"]["operations"]) == ("2320", "2120")
    assert document["differences"]["by_operator"][0] == {
        "name": "aten.mm.default",
        "first": "2000",
        "second": "1800",
        "difference": "-200",
    }


def test_records_of_different_standards_are_said_to_be(store: Store) -> None:
    first = store.add(make_explained())
    second = store.add(make_explained(CHEAPER.model_copy(update={"standard": 0})))
    assert "different versions of the standard" in run(first, "--compare", second).stdout


OLDER = Operations(
    standard=0,
    total=2400,
    by_phase={"forward": 2400},
    by_operator=(OperatorCost(operator="aten.mm.default", calls=20, operations=2400),),
    uncounted=(UncountedOperator(operator="aten.relu.default", calls=10, shapes=(), hint="use another"),),
)


def test_pricing_again_shows_what_the_present_standard_changes(store: Store) -> None:
    path = store.add(make_explained(OLDER))
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    shown = run(path, "--reprice").stdout
    assert "operations 2,400 under version 0 of the standard, as recorded" in shown
    assert f"operations 2,320 under version {STANDARD}, from the recorded calls" in shown
    assert "aten.relu.default now has a price." in shown
    assert "−400" in shown.split("By operator")[1]
    after = json.loads(run(path, "--reprice", "--json").stdout)["second"]
    assert (after["standard"], after["operations"], after["complexity"]) == (STANDARD, "2320", "11002320")


def test_pricing_again_under_the_same_standard_changes_nothing(store: Store) -> None:
    path = store.add(make_explained(priced(bill(HISTOGRAM))))
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    assert "Nothing changed." in run(path, "--reprice").stdout


def test_both_records_are_priced_again_before_they_are_compared(store: Store) -> None:
    first, second = store.add(make_explained(OLDER)), store.add(make_explained(CHEAPER))
    store.put_artifact(HISTOGRAM.to_json(), "histogram.json")
    shown = run(first, "--compare", second, "--reprice").stdout
    assert shown.count("no difference") == 4


def test_without_the_histogram_nothing_is_priced_again(store: Store) -> None:
    path = store.add(make_explained())
    with pytest.raises(UsageProblem, match="cannot be priced again"):
        run(path, "--reprice")


def test_what_never_trained_is_not_priced_again(store: Store) -> None:
    path = store.add(make_record(verdict=Verdict.INVALID_SUBMISSION, reason="there is no haet.toml"))
    assert "never came to training" in run(path, "--reprice").stdout


def test_where_both_histograms_are_there_single_calls_are_compared(store: Store) -> None:
    smaller = Histogram([(product(8), FORWARD), (relu(8), FORWARD)])
    records = [
        make_explained(priced(bill(histogram)), histogram.to_json()) for histogram in (HISTOGRAM, smaller)
    ]
    for histogram in (HISTOGRAM, smaller):
        store.put_artifact(histogram.to_json(), "histogram.json")
    first, second = map(store.add, records)
    by_call = run(first, "--compare", second).stdout.split("By call")[1]
    assert "self float32[2, 3]" in by_call
    assert "float32[8, 3]" not in by_call
    document = json.loads(run(first, "--compare", second, "--json").stdout)
    assert document["differences"]["by_call"][0]["difference"] == "-400"
