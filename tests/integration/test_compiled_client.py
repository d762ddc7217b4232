"""The compiled client ends runs as the Python client does, and repeated steps are hits.

That it sends the same bytes is shown with the programs of the battery.
"""

import json
from pathlib import Path
from typing import Final

import pytest

from haet_eval.record import Record
from tests.fixtures.compiled import client, compiled_or_skip
from tests.integration.test_refusals import ENDING, PROBE, REFUSED, judge

SETTINGS: Final = {"python": "0", "compiled": "1"}
FAILURES: Final = ("an uncaught refusal", "an index out of range", "shapes that do not fit")
LEAST_RATE: Final = 0.99

COUNTING: Final = """
def calls():
    from haet_eval.remote.client.tensor import RemoteTensor
    hits = RemoteTensor.dispatcher.hits
    done, left = hits.counts() if hits else (0, {})
    return done, dict(left)

def train(task):
    torch.manual_seed(0)
    model, step = program(task)
    for _ in range(3):
        step()
    done, left = calls()
    for _ in range(20):
        step()
    after, left_after = calls()
    missed = {name: count - left.get(name, 0) for name, count in left_after.items()}
    print(json.dumps([after - done, {name: count for name, count in missed.items() if count}]))
    return Linear()
"""

PROGRAMS: Final = {
    "SGD on a network with batch normalisation": """
    features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1))
    net = nn.Sequential(features, nn.Flatten(), nn.LazyLinear(10))
    net(task.images[:2].float())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    order, place = torch.randperm(len(task.images)), itertools.count()
    def step():
        start = next(place) * 16
        chosen = order[start : start + 16]
        images, labels = task.images[chosen].float() / 255, task.labels[chosen]
        loss = F.cross_entropy(net(images), labels, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    """,
    "AdamW on attention, with a schedule and averaged weights": """
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, "gelu", batch_first=True, norm_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(10))
    net(task.images[:2].float().reshape(-1, task.images[0].numel() // 8, 8))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    averaging = torch.optim.swa_utils
    average = averaging.AveragedModel(net, multi_avg_fn=averaging.get_ema_multi_avg_fn(0.9))
    place = itertools.count()
    def step():
        start = next(place) * 16
        images = task.images[start : start + 16].float().reshape(16, -1, 8) / 255
        loss = F.cross_entropy(net(images), task.labels[start : start + 16])
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        average.update_parameters(net)
    """,
    "a step by hand, in place": """
    net = nn.Linear(task.images[0].numel(), 10)
    speed = [torch.zeros_like(p) for p in net.parameters()]
    data = task.images.flatten(1).float() / 255
    def step():
        loss = F.cross_entropy(net(data), task.labels)
        grads = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, g, v in zip(net.parameters(), grads, speed):
                v.mul_(0.9).add_(g)
                p.sub_(v, alpha=0.1)
    """,
}

HEAD: Final = """
import itertools, json
import torch.nn.functional as F
"""


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Path:
    return compiled_or_skip()


def records(tmp_path: Path, train: str, **budgets: int) -> tuple[Record, Record]:
    """The records of one submission by both clients."""
    found = []
    for name, setting in SETTINGS.items():
        (tmp_path / name).mkdir()
        with client(setting):
            found.append(judge(tmp_path / name, train, **budgets).record)
    return found[0], found[1]


def test_refusals_say_the_same(tmp_path: Path) -> None:
    codes = [code for code, _, _ in REFUSED.values()]
    python, compiled = records(tmp_path, PROBE.replace("{codes}", repr(codes)))
    assert compiled.status == python.status
    assert compiled.log == python.log
    assert compiled.trace is not None
    assert compiled.trace == python.trace


@pytest.mark.parametrize("name", FAILURES)
def test_failures_end_a_run_alike(tmp_path: Path, name: str) -> None:
    python, compiled = records(tmp_path, ENDING[name][0], upload_bytes=100_000, readback_bytes=10_000)
    assert compiled.status == python.status
    assert compiled.log == python.log


@pytest.mark.parametrize("name", PROGRAMS)
def test_repeated_steps_are_hits(tmp_path: Path, name: str) -> None:
    program = f"def program(task):\n{PROGRAMS[name].strip(chr(10))}\n    return net, step\n"
    source = HEAD + program + COUNTING
    with client("1"):
        record = judge(tmp_path, source).record
    hits, missed = json.loads(next(line for line in record.log.head.splitlines() if line.startswith("[")))
    assert hits > 0
    assert hits / (hits + sum(missed.values())) >= LEAST_RATE, missed
