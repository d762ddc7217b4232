"""One small entry for each topic of the workshop's call trains through handles, or is refused with advice.

docs/porting.md has a line for each; a test sees that none is missing.
"""

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from tests.fixtures.submissions import write_submission

PAGE = Path(__file__).parents[2] / "docs" / "porting.md"
HEAD = """
import torch.nn.functional as F
from torch.nn.utils import parametrize, prune

def batches(task, count=3):
    for batch in torch.randperm(len(task.images)).split(64)[:count]:
        yield task.images[batch, :1, ::4, ::4].flatten(1) / 255, task.labels[batch]

class Net(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, images):
        return self.body(images[:, :1, ::4, ::4].flatten(1) / 255)

def fit(body, task, loss=F.cross_entropy):
    optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
    for x, y in batches(task):
        optimizer.zero_grad()
        loss(body(x), y).backward()
        optimizer.step()
    return Net(body)

"""
TOPICS = {
    "quantization-aware training": """
        from torch.ao import quantization as ao
        body = nn.Sequential(ao.QuantStub(), nn.Linear(64, 10), ao.DeQuantStub()).train()
        body.qconfig = ao.get_default_qat_qconfig("fbgemm")
        model = fit(ao.prepare_qat(body), task)
        return model.apply(ao.disable_observer)
    """,
    "binary weights": """
        class Sign(torch.autograd.Function):
            @staticmethod
            def forward(ctx, weight):
                ctx.save_for_backward(weight)
                return weight.sign()

            @staticmethod
            def backward(ctx, gradient):
                return gradient * (ctx.saved_tensors[0].abs() <= 1)

        class Binary(nn.Linear):
            def forward(self, x):
                return F.linear(x, Sign.apply(self.weight), self.bias)

        return fit(Binary(64, 10), task)
    """,
    "float8": """
        body = nn.Linear(64, 10)
        with torch.no_grad():
            scale = torch.exp2(body.weight.abs().clamp(min=2**-9).log2().floor())
            body.weight.copy_((body.weight / scale * 8).round() / 8 * scale)
        return fit(body, task)
    """,
    "pruning": """
        body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        for layer in (body[0], body[2]):
            prune.l1_unstructured(layer, "weight", amount=0.5)
        return fit(body, task)
    """,
    "sparse training": """
        body = nn.Linear(64, 10)
        mask = (torch.rand_like(body.weight) < 0.2).float()
        body.weight.data *= mask
        body.weight.register_hook(lambda gradient: gradient * mask)
        return fit(body, task)
    """,
    "clustering": """
        x = task.images[:, :1, ::4, ::4].flatten(1) / 255
        centres = x[torch.randperm(len(x))[:10]]
        for _ in range(3):
            nearest = torch.cdist(x, centres).argmin(1)
            counts = torch.bincount(nearest, minlength=10).clamp(min=1)
            centres = torch.zeros_like(centres).index_add_(0, nearest, x) / counts[:, None]
        body = nn.Linear(64, 10)
        body.weight.data.copy_(centres)
        return fit(body, task)
    """,
    "decompositions": """
        x = task.images[:, :1, ::4, ::4].flatten(1) / 255
        _, _, right = torch.linalg.svd(x - x.mean(0), full_matrices=False)
        target = F.one_hot(task.labels, 10).float()
        solved = torch.linalg.lstsq(x @ right[:16].T, target).solution
        body = nn.Sequential(nn.Linear(64, 16, bias=False), nn.Linear(16, 10, bias=False))
        body[0].weight.data.copy_(right[:16])
        body[1].weight.data.copy_(solved.T)
        return Net(body)
    """,
    "distillation": """
        teacher = fit(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)), task).body
        student = nn.Linear(64, 10)
        optimizer = torch.optim.Adam(student.parameters())
        for x, _ in batches(task):
            with torch.no_grad():
                soft = F.softmax(teacher(x) / 4, 1)
            optimizer.zero_grad()
            F.kl_div(F.log_softmax(student(x) / 4, 1), soft, reduction="batchmean").backward()
            optimizer.step()
        return Net(student)
    """,
    "equilibrium propagation": """
        body = nn.Linear(64, 10)
        with torch.no_grad():
            for x, y in batches(task):
                target, phases = F.one_hot(y, 10).float(), []
                for beta in (0.0, 0.5):
                    state = torch.zeros(len(x), 10)
                    for _ in range(5):
                        state = (state + 0.5 * (body(x) - state + beta * (target - state))).clamp(0, 1)
                    phases.append(state)
                body.weight += 0.1 * (phases[1] - phases[0]).T @ x / len(x) / 0.5
        return Net(body)
    """,
    "few labels": """
        body = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        optimizer = torch.optim.SGD(body.parameters(), lr=0.1)
        for x, y in batches(task):
            labelled = F.cross_entropy(body(x[:8]), y[:8])
            confidence, guessed = F.softmax(body(x[8:]).detach(), 1).max(1)
            others = F.cross_entropy(body(x[8:] + 0.1 * torch.randn_like(x[8:])), guessed, reduction="none")
            optimizer.zero_grad()
            (labelled + (others * (confidence > 0.5)).mean()).backward()
            optimizer.step()
        return Net(body)
    """,
    "spiking networks": """
        class Spike(torch.autograd.Function):
            @staticmethod
            def forward(ctx, potential):
                ctx.save_for_backward(potential)
                return (potential > 1).float()

            @staticmethod
            def backward(ctx, gradient):
                return gradient / (1 + 10 * (ctx.saved_tensors[0] - 1).abs()) ** 2

        class Spiking(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = nn.Linear(64, 32), nn.Linear(32, 10)

            def forward(self, x):
                potential, out = torch.zeros(len(x), 32), 0
                for _ in range(4):
                    potential = 0.9 * potential + self.first(x)
                    spikes = Spike.apply(potential)
                    potential = potential - spikes
                    out = out + self.second(spikes)
                return out

        return fit(Spiking(), task)
    """,
    "core-sets": """
        x = task.images[:, :1, ::4, ::4].flatten(1) / 255
        chosen = torch.zeros(1, dtype=torch.long)
        for _ in range(15):
            far = torch.cdist(x, x[chosen]).amin(1).argmax()
            chosen = torch.cat([chosen, far[None]])
        body = nn.Linear(64, 10)
        F.cross_entropy(body(x[chosen]), task.labels[chosen]).backward()
        torch.optim.SGD(body.parameters(), lr=0.1).step()
        return Net(body)
    """,
    "second order": """
        body = nn.Linear(64, 10)
        optimizer = torch.optim.LBFGS(body.parameters(), max_iter=3)
        x, y = next(batches(task))

        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(body(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
        return Net(body)
    """,
    "zeroth order": """
        body = nn.Linear(64, 10)
        with torch.no_grad():
            for x, y in batches(task):
                direction = torch.randn_like(body.weight)
                losses = []
                for sign in (1, -2):
                    body.weight += sign * 1e-2 * direction
                    losses.append(F.cross_entropy(body(x), y))
                body.weight += 1e-2 * direction
                body.weight -= 0.1 * (losses[0] - losses[1]) / 2e-2 * direction
        return Net(body)
    """,
    "inference mode": """
        with torch.inference_mode():
            x = task.images[:, :1, ::4, ::4].flatten(1) / 255
            readout = torch.linalg.pinv(x) @ F.one_hot(task.labels, 10).float()
        body = nn.Linear(64, 10, bias=False)
        body.weight.data.copy_(readout.T)
        return Net(body)
    """,
}


