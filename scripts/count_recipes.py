"""Counts the famous trainings in scripts/recipes as `haet-eval check` does, without computing them.

Usage: python -m scripts.count_recipes. Writes the tables of docs/famous-trainings.md in some minutes, without
data. Of a training of equal epochs three are counted, and each later one costs what the third does.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from haet_eval.check.preparation import read_submission
from haet_eval.check.rehearsal import Rehearsal
from haet_eval.check.stand_in_data import stand_in_data
from haet_eval.counting.bill import Bill, bill
from haet_eval.evaluation.frame import executor_threads, job
from haet_eval.evaluation.pair import open_pair
from haet_eval.evaluation.request import Assignment, Request
from haet_eval.operators.table import family_of
from haet_eval.remote.messages import Start
from haet_eval.reports.text import readable_count
from haet_eval.runtimes.process import ProcessRuntime

RECIPES: Final = Path(__file__).parent / "recipes"
PUBLISHED: Final[Mapping[str, Mapping[str, Any]]] = tomllib.loads(
    (RECIPES / "published.toml").read_text(encoding="utf-8")
)
PAGE: Final = Path(__file__).parents[1] / "docs" / "famous-trainings.md"

_PRODUCTS: Final = {"convolution", "matmul"}
# A rehearsal needs to compute something. The counts do not depend on how much.
_COMPUTED_SECONDS: Final = 0.01
_LEAST_SHARE: Final = 0.0005
"""An operator with less of every training has no row."""


@dataclass(frozen=True)
class Counted:
    """A training: operations by overload, parameters, and how many images it sees, repetitions included."""

    name: str
    title: str
    parameters: int
    by_operator: Mapping[str, int]
    images_seen: int

    @property
    def operations(self) -> int:
        return sum(self.by_operator.values())

    @property
    def products(self) -> int:
        """Operations of convolutions and matrix products, forward and backward."""
        return sum(n for operator, n in self.by_operator.items() if family_of(operator) in _PRODUCTS)

    @property
    def published(self) -> int | None:
        """FLOPs of the whole training as published, or what the published multiply-adds of one image make."""
        facts = PUBLISHED[self.name]
        if "flops" in facts:
            return round(float(facts["flops"]))
        each = facts.get("multiply_adds")
        # Two operations for a multiply-add. Three products: forward, gradient of the input, gradient of the
        # weights.
        return None if each is None else 2 * 3 * each * self.images_seen


def count(name: str) -> Counted:
    """Count one recipe.

    Raises:
        ValueError: its last two counted epochs differ, so that nothing is known of the later ones.
    """
    request = Request(RECIPES / name, Path("no-data"), Path("no-results"), sandbox="process")
    submission, rules = read_submission(request)
    code = submission.files["submission.py"].decode()
    # Read before the line is replaced: the whole training has this many.
    epochs = float(_epochs(code)[1])
    counted = PUBLISHED[name].get("counted_epochs")
    if counted:
        short = re.sub(_EPOCHS, f"EPOCHS = {counted}", code, flags=re.MULTILINE)
        submission = replace(submission, files={**submission.files, "submission.py": short.encode()})
    task = rules.task(submission.task)
    # Shapes decide the count, so no data set is needed.
    data = stand_in_data(task)
    assignment = Assignment(submission, rules, task, rules.budgets_for(submission.task), data)
    parameters, after_epochs = _counted(assignment)
    by_operator = _lines(after_epochs[-1])
    if counted:
        by_operator = _continued(name, [_lines(one) for one in after_epochs], round(epochs) - counted)
    return Counted(name, submission.name, parameters, by_operator, round(epochs * len(data.train_images)))


_EPOCHS: Final = r"^EPOCHS = ([0-9.]+)$"


def _epochs(code: str) -> "re.Match[str]":
    found = re.search(_EPOCHS, code, flags=re.MULTILINE)
    assert found, "a recipe sets EPOCHS on a line of its own"
    return found


def _counted(assignment: Assignment) -> tuple[int, list[Bill]]:
    """Parameters of the model, and the bill at the end of each epoch; the last bill is the whole."""
    bills: list[Bill] = []
    with open_pair(ProcessRuntime(), assignment.budgets, {"version": 0}) as run:
        # The rehearsal takes the place of the executor's link: most calls are counted and not computed.
        run.relay.link = Rehearsal(run.relay.link, run.meter, _COMPUTED_SECONDS)
        # Each recipe reports once at the end of an epoch, which is the moment for its bill.
        run.relay.use(run.watch.look, lambda _: bills.append(bill(run.meter.histogram())))
        start = Start(device="cpu", threads=executor_threads(assignment.budgets))
        run.relay.start(start, [assignment.dataset.train_images, assignment.dataset.train_labels])
        run.watch.begin("train", assignment.budgets.wall_seconds)
        parameters = run.meter.seal(run.relay.train(job(assignment, seed=0))).total
        return parameters, [*bills, bill(run.meter.histogram())]


def _lines(one: Bill) -> dict[str, int]:
    # An operator without a price would make the total too small without a word.
    assert not one.uncounted, f"no price: {', '.join(one.uncounted)}"
    return {operator: line.operations for operator, line in one.by_operator.items()}


def _continued(name: str, after_epochs: Sequence[Mapping[str, int]], more: int) -> dict[str, int]:
    """The whole training when so many more epochs are like the last one that was counted."""
    # The first epoch has preparations that the later ones lack. Two equal later ones are the least that shows
    # a pattern.
    before, second, third, whole = after_epochs[-4:]
    epoch = {operator: whole_part - second.get(operator, 0) for operator, whole_part in third.items()}
    if any(epoch[operator] != second.get(operator, 0) - before.get(operator, 0) for operator in epoch):
        raise ValueError(f"{name}: the epochs differ: count all of them, without counted_epochs")
    # From the whole and not from the last epoch: what comes after the epochs is counted once.
    return {operator: spent + more * epoch.get(operator, 0) for operator, spent in whole.items()}


# The page.


def tables(trainings: Sequence[Counted]) -> dict[str, str]:
    """The tables of the page, by the name in the comment that each stands under."""
    return {
        "operations": _table(
            ("training", "parameters", "operations", "products", "published FLOPs", "operations / published"),
            map(cost_row, trainings),
        ),
        "images": _table(
            ("training", "images seen", "operations for each", "multiply-adds for each"),
            map(image_row, trainings),
        ),
        "operators": _operators(trainings),
        "settings": _table(
            ("training", "accuracy, as published", "settings", "sources"),
            map(_settings_row, trainings),
            rule="---",
        ),
    }


def cost_row(one: Counted) -> tuple[str, ...]:
    """What a training costs, and its published FLOPs."""
    published = one.published
    return (
        one.title,
        f"{one.parameters:,}",
        readable_count(one.operations),
        f"{100 * one.products / one.operations:.2f} %",
        _published(one),
        f"{one.operations / published:.2f}" if published else "–",
    )


def _published(one: Counted) -> str:
    """With the digits that were published."""
    stated = PUBLISHED[one.name].get("flops")
    if stated:
        return "{}×10¹⁵".format(str(stated).removesuffix("e15"))
    return f"≈ {readable_count(one.published)}" if one.published else "–"


def image_row(one: Counted) -> tuple[str, ...]:
    """What each image costs each time it is seen, all else of the training included."""
    each, pairs = one.operations / one.images_seen, one.products / 2 / one.images_seen
    return one.title, f"{one.images_seen:,}", readable_count(round(each)), readable_count(round(pairs))


def _settings_row(one: Counted) -> tuple[str, ...]:
    facts = PUBLISHED[one.name]
    links = [f"[training]({facts['source']})"]
    if "flops_source" in facts:
        links.append(f"[FLOPs]({facts['flops_source']})")
    return one.title, facts["accuracy"], facts["settings"], ", ".join(links)


def operator_share(one: Counted, operator: str) -> str:
    """The part of a training's operations that an overload takes, as the page has it."""
    return _percent(one.by_operator.get(operator, 0) / one.operations)


