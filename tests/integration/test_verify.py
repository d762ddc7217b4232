"""One real evaluation, then every piece of what it left is tampered with."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from haet_eval.competition import Budgets, load_competition
from haet_eval.counting.bill import bill
from haet_eval.counting.memory import in_record
from haet_eval.counting.operations import bytes_moved, precision, priced
from haet_eval.errors import EnvironmentProblem, Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.operators.standard import STANDARD, current, under
from haet_eval.record import Artifact, Content, HistogramArtifact, Parameters, Record, complexity, seal
from haet_eval.remote import wire
from haet_eval.remote.recount import Recount, recount
from haet_eval.remote.trace import Kind, TraceWriter, read_trace
from haet_eval.signing import signature_path
from haet_eval.store import Store, read_record
from haet_eval.verification import perturbing
from haet_eval.verification.check import Check, Result, holds
from haet_eval.verification.coherence import check_parts
from haet_eval.verification.conclusion import REPLAY, Word, conclude
from haet_eval.verification.count import _over_budget, check_count
from haet_eval.verification.evidence import Evidence, Sources
from haet_eval.verification.perturbing import perturbed_replay
from haet_eval.verification.replaying import ReplayPlace, check_replay
from haet_eval.verification.signature import check_signed
from haet_eval.verification.verify import verify
from tests.fixtures.program import PROGRAM
from tests.fixtures.submissions import write_competition, write_submission

OPERATIONS = f"operations (standard {STANDARD})"

TRAIN = """
def train(task):
    model = Linear()
    (task.labels > 4).nonzero()
    task.images[0].float().median()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        loss = nn.functional.cross_entropy(model(task.images[:100]), task.labels[:100])
        loss.backward()
        optimizer.step()
        task.report(loss=loss.item())
    print(loss.item())
    task.report(loss="nan", note="the end")
    return model
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The record of a real evaluation, with its artefacts beside it."""
    folder = tmp_path_factory.mktemp("evaluated")
    submission = write_submission(folder / "submission", TRAIN)
    request = Request(submission, data_dir=folder, results=folder / "results", sandbox="process")
    return evaluate(request).path


@pytest.fixture
def original(evaluated: Path, tmp_path: Path) -> Path:
    shutil.copytree(evaluated.parent, tmp_path / "results")
    return tmp_path / "results" / evaluated.name


def check(path: Path) -> dict[str, Check]:
    sources = Sources(Store(path.parent), path.parent)
    return {found.subject: found for found in verify(path, sources)[0].checks}


def replayed(path: Path) -> dict[str, Check]:
    verification, (part,) = verify(path, Sources(Store(path.parent), path.parent))
    assert verification.believable, [one for one in verification.checks if one.result is Result.DIFFERS]
    found = check_replay(part.record, part.evidence, ReplayPlace("process"))
    return {check.subject: check for check in found}


def reseal(path: Path, training: Mapping[str, Any] = {}, **changes: Any) -> Path:
    """The record as a cheat would write it: changed, and sealed with a digest of its own."""
    record = read_record(path)
    facts: dict[str, Any] = {name: getattr(record, name) for name in Content.model_fields} | changes
    facts["training"] = record.training and record.training.model_copy(update=training)
    facts["complexity"] = complexity(facts["training"], facts["evaluation"])
    return Store(path.parent).add(seal(Content(**facts)))


class LosingTheTrace(Store):
    """Someone else removes the trace when its digest was checked."""

    def artifact_path(self, artifact: Artifact) -> Path | None:
        path = super().artifact_path(artifact)
        if path is not None and path.suffixes != [".trace"]:
            for trace in self.artifacts.glob("*.trace"):
                trace.unlink()
        return path


def test_a_file_that_is_removed_while_it_is_checked_is_named(original: Path) -> None:
    (trace,) = original.parent.glob("artifacts/*.trace")
    with pytest.raises(EnvironmentProblem, match=f"{trace.name} was removed while it was checked"):
        verify(original, Sources(LosingTheTrace(original.parent), original.parent))


def test_an_honest_record_holds(original: Path) -> None:
    found = check(original)
    assert not [one for one in found.values() if one.result is Result.DIFFERS]
    unchecked = {one.subject for one in found.values() if one.result is Result.UNCHECKED}
    assert unchecked == {"model", "times, machine"}


def test_a_record_is_priced_under_the_version_that_it_names(original: Path) -> None:
    """Version 1 sold a median at the price of a maximum: its records hold, at its prices only."""
    record = read_record(original)
    assert record.training is not None
    assert record.evaluation is not None
    (trace,) = original.parent.glob("artifacts/*.trace")
    with under(1):
        found = recount(trace)
        operations = priced(bill(found.histogram))
        widths = precision(found.histogram, found.parameters.bits if found.parameters else None)
    assert operations.total < record.training.operations.total
    evaluation = record.evaluation.model_copy(update={"operations": found.prediction_operations})
    priced_so = {"operations": operations, "precision": widths}
    older = check(reseal(original, priced_so, evaluation=evaluation))
    assert not [one for one in older.values() if one.result is Result.DIFFERS]
    assert older["operations (standard 1)"].result is Result.HOLDS
    forged = operations.model_copy(update={"standard": STANDARD})
    assert check(reseal(original, {"operations": forged}))[OPERATIONS].result is Result.DIFFERS


def test_standard_without_prices_here_contradicts_the_record(original: Path) -> None:
    record = read_record(original)
    assert record.training is not None
    later = record.training.operations.model_copy(update={"standard": 99})
    found = check(reseal(original, {"operations": later}))["operations (standard 99)"]
    assert found.result is Result.DIFFERS
    assert "the prices of standard 1 and 2" in found.detail


ENDS = {
    "reads too much": ("while True: task.images[:9].tolist()", {"readback_bytes": 100_000}),
    "raises in the middle": ("x = torch.ones(3) * 0.3; torch.ones(2) @ torch.ones(3)", {}),
    "calls what may not be called": ("torch.ones(3).to_sparse()", {}),
    "uploads too much": ("while True: torch.rand(3) * random.random()", {"upload_bytes": 1000}),
}


@pytest.mark.parametrize(("code", "budgets"), ENDS.values(), ids=ENDS)
def test_a_run_that_failed_can_be_checked_as_far_as_it_came(
    tmp_path: Path, code: str, budgets: dict[str, int]
) -> None:
    submission = write_submission(tmp_path / "submission", f"import random\ndef train(task):\n    {code}")
    rules = str(write_competition(tmp_path / "rules.toml", **budgets))
    request = Request(submission, tmp_path, tmp_path / "results", competition=rules, sandbox="process")
    path = evaluate(request).path
    sources = Sources(Store(path.parent), tmp_path, rules)
    found = {one.subject: one.result for one in verify(path, sources)[0].checks}
    assert Result.DIFFERS not in found.values()
    assert found["count"] is found["charges"] is found[OPERATIONS] is Result.HOLDS
    assert found["verdict"] is Result.UNCHECKED


def test_a_refused_operator_is_listed_as_uncounted(tmp_path: Path) -> None:
    code = "def train(task):\n    torch.ones(3).to_sparse()"
    submission = write_submission(tmp_path / "submission", code)
    path = evaluate(Request(submission, tmp_path, tmp_path / "results", sandbox="process")).path
    record = read_record(path)
    assert record.status.verdict is Verdict.UNCOUNTABLE
    assert record.training is not None
    (line,) = record.training.operations.uncounted
    assert line.operator in record.status.reason
    assert line.calls == 1
    assert "is not allowed" in line.hint
    (trace,) = path.parent.glob("artifacts/*.trace")
    trace.unlink()
    assert check(path)[OPERATIONS].result is Result.HOLDS


def test_each_of_several_runs_is_checked(evaluated: Path, tmp_path: Path) -> None:
    submission = evaluated.parents[1] / "submission"
    path = evaluate(Request(submission, tmp_path, tmp_path / "results", sandbox="process", runs=2)).path
    found = check(path)
    assert not [one for one in found.values() if one.result is Result.DIFFERS]
    assert found["statistics"].result is found["run 2: accuracy"].result is Result.HOLDS
    assert "runs" not in found
    (other,) = {store.sha256 for store in stored_weights(path)} - {
        store.sha256 for store in stored_weights(evaluated)
    }
    assert (path.parent / "artifacts" / f"{other}.safetensors").exists()


def test_runs_that_are_alike_in_spite_of_their_seeds_are_not_confirmed(tmp_path: Path) -> None:
    """Nobody can see in the files whether one run was copied under the seed of another."""
    submission = write_submission(
        tmp_path / "submission", TRAIN.replace("model =", "torch.manual_seed(0)\n    model =")
    )
    path = evaluate(Request(submission, tmp_path, tmp_path / "results", sandbox="process", runs=2)).path
    found = check(path)
    assert not [one for one in found.values() if one.result is Result.DIFFERS]
    assert found["runs"].lacking
    assert "runs 1 and 2 trained the same weights" in found["runs"].detail


def test_an_interrupted_run_has_no_predictions(original: Path) -> None:
    record = read_record(original)
    status = record.status.model_copy(update={"verdict": Verdict.INTERRUPTED})
    assert check_parts(record).result is Result.HOLDS
    # The schema refuses it in a record, and not in the run of an audit.
    assert check_parts(record.model_copy(update={"status": status})).result is Result.DIFFERS


def stored_weights(path: Path) -> list[Artifact]:
    record = read_record(path)
    trainings = [run.training for run in record.runs or ()] or [record.training]
    return [training.model for training in trainings if training and training.model]


def part(record: Record, name: str, /, **changes: Any) -> dict[str, Any]:
    return {name: getattr(record, name).model_copy(update=changes)}


def cheaper(record: Record) -> Mapping[str, Any]:
    assert record.training is not None
    first, *others = record.training.operations.by_operator
    assert first.operations > 0
    line = first.model_copy(update={"operations": 0})
    total = record.training.operations.total - first.operations
    update = {"by_operator": (line, *others), "total": total, "by_phase": {"forward": total}}
    return {"operations": record.training.operations.model_copy(update=update)}


def one_more_right(record: Record) -> dict[str, Any]:
    assert record.evaluation is not None
    correct = record.evaluation.correct + 1
    return part(record, "evaluation", correct=correct, accuracy=correct / record.evaluation.total)


def standard(record: Record, number: int) -> Mapping[str, Any]:
    assert record.training is not None
    return {"operations": record.training.operations.model_copy(update={"standard": number})}


def climbing(record: Record) -> dict[str, Any]:
    first, *others = record.submission.files
    moved = first.model_copy(update={"path": "../../etc/passwd"})
    return part(record, "submission", files=(moved, *others))


def ended(record: Record, stage: str, verdict: Verdict, **training: None) -> dict[str, Any]:
    """The record of a run that had predicted all, as one that failed before its score."""
    status = {"stage": stage, "verdict": verdict, "reason": "", "code": "failed"}
    training = {"precision": None, "bytes_moved": None, **training}
    return part(record, "status", **status) | {"evaluation": None, "training": training}


QUALIFIED = {"verdict": Verdict.QUALIFIED, "reason": "", "code": ""}

CHEATS: dict[str, tuple[str, Callable[[Record], dict[str, Any]]]] = {
    "another seed": ("trace's header", lambda r: part(r, "environment", seed=7)),
    "a better accuracy": ("accuracy", one_more_right),
    "a better verdict": ("verdict", lambda r: part(r, "status", **QUALIFIED)),
    "other rules": ("competition", lambda r: part(r, "competition", digest="0" * 64)),
    "other data": ("data set, trace's header", lambda r: part(r, "dataset", digest="0" * 64)),
    "years of pauses": ("budgets", lambda _: {"training": {"paused_seconds": 1e8}}),
    "a smaller source": ("source size", lambda r: part(r, "submission", source_bytes=1)),
    "fewer operations": (OPERATIONS, lambda r: {"training": cheaper(r)}),
    "fewer parameters": (
        "parameters",
        lambda r: {"training": {"parameters": Parameters(total=1, trainable=1, frozen=0, buffers=0)}},
    ),
    "less read back": ("charges", lambda r: {"training": {"readback_bytes": 0}}),
    "an unknown standard": ("operations (standard 7)", lambda r: {"training": standard(r, 7)}),
    "an unknown task": ("competition", lambda r: part(r, "submission", task="cifar7")),
    "another data set's name": ("data set", lambda r: part(r, "dataset", name="cifar10")),
    "rules under another name": ("competition", lambda r: part(r, "competition", name="mine")),
    "docker without an image": ("environment", lambda r: part(r, "environment", sandbox="docker")),
    "a native runner": ("environment", lambda r: part(r, "environment", runner="native")),
    "no trace": ("parts", lambda r: {"trace": None}),
    "a file outside of the archive": ("source size", climbing),
    "another report": ("reports in the record", lambda r: {"reports": (*r.reports[:-1], {"loss": 0.0})}),
    "fewer reports": ("reports in the record", lambda r: {"reports": r.reports[:-1]}),
    "more reports than were made": ("reports in the record", lambda r: part(r, "history", reports=4)),
    "fewer reports in the file": ("reports in the record", lambda r: part(r, "history", kept=2)),
    "finite reports": ("reports in the record", lambda _: {"not_finite": None}),
    "a reason of other runs": ("verdict", lambda r: part(r, "status", code="logits-nan")),
    "a failure in the score": ("parts, prediction", lambda r: ended(r, "score", Verdict.FAILED)),
    "a failure in the training, before predictions": (
        "prediction",
        lambda r: ended(r, "train", Verdict.LIMIT_TIME, model=None, parameters=None),
    ),
    "a failure in the prediction, without a model": (
        "parts",
        lambda r: ended(r, "predict", Verdict.FAILED, model=None, parameters=None),
    ),
    "a budget passed": ("budgets", lambda r: {"training": {"wall_seconds": 1e6}}),
}


@pytest.mark.parametrize(("subjects", "cheat"), CHEATS.values(), ids=CHEATS)
def test_a_record_sealed_anew_does_not_hold(
    original: Path, subjects: str, cheat: Callable[[Record], dict[str, Any]]
) -> None:
    found = check(reseal(original, **cheat(read_record(original))))
    assert {name for name, one in found.items() if one.result is Result.DIFFERS} == set(subjects.split(", "))


def test_a_replay_does_not_confirm_how_a_run_ended_that_had_predicted_all(original: Path) -> None:
    path = reseal(original, **ended(read_record(original), "predict", Verdict.FAILED))
    found = check(path)
    assert found["prediction"].lacking
    assert "only --rerun shows" in found["prediction"].detail
    assert conclude([*found.values(), holds(REPLAY, "")]).word is Word.CONSISTENT


def test_weights_that_cannot_be_those_of_the_trace_do_not_hold(original: Path) -> None:
    from safetensors.numpy import load, save

    (stored,) = original.parent.glob("artifacts/*.safetensors")
    weights = load(stored.read_bytes())
    for other in (
        {},
        {name: values[:1] for name, values in weights.items()},
        weights | {"more": weights["head.bias"]},
    ):
        model = Store(original.parent).put_artifact(save(other), "safetensors")
        found = check(reseal(original, {"model": model}))
        assert {name for name, one in found.items() if one.result is Result.DIFFERS} == {"model's tensors"}
    junk = Store(original.parent).put_artifact(b"junk", "safetensors")
    assert check(reseal(original, {"model": junk}))["model's tensors"].result is Result.DIFFERS


def test_a_forged_total_without_its_artefacts_is_contradicted(original: Path) -> None:
    forged = reseal(original, cheaper(read_record(original)))
    shutil.rmtree(original.parent / "artifacts")
    assert not verify(forged, Sources(Store(forged.parent), forged.parent))[0].believable


def test_a_broken_signature_differs_without_the_key(original: Path) -> None:
    signature_path(original).write_text('{"payload": "e30=", "payloadType": "x", "signatures": []}')
    assert check_signed(original, None).result is Result.DIFFERS


@pytest.mark.parametrize(("threshold", "found"), [(0.99, Result.DIFFERS), (0.0, Result.UNCHECKED)])
def test_a_verdict_follows_from_the_stated_threshold_if_the_rules_are_not_here(
    original: Path, threshold: float, found: Result
) -> None:
    record = read_record(original)
    unknown = {"name": "mine", "digest": "0" * 64, "judging_digest": "0" * 64, "threshold": threshold}
    forged = reseal(original, **part(record, "competition", **unknown), **part(record, "status", **QUALIFIED))
    differing = {name for name, one in check(forged).items() if one.result is Result.DIFFERS}
    assert differing == ({"verdict"} if found is Result.DIFFERS else set())
    assert found is Result.DIFFERS or check(forged)["verdict, budgets"].result is found


def test_a_record_does_not_choose_the_file_with_its_rules(original: Path, tmp_path: Path) -> None:
    """Its competition's name is a path to rules that the cheat has brought along."""
    rules = write_competition(tmp_path / "mine.toml", threshold=0.01)
    record = read_record(original)
    assert record.competition is not None
    digest = load_competition(str(rules)).digest
    found = check(reseal(original, **part(record, "competition", name=str(rules), digest=digest)))
    assert found["competition"].result is found["verdict, budgets"].result is Result.UNCHECKED


