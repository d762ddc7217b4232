"""A competition in words, for the organizer who has written its file: what it asks, on which data, how."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from haet_eval.competition import Budgets, Column, Competition, EnergyModel, Ranking, Task
from haet_eval.data.readback import budgets_with, compressed_bytes
from haet_eval.dataset import Dataset
from haet_eval.errors import HaetError, UsageProblem
from haet_eval.ranking import interval_of
from haet_eval.record import PHASE_OF_RANKING
from haet_eval.reports.text import readable_moment, readable_size
from haet_eval.spelling import percent

_RANKED: Final[Mapping[Ranking, str]] = {
    "complexity": "complexity: the parameters of the model plus the operations of the whole training",
    "peak_memory": "peak memory: the most bytes that the tensors of the training take at once, counted",
    "bit_complexity": "bit complexity: parameters and operations, each weighted by its width in bits",
    "modelled_energy": "modelled energy, computed from operations and bytes and not measured, in joules",
    "training_energy": "energy of the training, in joules",
    "inference_energy": "energy of predicting the test set once, in joules",
    "training_time": "wall time of the training, in seconds",
    "accuracy": "top-1 accuracy on the test set",
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A name and the text that goes with it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class RulesSection:
    """What is said of the competition as a whole, or of one task."""

    title: str
    lines: tuple[RuleLine, ...]


def explain_rules(
    rules: Competition, found: Mapping[str, Dataset | HaetError] | None = None
) -> list[RulesSection]:
    """The rules, and then each task.

    Args:
        rules: the competition.
        found: for each task its data, or what is wrong with them; None to say nothing of the data.
    """
    return [
        RulesSection(f"{rules.name}: {rules.title}", tuple(_whole(rules))),
        *(
            RulesSection(f"task {name}", tuple(_task(rules, task, found[name] if found else None)))
            for name, task in rules.tasks.items()
        ),
    ]


def _whole(rules: Competition) -> Iterator[RuleLine]:
    first = "highest" if rules.ranking == "accuracy" else "least"
    yield RuleLine("ranked by", f"{_RANKED[rules.ranking]}; {first} first")
    if rules.ranking == "complexity":
        yield RuleLine("", "operations of the prediction count as well, above those that are free")
    if rules.ranking == "inference_energy":
        yield RuleLine("", f"the mean of {_times(rules.inference_iterations)} over the test set")
    if rules.energy_model is not None:
        yield from _energy_model(rules.energy_model)
    if rules.ranking in PHASE_OF_RANKING:
        yield RuleLine("", "only energy that was measured, on a machine that does nothing else, is official")
    if rules.accuracy_intervals:
        bounds = (0.0, *rules.accuracy_intervals)
        intervals = ", ".join(str(interval_of(bound, rules.accuracy_intervals)) for bound in bounds)
        yield RuleLine("intervals", f"of accuracy, each ranked and awarded apart: {intervals}")
    yield from _shown(rules)
    yield RuleLine("awards", _awards(rules))
    yield RuleLine("ties", "higher accuracy, then smaller source, then earlier receipt")
    if rules.organizer:
        yield RuleLine("organizer", rules.organizer)
    yield from _calendar(rules)
    if rules.runner == "counted":
        yield RuleLine("training", "on handles to the data; every operation is counted")
    else:
        yield RuleLine("training", f"native, on plain tensors, not counted; on {_nodes(rules.nodes)}")
    if rules.overtime == "checkpoint":
        yield RuleLine("overtime", "when time is over, the model last given to task.checkpoint is judged")
    yield RuleLine("several runs", _runs(rules))
    limits = rules.limits
    yield RuleLine(
        "archives",
        f"up to {readable_size(limits.archive_bytes)}, {readable_size(limits.unpacked_bytes)} unpacked, "
        f"{limits.entries} files and folders",
    )
    yield RuleLine("digest", rules.digest)


def _shown(rules: Competition) -> Iterator[RuleLine]:
    if rules.metric == "balanced_accuracy":
        yield RuleLine("accuracy", "balanced: the mean of the accuracies of the classes, each counting alike")
    if rules.columns:
        yield RuleLine("shown too", ", ".join(map(_readable, rules.columns)))
    if rules.front:
        costs = ", ".join(map(_readable, rules.front))
        yield RuleLine("front", f"marked: entries that no other betters in accuracy and {costs} together")


def _readable(cost: Column) -> str:
    return cost.replace("_", " ")


def _energy_model(model: EnergyModel) -> Iterator[RuleLine]:
    costs = ", ".join(f"{cost:g} pJ in {dtype}" for dtype, cost in model.operation.items())
    yield RuleLine("energy model", f"an operation takes {costs}, {model.other_operation:g} pJ in others")
    yield RuleLine("", f"a byte that is read or written takes {model.byte:g} pJ; from {model.source}")


def _calendar(rules: Competition) -> Iterator[RuleLine]:
    if rules.opens:
        yield RuleLine("opens", readable_moment(rules.opens))
    for phase in rules.phases:
        yield RuleLine("phase", f"{phase.name}, until {readable_moment(phase.closes)}")
    if rules.closes:
        yield RuleLine("closes", f"{readable_moment(rules.closes)}; later entries are shown and do not rank")
    if rules.entries_per_team is not None:
        yield RuleLine(
            "teams", f"rank with {rules.entries_per_team} of their entries at most, the earliest received"
        )


def _task(rules: Competition, task: Task, found: Dataset | HaetError | None) -> Iterator[RuleLine]:
    if found is None:
        yield RuleLine("data", task.dataset)
    elif isinstance(found, HaetError):
        yield RuleLine("data", f"{task.dataset}: {found.message}")
        if found.hint:
            yield RuleLine("", found.hint)
    else:
        yield from _data(task, found)
    for what, count, seed in (
        ("training", task.train_images, task.train_seed),
        ("test", task.test_images, task.test_seed),
    ):
        if count is not None and seed is not None:
            yield RuleLine("", f"{count:,} {what} images are drawn, with seed {seed}")
    if task.threshold:
        yield RuleLine("qualifies", f"at {_percent(task.threshold)} top-1 accuracy or more")
    else:
        yield RuleLine("qualifies", "with any accuracy")
    if not isinstance(found, Dataset):
        yield from _budgets(rules, task.budgets)
        return
    budgets = _budgets_with(rules, task, found)
    yield from _budgets(rules, budgets)
    if rules.runner == "counted":
        yield RuleLine("", _readback_share(budgets, found))


def _budgets_with(rules: Competition, task: Task, data: Dataset) -> Budgets:
    """What applies to these data; of a file that is refused, what it says."""
    try:
        return budgets_with(rules, task, data.train_images, official=data.official)
    # `competition check` names this fault by itself; here the rules are only explained.
    except UsageProblem:
        return task.budgets


def _data(task: Task, data: Dataset) -> Iterator[RuleLine]:
    channels, height, width = data.train_images.shape[1:]
    yield RuleLine(
        "data",
        f"{data.name}: {len(data.train_images):,} training and {len(data.test_images):,} test images, "
        f"{height} by {width} pixels, {channels} channel{'s' if channels > 1 else ''}, "
        f"{data.num_classes} classes",
    )
    if data.official:
        yield RuleLine("", "official: records on these data may be awarded")
    elif task.digest is not None and task.digest != data.digest:
        yield RuleLine(
            "", "not those of the task's `digest`: records on them are ranked apart, and not awarded"
        )
    else:
        yield RuleLine("", "not official: records on these data are ranked apart, and not awarded")
    yield RuleLine("digest", data.digest)


def _budgets(rules: Competition, budgets: Budgets) -> Iterator[RuleLine]:
    where = "each node" if rules.nodes > 1 else "a container"
    yield RuleLine("time", f"{_duration(budgets.wall_seconds)} for the training, then the run ends")
    yield RuleLine(
        "machine",
        f"{readable_size(budgets.memory_bytes)} of memory, {budgets.cpus} processors and "
        f"{budgets.processes} processes for {where}",
    )
    prediction = f"{_duration(budgets.prediction_seconds)}, {budgets.prediction_batch_size} images at a time"
    if rules.runner == "native":
        yield RuleLine("prediction", prediction)
        return
    yield RuleLine(
        "prediction",
        f"{prediction}; {budgets.prediction_free_operations_per_image:,} operations an image are free, those "
        f"above count as complexity, up to {budgets.prediction_operations_per_image:,}",
    )
    yield RuleLine(
        "", f"{readable_size(budgets.prediction_readback_bytes)} of values read back for each batch"
    )
    yield RuleLine(
        "exchange",
        f"{readable_size(budgets.readback_bytes)} of values read back, {readable_size(budgets.upload_bytes)}"
        f" of constants brought along, {budgets.messages:,} operator calls",
    )
    yield RuleLine(
        "",
        f"{budgets.timed_answers:,} answers that wait for work on the data; when they come can tell "
        f"{readable_size(budgets.timing_bytes())} at most",
    )
    if budgets.readback_reason is not None:
        yield RuleLine("", f"read back because: {budgets.readback_reason}")
    if budgets.peak_tensor_bytes is not None:
        yield RuleLine(
            "tensors", f"{readable_size(budgets.peak_tensor_bytes)} at once in training, then the run ends"
        )
    if budgets.operations is not None:
        yield RuleLine("operations", f"{budgets.operations:,} of the training, then the run ends")


def _readback_share(budgets: Budgets, data: Dataset) -> str:
    whole = compressed_bytes(data.train_images)
    share = budgets.readback_bytes / whole
    images = f"the training images, which take {readable_size(whole)} compressed"
    return f"what can be read back is {percent(share)} of {images}"


def _awards(rules: Competition) -> str:
    each = "interval of each task" if rules.accuracy_intervals else "task"
    match rules.awards:
        case 0:
            return "none"
        case 1:
            return f"the first of each {each}"
        case _:
            return f"the first {rules.awards} of each {each}"


def _runs(rules: Competition) -> str:
    asked = {
        "mean": "qualify by their mean accuracy",
        "every": "qualify if each of them does",
        "one_sided": f"qualify if a one-sided t-test (p = {rules.runs.p:g}) finds their mean above the least",
    }
    ranked = f"; their {rules.runs.ranks} complexity is ranked" if rules.ranking == "complexity" else ""
    return f"(--runs N) {asked[rules.runs.passes]}{ranked}"


def _times(count: int) -> str:
    return "one pass" if count == 1 else f"{count} passes"


def _nodes(count: int) -> str:
    return "one machine" if count == 1 else f"{count} nodes together"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _duration(seconds: int) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        # No unit that would round: 90 s is not `1.5 min` nor `2 min`.
        if seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds:,} s"
