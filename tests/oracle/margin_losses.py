"""Losses by margins between the classes of one sample."""

from tests.oracle.counted import Counted, Tally, choose, maximum, read, total, where, write


def multi_margin(tally: Tally, classes: int, power: int, *, weighted: bool) -> None:
    scores, target = tally.tensor([classes]), tally.scalar()
    threshold = 1.5 - read(scores, target)
    weight = read(scores, target) if weighted else None
    terms = []
    for x in scores[1:]:
        term = maximum(threshold + x, 0)
        term = term * term if power == 2 else term
        terms.append(term if weight is None else term * weight)
    (total(terms) if terms else threshold) / (classes + 1)


def multi_margin_backward(tally: Tally, classes: int, power: int, *, weighted: bool) -> None:
    scores, target = tally.tensor([classes]), tally.scalar()
    share = tally.scalar() / (classes + 1)
    threshold = 1.5 - read(scores, target)
    if weighted:
        share = share * read(scores, target)
    if power == 2:
        share = share * 2
    gradients = []
    for x in scores[1:]:
        z = threshold + x
        gradients.append(choose(z, 0, share * z if power == 2 else share, 0))
    write(scores, target, -(total(gradients) if gradients else share))


def multilabel_margin(tally: Tally, classes: int) -> None:
    scores, terms = tally.tensor([classes]), []
    marks = tally.tensor([classes])
    for target in tally.tensor([classes]):
        write(marks, target, 1)
        threshold = 1 - read(scores, target)
        terms += [where(mark, maximum(threshold + x, 0), 0) for mark, x in zip(marks, scores, strict=True)]
    total(terms) / (classes + 1)


def multilabel_margin_backward(tally: Tally, classes: int) -> None:
    scores, marks, sums = (tally.tensor([classes]) for _ in range(3))
    share = tally.scalar() / (classes + 1)
    for target in tally.tensor([classes]):
        threshold = 1 - read(scores, target)
        own: Counted = tally.scalar()
        for place, x in enumerate(scores):
            gradient = where(marks[place], choose(threshold + x, 0, share, 0), 0)
            sums[place] = sums[place] + gradient
            own = own - gradient
        write(sums, target, sums[0] + own)
