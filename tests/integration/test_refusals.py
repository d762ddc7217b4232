"""What cannot work through handles says why, what to write instead, and where."""

import json
from pathlib import Path
from textwrap import dedent

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request, WrittenRecord
from tests.fixtures.submissions import write_competition, write_submission

REFUSED = {
    "numpy": ("images.numpy()", "in the executor", ".item()"),
    "asarray": ("numpy.asarray(images)", "in the executor", "torch's operators"),
    "numpy function": ("numpy.stack([weight, weight])", "in the executor", "torch's operators"),
    "numpy mean": ("numpy.mean(weight)", "in the executor", "torch's operators"),
    "numpy maximum": ("numpy.max(weight)", "in the executor", "torch's operators"),
    "mask of torchvision": (
        "importlib.import_module('torchvision.tv_tensors').Mask(images[0])",
        "cannot become a Mask",
        "Keep the tensor",
    ),
    "DLPack": ("numpy.from_dlpack(images)", "DLPack", "torch's operators"),
    "DLPack capsule": ("torch.utils.dlpack.to_dlpack(images)", "DLPack", "torch's operators"),
    "address": ("images.data_ptr()", "no address", "torch's operators"),
    "storage": ("images.untyped_storage()", "no storage", "clone()"),
    "typed storage": ("images.storage()", "no storage", "clone()"),
    "pickle": ("pickle.dumps(images)", "cannot be pickled", "copy.deepcopy"),
    "pickled model": ("pickle.dumps(torch.nn.Linear(2, 2))", "cannot be pickled", "copy.deepcopy"),
    "shared memory": ("torch.nn.Linear(2, 2).share_memory()", "another process", "num_workers=0"),
    "process": ("multiprocessing.Process(target=print).start()", "another process", "threads"),
    "fork": ("in_child(lambda: images.sum().item())", "another process", "num_workers=0"),
    "cuda event": ("torch.cuda.Event(enable_timing=True)", "no GPU", "time.perf_counter()"),
    "cuda name": (
        "torch.cuda.get_device_name()",
        "torch.cuda.get_device_name is not there",
        "Leave the call out",
    ),
    "cuda utilization": (
        "torch.cuda.utilization()",
        "torch.cuda.utilization is not there",
        "Leave the call out",
    ),
    "cuda properties": ("torch.cuda.get_device_properties(0)", "no GPU", "Leave the call out"),
    "several processes": (
        "torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))",
        "this run has one",
        "the model itself",
    ),
    "process group": ("torch.distributed.init_process_group('nccl')", "this run has one", "leave"),
    "packed sequence": (
        "torch.nn.utils.rnn.pack_padded_sequence(torch.ones(3, 2, 4), torch.tensor([3, 2]))",
        "packed by their lengths",
        "pad them to one length",
    ),
    "float8": ("weight.to(torch.float8_e4m3fn)", "no dtype here", "torch.exp2"),
    "sparse": ("weight.to_sparse()", "sparse", "weight * mask"),
    "sparse factory": (
        "torch.sparse_coo_tensor(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), (2,))",
        "sparse",
        "dense tensor",
    ),
    "sparse gradients": (
        "torch.nn.Embedding(10, 2, sparse=True)(labels[:2]).sum().backward()",
        "sparse",
        "dense tensor",
    ),
    "quantised": ("torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8)", "quantized", "ordinary integers"),
    "nested": ("torch.nested.nested_tensor([weight, weight])", "nested", "pad"),
    "extension": ("torchvision.ops.nms(torch.rand(2, 4), torch.rand(2), 0.5)", "aten", "write it with these"),
    "C++ extension": (
        "cpp_extension.load_inline('mine', 'int f() { return 1; }', functions='f')",
        "Extensions in C++",
        "torch's operators",
    ),
    "Triton": ("importlib.import_module('triton')", "Triton", "torch's operators"),
    "operator for compiled code": (
        "flex_attention(*[weight.view(1, 1, 2, 3)] * 3)",
        "nothing is compiled here",
        "scaled_dot_product_attention",
    ),
    "foreign state": (
        "torch.set_rng_state(torch.zeros(5056, dtype=torch.uint8))",
        "get_rng_state",
        "manual_seed",
    ),
    "integers under another default": ("in_double(lambda: labels / 2)", "float32", "Convert the integers"),
    "narrower view": ("weight.view(torch.uint8)", "size of an element", ".to()"),
    "large constant": ("torch.tensor(numpy.zeros(3_000_000)) + 1", "too large", "factories"),
}

