"""Tricks of public recipes: the check counts them as the evaluation does, wherever it stops computing."""

from pathlib import Path

import pytest

from haet_eval.check.estimate import estimate_operations
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from tests.fixtures.submissions import write_submission
from tests.integration.test_check import sample_cut_at

PATIENCE_SECONDS = 900

STEPS = """
import torch.nn.functional as F
from torchvision.transforms import v2

def step(model, optimizer, images, labels):
    loss = F.cross_entropy(model.head(images.flatten(1)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""

HARDEST_HALF = """
def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, labels = task.images / 255, task.labels
    for batch in torch.randperm(384).split(64):
        step(model, optimizer, images[batch], labels[batch])
    for batch in torch.randperm(384).split(64):
        x, y = images[batch], labels[batch]
        with torch.no_grad():
            losses = F.cross_entropy(model.head(x.flatten(1)), y, reduction="none")
        mask = torch.zeros(len(x)).bool()
        mask[losses.argsort()[-32:]] = True  # always 32 of 64
        step(model, optimizer, x[mask], y[mask])
    return model
"""

CROPS_BY_MASK = """
def crops(x, size=32):
    n, c, h, w = x.shape
    top, left = torch.randint(0, h - size + 1, (n,)), torch.randint(0, w - size + 1, (n,))
    rows, columns = torch.arange(h) - top[:, None], torch.arange(w) - left[:, None]
    rows, columns = (rows >= 0) & (rows < size), (columns >= 0) & (columns < size)
    mask = rows[:, None, :, None] & columns[:, None, None, :]
    return torch.masked_select(x, mask).view(n, c, size, size)

def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    padded = F.pad(task.images[:320] / 255, (2, 2, 2, 2), "reflect")
    for _ in range(2):
        images = crops(padded)
        for batch in torch.randperm(320).split(64):
            step(model, optimizer, images[batch], task.labels[batch])
    return model
"""

DRAWN_FROM_TENSORS = """
def train(task):
    augment = v2.RandomResizedCrop(32, scale=(0.75, 1.0), ratio=(1.0, 1.0))
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        for batch in torch.randperm(320).split(64):
            step(model, optimizer, augment(task.images[batch]) / 255, task.labels[batch])
    return model
"""

WHOLE_BATCHES = """
def train(task):
    copies = task.images[:1].expand(16, 3, 32, 32)
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    together, alone = augment(copies), torch.stack([augment(image) for image in copies])
    task.report(together=int((together == together[:1]).all()), alone=int((alone == alone[:1]).all()))
    return Linear()
"""

NARROW_SLICES = """
def train(task):
    data = task.images.float()  # 16.6 MB, which each of these slices reaches through
    column = torch.cat([data[:, :, place % 32, :1] for place in range(700)])
    return Linear() if len(column) else None
"""


def judged(path: Path) -> Record:
    return evaluate(Request(path, path.parent, path.parent / "results", sandbox="process")).record


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "exact"),
    [(HARDEST_HALF, False), (CROPS_BY_MASK, True), (DRAWN_FROM_TENSORS, True)],
    ids=["hardest-half", "crops-by-mask", "resized-crops"],
)
def test_the_check_never_contradicts_the_count(tmp_path: Path, code: str, exact: bool) -> None:
    path = write_submission(tmp_path / "mine", STEPS + code)
    training = judged(path).training
    assert training is not None
    for cut in (1, 60, 190):
        sample = sample_cut_at(path, cut, PATIENCE_SECONDS)
        assert sample.finished, (cut, sample.stopped, sample.doubt, sample.reason)
        assert sample.verdict is None, sample.reason
        found = estimate_operations(sample)
        assert found.low <= training.operations.total <= (found.high or training.operations.total), cut
        if exact:
            assert found.low == found.high, (cut, found)


@pytest.mark.slow
def test_a_random_transform_draws_once_for_a_batch(tmp_path: Path) -> None:
    """docs/porting.md says so of whole batches, as in torchvision."""
    record = judged(write_submission(tmp_path / "mine", STEPS + WHOLE_BATCHES))
    assert record.reports == ({"together": 1, "alone": 0},), record.status.reason


@pytest.mark.slow
def test_slices_of_one_tensor_take_its_memory_once_if_nothing_is_computed(tmp_path: Path) -> None:
    sample = sample_cut_at(write_submission(tmp_path / "mine", STEPS + NARROW_SLICES), 1, PATIENCE_SECONDS)
    assert sample.finished, (sample.stopped, sample.doubt, sample.reason)
    assert sample.verdict is None, sample.reason