def test_a_changed_file_does_not_hold(original: Path) -> None:
    text = original.read_text("ascii")
    original.write_text(text.replace('"seed": 0', '"seed": 1'), "ascii")
    found = check(original)
    assert list(found) == ["record"]
    assert found["record"].result is Result.DIFFERS
    assert "digest" in found["record"].detail


@pytest.mark.parametrize(
    "suffix", ["trace", "histogram.json", "safetensors", "predictions.txt", "labels.json"]
)
def test_a_changed_artefact_does_not_hold_and_is_not_used(original: Path, suffix: str) -> None:
    (path,) = original.parent.glob(f"artifacts/*.{suffix}")
    path.write_bytes(path.read_bytes()[:-1] + b"9")
    wrong = [one for one in check(original).values() if one.result is Result.DIFFERS]
    assert [one.detail for one in wrong] == [
        f"{path} was changed after it was written: its digest is another"
    ]


def test_without_artefacts_a_record_is_contradicted_and_little_is_checked(original: Path) -> None:
    shutil.rmtree(original.parent / "artifacts")
    found = check(original)
    missing = {name for name, one in found.items() if one.result is Result.DIFFERS}
    assert missing == {"trace", "histogram", "weights", "labels", "predictions", "reports"}
    assert all("is missing" in found[name].detail for name in missing)
    assert found["accuracy"].result is found[OPERATIONS].result is Result.UNCHECKED