PROBE = """
import importlib, io, json, multiprocessing, os, pickle, warnings
import numpy
import torchvision
from torch.nn.attention.flex_attention import flex_attention
from torch.utils import cpp_extension, data

warnings.simplefilter("ignore")

def in_child(work):
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            work()
            os.write(write, b"nothing was raised")
        except BaseException as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    raise RuntimeError(os.read(read, 10_000).decode())

def in_double(work):
    torch.set_default_dtype(torch.float64)
    try:
        work()
    finally:
        torch.set_default_dtype(torch.float32)

def train(task):
    images, labels, weight = task.images, task.labels, torch.ones(2, 3)
    for code in {codes}:
        try:
            eval(code, globals() | locals())
            print(json.dumps([code, "nothing was raised"]))
        except Exception as error:
            print(json.dumps([code, str(error)]))
    model = Linear()
    assert float((torch.ones(3) * 2).sum()) == 6.0
    return model
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each expression of REFUSED raised, all of them in one run that goes on after each."""
    folder = tmp_path_factory.mktemp("refused")
    codes = [code for code, _, _ in REFUSED.values()]
    record = judge(folder, PROBE.replace("{codes}", repr(codes))).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    lines = (record.log.head + record.log.tail).splitlines()
    return dict(json.loads(line) for line in lines if line.startswith("["))


def judge(folder: Path, train: str, **budgets: int) -> WrittenRecord:
    submission = write_submission(folder / "submission", train)
    competition = write_competition(folder / "competition.toml", wall_seconds=300, **budgets)
    return evaluate(
        Request(
            submission,
            data_dir=folder / "data",
            results=folder / "results",
            competition=str(competition),
            sandbox="process",
        )
    )


@pytest.mark.parametrize("name", REFUSED)
def test_says_why_and_what_instead(said: dict[str, str], name: str) -> None:
    code, why, instead = REFUSED[name]
    assert why in said[code]
    assert instead in said[code]


ENDING = {
    "an uncaught refusal": (
        """
        def train(task):
            return task.images.numpy()
        """,
        Verdict.FAILED,
        ("NumPy", "return task.images.numpy()"),
    ),
    "reading more than the budget": (
        """
        def train(task):
            return task.images.tolist()
        """,
        Verdict.LIMIT_READBACK,
        ("read back more than", "return task.images.tolist()"),
    ),
    "bringing more than the budget": (
        """
        def train(task):
            return torch.tensor([0.5 * n for n in range(200_000)]).sum().item()
        """,
        Verdict.LIMIT_UPLOAD,
        ("sent up more than", "return torch.tensor("),
    ),
    "a transform for images of PIL": (
        """
        def train(task):
            import torchvision
            return torchvision.transforms.ToTensor()(task.images[0])
        """,
        Verdict.FAILED,
        ("leave out ToTensor()", "divide by 255"),
    ),
    "a library that takes arrays": (
        """
        def train(task):
            from PIL import Image
            return Image.fromarray(task.images[0])
        """,
        Verdict.FAILED,
        ("a RemoteTensor is a tensor of the task", ".item()"),
    ),
    "an array that meets a tensor": (
        """
        def train(task):
            import numpy
            return numpy.ones(3) + torch.ones(3)
        """,
        Verdict.FAILED,
        ("torch.as_tensor(array)",),
    ),
    "an index out of range": (
        """
        def train(task):
            x = torch.ones(3)
            found = [x[index] for index in (task.labels % 3, task.labels + 100)]
            return found[1].sum().item()
        """,
        Verdict.FAILED,
        ("aten.index.Tensor failed", "return found[1].sum().item()", "the call was made before"),
    ),
    "shapes that do not fit": (
        """
        def train(task):
            return task.images.float() @ torch.ones(5, 5)
        """,
        Verdict.FAILED,
        ("aten.mm", "return task.images.float() @ torch.ones(5, 5)"),
    ),
    "a GPU's clock": (
        """
        def train(task):
            return torch.cuda.Event(enable_timing=True)
        """,
        Verdict.FAILED,
        ("time.perf_counter()", "return torch.cuda.Event(enable_timing=True)"),
    ),
    "a typed constructor": (
        """
        def train(task):
            return torch.FloatTensor([image.float().mean() for image in task.images[:3]])
        """,
        Verdict.FAILED,
        ("torch.stack", "return torch.FloatTensor("),
    ),
}