def _operators(trainings: Sequence[Counted]) -> str:
    """A row for each operator, the one with the greatest share of any training first."""
    shares = {
        operator: [one.by_operator.get(operator, 0) / one.operations for one in trainings]
        for operator in {operator for one in trainings for operator in one.by_operator}
    }
    shown = sorted(
        (operator for operator in shares if max(shares[operator]) >= _LEAST_SHARE),
        key=lambda operator: (-max(shares[operator]), operator),
    )
    rows = [(f"`{operator}`", *(operator_share(one, operator) for one in trainings)) for operator in shown]
    left = [1 - sum(shares[operator][place] for operator in shown) for place in range(len(trainings))]
    rest = ("all others", *map(_percent, left))
    return _table(("operator", *(one.title for one in trainings)), [*rows, rest])


def _percent(share: float) -> str:
    # A share that would be shown as 0.00 % is not zero, so it gets its own form.
    return f"{100 * share:.2f} %" if share >= _LEAST_SHARE / 5 else "–" if not share else "< 0.01 %"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], rule: str = "---:") -> str:
    under = ["---", *[rule] * (len(head) - 1)]
    return "\n".join(table_line(cells) for cells in [head, under, *rows]) + "\n"


def table_line(cells: Sequence[str]) -> str:
    """One line of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def with_tables(page: str, made: Mapping[str, str]) -> str:
    """The page with each table put under its comment."""
    for name, table in made.items():
        mark = f"<!-- {name}: python -m scripts.count_recipes -->\n\n"
        before, found, after = page.partition(mark)
        assert found, f"{PAGE.name} has no comment for the table {name}"
        page = before + mark + table + "\n" + after.partition("\n\n")[2]
    return page


def main() -> None:
    trainings = []
    for name in PUBLISHED:
        trainings.append(count(name))
        print(name, f"{trainings[-1].operations:,} operations", flush=True)
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(page, tables(trainings)), encoding="utf-8")


if __name__ == "__main__":
    main()