def test_a_trace_that_is_cut_short_does_not_hold(original: Path) -> None:
    (trace,) = original.parent.glob("artifacts/*.trace")
    cut = Store(original.parent).put_artifact(trace.read_bytes()[:-40], "trace")
    found = check(reseal(original, trace=cut))
    assert found["count"].result is Result.DIFFERS
    assert "cut short" in found["count"].detail


def test_a_histogram_that_the_trace_does_not_give_does_not_hold(original: Path) -> None:
    store = Store(original.parent)
    other = store.put_artifact(b'{"entries":[],"version":1}', "histogram.json")
    named = HistogramArtifact(sha256=other.sha256, bytes=other.bytes, entries=0)
    assert check(reseal(original, {"histogram": named}))["count"].result is Result.DIFFERS


def test_a_histogram_of_nonsense_differs(original: Path) -> None:
    """Without a trace it is all that there is to price."""
    store = Store(original.parent)
    row = b'{"operator":"aten.mm.default","arguments":{"self":7},"outputs":[],"calls":{"forward":1}}'
    other = store.put_artifact(b'{"entries":[' + row + b'],"version":1}', "histogram.json")
    named = HistogramArtifact(sha256=other.sha256, bytes=other.bytes, entries=1)
    forged = reseal(original, {"histogram": named})
    (trace,) = original.parent.glob("artifacts/*.trace")
    trace.unlink()
    found = check(forged)[OPERATIONS]
    assert found.result is Result.DIFFERS
    assert "is not that of a training" in found.detail