@pytest.mark.parametrize("name", ENDING)
def test_ends_the_run_naming_the_line(tmp_path: Path, name: str) -> None:
    train, verdict, parts = ENDING[name]
    record = judge(tmp_path, train, upload_bytes=100_000, readback_bytes=10_000).record
    text = record.status.reason + record.log.head + record.log.tail
    assert record.status.verdict is verdict, record.status.reason
    assert all(part in text for part in parts), text
    source = (tmp_path / "submission" / "submission.py").read_text(encoding="utf-8").splitlines()
    line = max(number for number, code in enumerate(source, 1) if code.strip().startswith("return "))
    assert record.status.reason.count(f"submission.py, line {line}") == 1


@pytest.mark.parametrize(
    ("line", "verdict", "code"),
    [
        ("task.images.numpy()", Verdict.FAILED, "handle-numpy"),
        ("torch.ones(2, 3) @ torch.ones(2, 3)", Verdict.FAILED, "handle-operator"),
        ("torch.ones(3).to_sparse()", Verdict.UNCOUNTABLE, "operator-unpriced"),
        ("torch.ones(3).to(torch.float8_e4m3fn)", Verdict.FAILED, "handle-float8"),
        ("torch.ones(3).long() + 2**63", Verdict.FAILED, "handle-integer"),
        ("raise ValueError('of its own')", Verdict.FAILED, "code-failed"),
    ],
)
def test_a_reason_has_one_code(tmp_path: Path, line: str, verdict: Verdict, code: str) -> None:
    status = judge(tmp_path, f"def train(task):\n    {line}\n").record.status
    assert (status.verdict, status.code) == (verdict, code), status.reason
    assert "[" not in status.reason.replace("[2, 3]", ""), status.reason


def test_no_value_of_a_tensor_is_in_the_reason(tmp_path: Path) -> None:
    train = """
    def train(task):
        secret = (torch.zeros(1) + 48151).long()
        torch.ones(3)[secret]
        return torch.ones(1).sum().item() + task.labels.sum().item()
    """
    record = judge(tmp_path, train).record
    assert record.status.verdict is Verdict.FAILED
    assert "48151" not in record.status.reason


def test_an_error_of_shapes_can_be_caught(tmp_path: Path) -> None:
    train = """
    def train(task):
        try:
            torch.ones(2, 3) @ torch.ones(2, 3)
        except RuntimeError as error:
            print("caught", error)
        return Linear()
    """
    record = judge(tmp_path, train).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    assert "caught" in record.log.head


def test_checkpoints_work_within_a_run(tmp_path: Path) -> None:
    train = dedent(
        """
        import os

        def train(task):
            model = Linear()
            torch.save({"model": model.state_dict(), "epoch": 3}, "best.pt")
            before = model.head.weight.sum().item()
            with torch.no_grad():
                model.head.weight.mul_(0)
            saved = torch.load("best.pt", map_location="cpu", weights_only=True)
            assert saved["epoch"] == 3 and os.path.exists("best.pt")
            model.load_state_dict(saved["model"])
            model.head.weight.data.mul_(2)
            again = torch.load("best.pt")["model"]["head.weight"].sum().item()
            assert before == again, (before, again)
            print("restored")
            return model
        """
    )
    record = judge(tmp_path, train).record
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    assert "restored" in record.log.head
