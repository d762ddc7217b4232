"""Unusual choices in a competition: allowed, but hardly intended."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from haet_eval.competition import Budgets, Competition, Task
from haet_eval.data.arrays import Images
from haet_eval.dataset import Dataset
from haet_eval.spelling import percent

_SHORT_SECONDS: Final = 10
_LITTLE_MEMORY: Final = 2**30


def doubts(rules: Competition, found: Mapping[str, Dataset]) -> list[str]:
    """One sentence for each unusual choice, with a better one.

    Args:
        rules: the competition.
        found: the data of those tasks whose data are in order.
    """
    return [*_whole(rules), *(doubt for name in rules.tasks for doubt in _task(rules, name, found.get(name)))]


def _whole(rules: Competition) -> Iterator[str]:
    if rules.awards == 0:
        yield "Nothing is awarded: `awards` is 0."
    if rules.ranking == "training_time" and rules.nodes == 1:
        yield "Time is ranked on one machine; `nodes` makes it a cluster."


def _task(rules: Competition, name: str, data: Dataset | None) -> Iterator[str]:
    task = rules.tasks[name]
    for doubt in [*_threshold(rules, task, data), *_budgets(rules, task.budgets, data), *_data(task, data)]:
        yield f"Task {name}: {doubt}"


def _threshold(rules: Competition, task: Task, data: Dataset | None) -> Iterator[str]:
    # There a low accuracy wins nothing, so a threshold of 0 is no mistake.
    if rules.ranking == "accuracy" or rules.accuracy_intervals:
        return
    if task.threshold == 0:
        yield "any accuracy qualifies, so a model that is not trained at all wins; set `threshold`."
    elif data is not None and task.threshold <= _best_guess(data):
        guess = _best_guess(data)
        yield f"guessing one class always reaches {percent(guess, 1)}, which qualifies; raise `threshold`."


def _best_guess(data: Dataset) -> float:
    return float(np.bincount(data.test_labels).max() / len(data.test_labels))


def _budgets(rules: Competition, budgets: Budgets, data: Dataset | None) -> Iterator[str]:
    if budgets.wall_seconds < _SHORT_SECONDS:
        yield f"{budgets.wall_seconds} s may not do for the first steps of a training; raise `wall_seconds`."
    if budgets.memory_bytes < _LITTLE_MEMORY:
        yield "PyTorch and the data may not fit into less than 1 GiB; raise `memory_bytes`."
    # The default fits every data set by itself: only a number that the organizer wrote can be wrong.
    named = "readback_bytes" in budgets.model_fields_set and rules.runner == "counted"
    if named and data is not None and budgets.readback_bytes >= data.train_images.nbytes:
        yield "all training images can be read back, and trained on uncounted; lower `readback_bytes`."


def _data(task: Task, data: Dataset | None) -> Iterator[str]:
    if data is None:
        return
    if (task.data is not None or task.secret_test) and task.digest is None:
        yield f'no record is official before the task says `digest = "{data.digest}"`.'
    twice = len(_hashes(data.train_images) & _hashes(data.test_images))
    if twice:
        yield f"{twice:,} test images are training images as well."


def _hashes(images: Images) -> set[int]:
    # Hashes and not bytes: CIFAR's images would take 180 MB a second time.
    return {hash(image.tobytes()) for image in images}