def test_a_trace_of_nonsense_differs(original: Path) -> None:
    TraceWriter(original.parent / "forged", {"images": [1e400, 3, 32, 32]}).close()
    forged = Store(original.parent).put_artifact(original.parent / "forged", "trace")
    found = check(reseal(original, trace=forged))["count"]
    assert found.result is Result.DIFFERS
    assert "no meter would have let pass" in found.detail


def test_a_replay_gives_the_weights_bit_for_bit(original: Path) -> None:
    found = replayed(original)
    assert {one.result for one in found.values()} == {Result.HOLDS}
    assert "bit for bit" in found["weights again"].detail


def test_a_replay_finds_the_outcome_that_an_executor_lied_about(original: Path) -> None:
    entry, lying = lie_about_nonzero(original)
    found = replayed(lying)["replay"]
    assert found.result is Result.DIFFERS
    assert f"entry {entry:,} of the trace: aten.nonzero.default returned int64[" in found.detail
    assert "the trace says int64[1, 1]" in found.detail


def lie_about_nonzero(path: Path) -> tuple[int, Path]:
    """A trace in which `nonzero` found one number only, and a record in which all follows from that."""
    record = read_record(path)
    assert record.trace is not None
    assert record.training is not None
    store = Store(path.parent)
    source = store.artifact_path(record.trace)
    assert source is not None
    (_, header), *entries = list(read_trace(source))
    forged = path.parent / "forged"
    writer = TraceWriter(forged, json.loads(header))
    place = 0
    for number, (kind, body) in enumerate(entries, start=1):
        shorter = one_row(body) if kind is Kind.OUTCOME else None
        place = number - 1 if shorter else place
        writer.add(kind, shorter or body)
    writer.close()
    assert place
    found = recount(forged)
    kept = store.put_artifact(found.histogram.to_json(), "histogram.json")
    training = {
        "histogram": HistogramArtifact(sha256=kept.sha256, bytes=kept.bytes, entries=len(found.histogram)),
        "operations": priced(bill(found.histogram)),
        "memory": in_record(found.memory),
        "precision": precision(found.histogram, found.parameters.bits if found.parameters else None),
        "bytes_moved": bytes_moved(found.histogram),
        "readback_bytes": found.training.readback_bytes,
    }
    return place, reseal(path, training, trace=store.put_artifact(forged, "trace"))