ALL = """
class All(nn.Module):
    def __init__(self, models):
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, images):
        return sum(model(images) for model in self.models)

def train(task):
    models = []
    for name, topic in TOPICS.items():
        torch.manual_seed(task.seed)
        try:
            models.append(topic(task))
        except Exception as error:
            task.report(topic=name, outcome=f"{type(error).__name__}: {error}")
        else:
            task.report(topic=name, outcome="trained")
    return All(models)
"""
"""One training for all topics. Their models are returned together, and predict one after the other."""


def function(name: str, body: str) -> str:
    return f"def {name}(task):\n" + indent(dedent(body), "    ")


def judged(folder: Path, code: str) -> Record:
    submission = write_submission(folder / "submission", HEAD + code)
    request = Request(submission, folder / "data", folder / "results", sandbox="process")
    return evaluate(request).record


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each topic, in an evaluation that has judged the models of all of them."""
    functions = [function(f"topic_{number}", body) for number, body in enumerate(TOPICS.values())]
    names = ", ".join(f"{topic!r}: topic_{number}" for number, topic in enumerate(TOPICS))
    code = "\n".join([*functions, f"TOPICS = {{{names}}}", ALL])
    record = judged(tmp_path_factory.mktemp("topics"), code)
    assert record.status.verdict in (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD), record.status.reason
    assert record.training is not None
    assert record.training.operations.uncounted == ()
    return {str(report["topic"]): str(report["outcome"]) for report in record.reports}


@pytest.mark.slow
@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_trains(outcomes: dict[str, str], topic: str) -> None:
    assert outcomes[topic] == "trained"


def test_the_page_has_a_line_for_each_topic() -> None:
    lines = set(re.findall(r"^\| ([a-z0-9 -]+) \|", PAGE.read_text("utf-8"), re.MULTILINE))
    assert TOPICS.keys() <= lines


FAKE = """
class Quantized(nn.Linear):
    def forward(self, x):
        return F.linear(x, torch.fake_quantize_per_tensor_affine(self.weight, 0.01, {zero}, -128, 127))

x = task.images[:4, :1, ::4, ::4].flatten(1) / 255
body = {layer}(64, 10, bias=False)
body(x).sum().backward()
return Net(body)
"""


def test_fake_quantization_costs_what_its_parts_cost(tmp_path: Path) -> None:
    """Of a weight: multiply, round, clamp (2), multiply; two more for a zero point; one for the mask.

    Backward: one product with the mask.
    """

    def cost(name: str, layer: str, zero: int) -> int:
        record = judged(tmp_path / name, function("train", FAKE.format(layer=layer, zero=zero)))
        assert record.training is not None, record.status.reason
        return record.training.operations.total

    plain = cost("plain", "nn.Linear", 0)
    assert cost("without", "Quantized", 0) - plain == (6 + 1) * 640
    assert cost("with", "Quantized", 3) - plain == (8 + 1) * 640
