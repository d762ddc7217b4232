"""What is counted through real workers: phases, compiled code, parameters, and what cannot be counted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haet_eval.counting.histogram import PHASES, Histogram
from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from haet_eval.operators.pricing.evaluate import price_of
from haet_eval.record import Training
from tests.fixtures.submissions import write_competition, write_submission

Judge = Callable[[str], WrittenRecord]


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Evaluates the code of a `train` with local processes; any accuracy will do."""

    def run(code: str) -> WrittenRecord:
        return evaluate(
            Request(
                write_submission(tmp_path / "submission", code),
                data_dir=tmp_path / "data",
                results=tmp_path / "results",
                competition=str(write_competition(tmp_path / "rules.toml", threshold=0.0)),
                sandbox="process",
            )
        )

    return run


def training_of(outcome: WrittenRecord) -> Training:
    record = outcome.record
    assert record.status.verdict is Verdict.QUALIFIED, record.status.reason
    assert record.training is not None
    return record.training


def histogram_of(outcome: WrittenRecord) -> Histogram:
    sha256 = training_of(outcome).histogram.sha256
    file = outcome.path.parent / "artifacts" / f"{sha256}.histogram.json"
    return Histogram.from_json(file.read_bytes())


STEPS = 2
TRAIN = """
def train(task):
    model = Linear()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    mean = task.images.float().mean() / 255
    for step in range(2):
        batch = task.images[32 * step:32 * (step + 1)]
        images = batch + torch.randint_like(batch, 2)
        loss = nn.functional.cross_entropy(model(images), task.labels[:32])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        shown = torch.sin(mean)
    return model
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> WrittenRecord:
    folder = tmp_path_factory.mktemp("trained")
    return evaluate(
        Request(
            write_submission(folder / "submission", TRAIN),
            data_dir=folder / "data",
            results=folder / "results",
            competition=str(write_competition(folder / "rules.toml", threshold=0.0)),
            sandbox="process",
        )
    )


def phases_of(histogram: Histogram, operator: str) -> Iterator[tuple[str, int]]:
    """The phases that an operator ran in, and how often."""
    for entry in histogram:
        if entry.signature.operator == operator:
            yield from ((phase, calls) for phase, calls in zip(PHASES, entry.calls, strict=True) if calls)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("aten.uniform_.default", {"initialisation": 2}),
        ("aten.mean.default", {"initialisation": 1}),
        ("aten.randint_like.default", {"initialisation": 1, "input": STEPS - 1}),
        ("aten.addmm.default", {"forward": STEPS}),
        ("aten._log_softmax.default", {"forward": STEPS}),
        ("aten.nll_loss_backward.default", {"backward": STEPS}),
        ("aten.mm.default", {"backward": STEPS}),
        ("aten.clamp.default", {"other": STEPS}),
        ("aten.sin.default", {"input": STEPS}),
    ],
)
def test_each_operator_is_in_the_phase_that_made_it(
    trained: WrittenRecord, operator: str, expected: dict[str, int]
) -> None:
    found: dict[str, int] = {}
    for phase, calls in phases_of(histogram_of(trained), operator):
        found[phase] = found.get(phase, 0) + calls
    assert found == expected


def test_the_phases_add_up_and_have_the_figures_of_the_standard(trained: WrittenRecord) -> None:
    operations = training_of(trained).operations
    assert sum(operations.by_phase.values()) == operations.total
    pixels, results, numbers = 32 * 3072, 32 * 10, 3072 * 10 + 10
    scaled, linear = pixels, results * (2 * 3072 - 1) + results
    cross_entropy = 5 * results - 32 + 3 * 32
    assert operations.by_phase["forward"] == STEPS * (scaled + linear + cross_entropy)
    of_loss = 2 * 32 + 1 + 4 * results - 32
    of_layer = 3072 * 10 * (2 * 32 - 1) + results - 10
    assert operations.by_phase["backward"] == STEPS * (of_loss + of_layer)
    assert operations.by_phase["optimizer"] == STEPS * 2 * numbers + (STEPS - 1) * 2 * numbers


def test_the_total_does_not_depend_on_the_phases(trained: WrittenRecord) -> None:
    total = sum((price_of(entry.signature) or 0) * entry.total_calls for entry in histogram_of(trained))
    assert training_of(trained).operations.total == total


COMPILED = """
def train(task):
    model = Linear()
    compiled = torch.compile(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    @torch.compile(fullgraph=True)
    def step(images, labels):
        loss = nn.functional.cross_entropy(compiled(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    for start in (0, 32):
        step(task.images[start:start + 32], task.labels[start:start + 32])
    return model
"""


def test_compiled_code_costs_what_eager_code_costs(judge: Judge) -> None:
    compiled = histogram_of(judge(COMPILED))
    eager = COMPILED.replace("torch.compile(model)", "model").replace("@torch.compile(fullgraph=True)", "")
    assert "compile(" not in eager
    assert compiled.to_json() == histogram_of(judge(eager)).to_json()


def test_the_same_code_twice_costs_the_same(judge: Judge) -> None:
    first, second = judge(TRAIN), judge(TRAIN)
    assert histogram_of(first).to_json() == histogram_of(second).to_json()
    assert training_of(first).operations == training_of(second).operations


STORED = """
class Stored(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3072, 10)                                # 30,730
        self.tied = nn.Linear(3072, 10)
        self.tied.weight = self.head.weight                            # 0, and 10 of its own bias
        block = torch.rand(1000)
        self.view = nn.Parameter(block[100:300])                       # 200 of 1,000 in the storage
        self.overlapping = nn.Parameter(block[250:350])                # 50 more
        self.register_buffer("inside", block[120:140])                 # 0
        self.register_buffer("strided", block[400:500:10])             # 91: first to last, gaps included
        self.register_buffer("expanded", torch.ones(1).expand(500))    # 1
        self.norm = nn.BatchNorm1d(8)                                  # 16; buffers 8 + 8 + 1
        self.frozen = nn.Parameter(torch.rand(7, 3), requires_grad=False)         # 21
        self.pairs = nn.Parameter(torch.rand(6, dtype=torch.complex64))         # 12
        self.fp16 = nn.Parameter(torch.rand(5, dtype=torch.float16))              # 5
        self.fp64 = nn.Parameter(torch.rand(4, dtype=torch.float64))            # 4
        self.register_buffer("flags", torch.zeros(3, dtype=torch.bool))           # 3
        self.register_buffer("scratch", torch.rand(11), persistent=False)         # 11

    def forward(self, images):
        return self.head(images.flatten(1).float())

def train(task):
    model = Stored()
    model.also = model.head
    return model
"""


def test_every_stored_number_is_a_parameter_once(judge: Judge) -> None:
    parameters = training_of(judge(STORED)).parameters
    assert parameters is not None
    assert parameters.trainable == 30_730 + 10 + 200 + 50 + 16 + 12 + 5 + 4
    assert parameters.frozen == 21
    assert parameters.buffers == 91 + 1 + 17 + 3 + 11
    assert parameters.total == parameters.trainable + parameters.frozen + parameters.buffers


SMUGGLED = """
class Ends(nn.Module):
    def __init__(self):
        super().__init__()
        block = torch.ones(30_720)
        self.register_buffer("first", block[:1])
        self.register_buffer("last", block[-1:])

    def forward(self, images):
        weight = self.first.as_strided((30_720,), (1,), 0)
        assert weight.sum().item() == {seen}
        return images.flatten(1).float() @ weight.view(3072, 10)

def train(task):
    model = Ends()
    assert model.first.as_strided((30_720,), (1,), 0).sum().item() == 30_720
    return model
"""


def test_what_lies_between_the_models_views_is_not_kept(judge: Judge) -> None:
    parameters = training_of(judge(SMUGGLED.replace("{seen}", "2"))).parameters
    assert parameters is not None
    assert parameters.total == 2


PACKED = """
def train(task):
    pairs = torch.rand(4, 2)
    for pack in (
        lambda: torch.view_as_complex(pairs).view(torch.float64),
        lambda: torch.view_as_complex(pairs).view(torch.int64),
        lambda: pairs.view(torch.float64),
        lambda: task.images[0].view(torch.int64),
        lambda: torch.ops.aten.view.dtype(pairs, torch.int64),
        lambda: torch.ops.aten.view_copy.dtype(pairs, torch.int64),
        lambda: torch.empty(0, dtype=torch.float64).set_(pairs),
    ):
        try:
            pack()
        except Exception:
            continue
        raise AssertionError("packed")
    assert pairs.to(torch.float64).numel() == 8
    return Linear()
"""


def test_several_numbers_are_not_packed_into_one_for_free(judge: Judge) -> None:
    training_of(judge(PACKED))


UNCOUNTABLE = """
def train(task):
    for _ in range(3):
        torch.tanh(torch.ones(4, 5, dtype=torch.complex64))
    return Linear()
"""


def test_an_uncountable_run_says_what_to_change(judge: Judge) -> None:
    record = judge(UNCOUNTABLE).record
    assert record.status.verdict is Verdict.UNCOUNTABLE
    for words in ("aten.tanh.default (3 calls, as in complex64[4, 5])", "real numbers only", "view_as_real"):
        assert words in record.status.reason
    assert record.complexity is None
    assert record.training is not None
    (line,) = record.training.operations.uncounted
    assert (line.operator, line.calls, line.shapes) == ("aten.tanh.default", 3, ("complex64[4, 5]",))


OPTIMIZERS = """
def train(task):
    model = Linear()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True, VARIANT)
    for _ in range(2):
        nn.functional.cross_entropy(model(task.images[:32]), task.labels[:32]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model
"""


def test_optimizers_cost_the_same_one_by_one_as_lists_and_fused(judge: Judge) -> None:
    variants = ("foreach=False", "foreach=True", "fused=True")
    totals = [training_of(judge(OPTIMIZERS.replace("VARIANT", one))).operations.total for one in variants]
    assert len(set(totals)) == 1


MODES = """
class Small(Linear):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, groups=1), nn.BatchNorm2d(4), nn.SiLU())
        self.attend = nn.MultiheadAttention(30, 3, batch_first=True)
        self.unit = nn.LayerNorm(30)

def train(task):
    model = Small()
    with torch.MODE():
        features = model.unit(model.stem(task.images[:4].float()).flatten(1, 2))
        attended, _ = model.attend(features, features, features, need_weights=False)
        torch.einsum("bij,bkj->bik", attended, features).softmax(-1).sum()
    return model
"""


def test_it_does_not_matter_whether_gradients_are_wanted(judge: Judge) -> None:
    modes = ("enable_grad", "no_grad", "inference_mode")
    totals = [training_of(judge(MODES.replace("MODE", mode))).operations.total for mode in modes]
    assert len(set(totals)) == 1