def one_row(body: bytes) -> bytes | None:
    """The outcome of `nonzero` with one row only; None for any other outcome."""
    outcome = wire.decode_outcome(body, 9)
    match outcome.outputs:
        case (wire.Fresh(meta, alias),) if meta.dtype == "int64" and meta.ndim == 2 and meta.shape[1] == 1:
            less = dataclasses.replace(meta, shape=(1, 1), stride=(1, 1))
            return wire.encode_outcome(wire.Outcome((wire.Fresh(less, alias),), ()))
    return None


def other_weights(path: Path, factor: float) -> dict[str, Any]:
    from safetensors.numpy import load, save

    (stored,) = path.parent.glob("artifacts/*.safetensors")
    weights = {name: values * factor for name, values in load(stored.read_bytes()).items()}
    return {"model": Store(path.parent).put_artifact(save(weights), "safetensors")}


def test_other_weights_on_an_equal_machine_differ(original: Path) -> None:
    found = replayed(reseal(original, other_weights(original, 1.0001)))["weights again"]
    assert found.result is Result.DIFFERS
    assert "1.0e-04 of their norm apart" in found.detail


@pytest.mark.parametrize(("factor", "result"), [(1.0001, Result.HOLDS), (2, Result.UNCHECKED)])
def test_on_another_machine_weights_may_be_a_little_apart(
    original: Path, factor: float, result: Result
) -> None:
    elsewhere = part(read_record(original), "environment", cpu="Analytical Engine")
    found = replayed(reseal(original, other_weights(original, factor), **elsewhere))["weights again"]
    assert found.result is result
    assert "instead of Analytical Engine" in found.detail


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from haet_eval.cli.main import cli;"
        "status = cli.main(sys.argv[1:], standalone_mode=False);"
        "assert not {'torch', 'torchvision'} & set(sys.modules), 'torch was imported'; sys.exit(status)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_command_needs_no_torch_and_reports_by_its_status(original: Path) -> None:
    honest = command("verify", original, "--data-dir", original.parent, "--json")
    assert honest.returncode == 0, honest.stderr
    (document,) = json.loads(honest.stdout)
    assert document["believable"]
    assert document["result"] == "consistent"
    assert document["not_checked"] == ["model"]
    assert command("verify", original, "--data-dir", original.parent, "--strict").returncode == 1
    replay = (
        "verify",
        original,
        "--replay",
        "--sandbox",
        "process",
        "--strict",
        "--data-dir",
        original.parent,
    )
    confirmed = command(*replay)
    assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
    assert confirmed.stdout.splitlines()[-1].startswith("  confirmed: ")
    assert document["record_id"] in original.name
    forged = reseal(original, **part(read_record(original), "environment", seed=7))
    both = command("verify", original, forged)
    assert both.returncode == 1, both.stderr
    assert "differs     trace's header" in both.stdout


def test_every_budget_that_a_prediction_exceeds_is_named(original: Path) -> None:
    (trace,) = original.parent.glob("artifacts/*.trace")
    tight = Budgets().model_copy(update={"prediction_readback_bytes": -1, "timed_answers": -1})
    over = list(_over_budget(read_record(original), recount(trace), tight))
    assert over == ["read-back of one batch", "answers waited for"]


def test_a_perturbed_replay_spares_calls_by_the_prices_of_its_record(
    original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = read_record(original)
    assert record.training is not None
    operations = record.training.operations.model_copy(update={"standard": 1})
    older = reseal(original, {"operations": operations})
    _, (part,) = verify(older, Sources(Store(older.parent), older.parent))
    priced_under = []

    def noted(trace: Path) -> Recount:
        priced_under.append(current())
        return recount(trace)

    monkeypatch.setattr(perturbing, "recount", noted)
    perturbed_replay(part.record, part.evidence, ReplayPlace("process"))
    assert priced_under == [1]


def test_a_rerun_gives_the_same_counts_weights_and_predictions(original: Path, evaluated: Path) -> None:
    submission = evaluated.parents[1] / "submission"
    honest = command("verify", original, "--rerun", "--submission", submission)
    assert honest.returncode == 0, honest.stdout + honest.stderr
    assert " 0 differ" in honest.stdout
    assert "rerun: weights again" in honest.stdout
    assert "bit for bit the same" in honest.stdout
    assert len(list(original.parent.glob("*.json"))) == 1


def all_right(path: Path) -> Path:
    """A record with predictions that no model made: all in it follows from them."""
    from haet_eval.dataset import load_dataset

    labels = load_dataset("digits", path.parent).test_labels
    text = "".join(f"{label}\n" for label in labels)
    perfect = Store(path.parent).put_artifact(text.encode(), "predictions.txt")
    record = read_record(path)
    score = part(record, "evaluation", predictions=perfect, correct=len(labels), accuracy=1.0)
    return reseal(path, **score, **part(record, "status", **QUALIFIED))


def test_a_replay_finds_predictions_that_the_model_does_not_make(original: Path) -> None:
    found = replayed(all_right(original))
    assert found["replay"].result is found["weights again"].result is Result.HOLDS
    assert found["predictions again"].result is Result.DIFFERS
    assert "of 445 labels are other ones" in found["predictions again"].detail


def with_labels_turned(path: Path, turned: int) -> Path:
    """A record with so many of its right predictions made wrong, and nothing that gives it away."""
    from haet_eval.dataset import load_dataset

    truth = load_dataset("digits", path.parent).test_labels
    (stored,) = path.parent.glob("artifacts/*.predictions.txt")
    labels = [int(line) for line in stored.read_text().split()]
    right = [place for place, label in enumerate(labels) if label == truth[place]]
    for place in right[:turned]:
        labels[place] = (labels[place] + 1) % 10
    other = Store(path.parent).put_artifact(
        "".join(f"{label}\n" for label in labels).encode(), "predictions.txt"
    )
    correct = len(right) - turned
    return reseal(
        path,
        **part(
            read_record(path),
            "evaluation",
            predictions=other,
            correct=correct,
            accuracy=correct / len(labels),
        ),
    )


def test_on_another_machine_a_few_predictions_may_turn(original: Path) -> None:
    elsewhere = part(read_record(original), "environment", cpu="Analytical Engine")
    found = replayed(with_labels_turned(reseal(original, **elsewhere), 3))["predictions again"]
    assert found.result is Result.UNCHECKED
    assert "instead of Analytical Engine" in found.detail


def test_another_machine_does_not_excuse_predictions_that_are_right_too_often(original: Path) -> None:
    elsewhere = part(read_record(original), "environment", cpu="Analytical Engine")
    found = replayed(all_right(reseal(original, **elsewhere)))["predictions again"]
    assert found.result is Result.DIFFERS
    assert "are right in the record only" in found.detail


def test_a_trace_that_predicts_fewer_images_than_the_record_says_does_not_hold(original: Path) -> None:
    (source,) = original.parent.glob("artifacts/*.trace")
    (_, header), *entries = list(read_trace(source))
    last = max(place for place, (kind, _) in enumerate(entries) if kind is Kind.BATCH)
    writer = TraceWriter(original.parent / "cut", json.loads(header))
    for kind, body in entries[:last]:
        writer.add(kind, body)
    writer.close()
    cut = reseal(original, trace=Store(original.parent).put_artifact(original.parent / "cut", "trace"))
    found = check(cut)
    assert {name for name, one in found.items() if one.result is Result.DIFFERS} == {"prediction"}
    assert "found is (400, " in found["prediction"].detail


@pytest.mark.parametrize("images", [-5, 1, 10**9])
def test_another_number_of_training_images_in_the_trace_does_not_hold(original: Path, images: int) -> None:
    """Prices follow from the header's shape: the trace of an honest run would be cheap with fewer images."""
    forged = reseal(original, trace=with_header(original, images=[images, 3, 32, 32]))
    assert [name for name, one in check(forged).items() if one.result is Result.DIFFERS]


def with_header(path: Path, **facts: object) -> Artifact:
    """The trace of a record with other facts in its header."""
    (source,) = path.parent.glob("artifacts/*.trace")
    (_, header), *entries = list(read_trace(source))
    writer = TraceWriter(path.parent / "forged", json.loads(header) | facts)
    for kind, body in entries:
        writer.add(kind, body)
    writer.close()
    return Store(path.parent).put_artifact(path.parent / "forged", "trace")


def test_a_run_under_the_seed_of_another_does_not_hold(original: Path) -> None:
    """One run could stand for several, each under the seed that is derived for it."""
    environment = part(read_record(original), "environment", seed=7)
    found = check(reseal(original, trace=with_header(original, seed=7), **environment))
    assert found["trace's header"].result is Result.DIFFERS
    assert "began with seed 0" in found["trace's header"].detail


def test_a_record_does_not_pass_for_one_of_version_1(original: Path) -> None:
    """It would drop what version 1 did not charge."""
    record = read_record(original)
    earlier = record.model_copy(update={"schema_version": 1})
    sources = Sources(Store(original.parent), original.parent)
    evidence = Evidence()
    list(evidence.gather(record, sources))
    found = {one.subject: one for one in check_count(earlier, evidence)}
    assert "later than records of schema version 1" in found["trace's header"].detail


def test_a_rerun_keeps_its_record_only_if_asked_to(
    original: Path, evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAET_RESULTS is where evaluations put records, and does not ask for it."""
    submission = evaluated.parents[1] / "submission"
    monkeypatch.setenv("HAET_RESULTS", str(tmp_path / "elsewhere"))
    command("verify", original, "--rerun", "--submission", submission)
    assert not (tmp_path / "elsewhere").exists()
    for number, option in enumerate(("--keep", "--results")):
        kept = tmp_path / f"kept-{number}"
        command("rerun", original, "--submission", submission, option, kept)
        (record,) = kept.glob("*.json")
        assert read_record(record).rerun_of == read_record(original).record_id


def test_a_rerun_that_fails_names_only_files_that_stay(
    original: Path, evaluated: Path, tmp_path: Path
) -> None:
    submission = evaluated.parents[1] / "submission"
    few_files = ["prlimit", "--nofile=64:64", *PROGRAM]
    arguments = ["verify", str(original), "--rerun", "--submission", str(submission)]
    for keep in ([], ["--keep", str(tmp_path / "kept")]):
        failed = subprocess.run([*few_files, *arguments, *keep], capture_output=True, text=True, check=False)
        assert failed.returncode == 4, failed.stderr
        assert "own-limit" in failed.stderr
        named = [line.split(" is in ")[1] for line in failed.stderr.splitlines() if " is in " in line]
        assert [Path(name).exists() for name in named] == [True] * bool(keep)


def test_a_rerun_by_its_former_name_says_the_new_one(original: Path, evaluated: Path) -> None:
    submission = evaluated.parents[1] / "submission"
    honest = command("rerun", original, "--submission", submission)
    assert honest.returncode == 0, honest.stdout + honest.stderr
    assert "bit for bit the same" in honest.stdout
    assert "rerun is now `haet-eval verify RECORD --rerun --submission SUBMISSION`" in honest.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rerun"], "--rerun needs the submission"),
        (["--submission", "."], "--submission and --keep are for --rerun"),
        (["--keep", "here"], "--submission and --keep are for --rerun"),
    ],
    ids=["no submission", "no rerun", "nothing to keep"],
)
def test_options_of_a_rerun_go_together(original: Path, options: list[str], said: str) -> None:
    refused = command("verify", original, *options)
    assert refused.returncode != 0
    assert said in refused.stderr


def test_a_rerun_finds_a_fault_that_the_files_do_not_show(original: Path, evaluated: Path) -> None:
    cheat = all_right(original)
    assert not [one for one in check(cheat).values() if one.result is Result.DIFFERS]
    submission = evaluated.parents[1] / "submission"
    found = command("verify", cheat, "--rerun", "--submission", submission, "--json")
    assert found.returncode == 1, found.stderr
    (document,) = json.loads(found.stdout)
    apart = [one["subject"] for one in document["checks"] if one["result"] == "differs"]
    assert apart == ["rerun: verdict", "rerun: accuracy"]


def test_a_rerun_of_another_submission_is_refused(original: Path, tmp_path: Path) -> None:
    other = write_submission(tmp_path / "other", TRAIN.replace("0.1", "0.2"))
    refused = command("verify", original, "--rerun", "--submission", other)
    assert "is not the submission of record" in refused.stderr
    assert refused.returncode != 0
