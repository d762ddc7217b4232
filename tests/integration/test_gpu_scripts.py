"""Scripts that were written for a GPU train as they are, with a note for what is done otherwise."""

from pathlib import Path

import pytest

from haet_eval.errors import Verdict
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from tests.fixtures.submissions import MANIFEST, write_submission

SCRIPTS = sorted((Path(__file__).parents[1] / "fixtures" / "gpu_scripts").glob("*.py"))
TRAINED = (Verdict.QUALIFIED, Verdict.BELOW_THRESHOLD)


def judged(folder: Path) -> Record:
    request = Request(folder, folder.parent / "data", folder.parent / "results", sandbox="process")
    return evaluate(request).record


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_for_a_gpu_trains(tmp_path: Path, script: Path) -> None:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "haet.toml").write_text(MANIFEST.format(name="x", task="digits"), "utf-8")
    (folder / "submission.py").write_text(script.read_text("utf-8"), "utf-8")
    record = judged(folder)
    assert record.status.verdict in TRAINED, record.status.reason + record.log.head
    note = "haet-eval: the device 'cuda' is taken for task.device"
    assert (record.log.head + record.log.tail).count(note) == 1


def test_calls_that_name_a_gpu_do_what_the_script_means(tmp_path: Path) -> None:
    train = """
    def train(task):
        x = task.images[:4] / 255
        assert x.cuda() is x and x.to("cuda:0") is x and x.pin_memory() is x
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert (x.flatten(1) @ torch.ones(3072, 2)).dtype is torch.bfloat16
        with torch.autocast("cuda"):
            assert (x.flatten(1) @ torch.ones(3072, 2)).dtype is torch.float16
        assert torch.amp.GradScaler("cuda").is_enabled()
        assert not torch.cuda.is_available()
        torch.cuda.synchronize()
        loader = torch.utils.data.DataLoader(x, 2, False, None, None, 4, None, True)
        assert loader.num_workers == 0 and loader.batch_size == 2 and not loader.pin_memory
        a, b = task.labels[0], task.labels[1]
        assert torch.tensor([a, b]).dtype is torch.int64
        assert torch.equal(torch.tensor([a, b]), task.labels[:2])
        assert torch.tensor([[a, 1], [2, b]], dtype=torch.float32).shape == (2, 2)
        assert torch.as_tensor([x.sum(), x.mean()]).dtype is torch.float32
        assert x.new_tensor([a, 3]).dtype is torch.float32
        flat = torch.jit.trace(lambda t: t.view(t.size(0), -1), torch.ones(2, 3, 4))
        assert flat(torch.ones(5, 3, 4)).shape == (5, 12)
        print("all as it should be")
        return Linear()
    """
    record = judged(write_submission(tmp_path / "submission", train))
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason + record.log.tail
    assert "all as it should be" in record.log.head
    assert record.training is not None
    assert record.training.readback_bytes <= 8  # the answer of torch.equal; nothing for the lists of handles


def test_every_function_of_torch_cuda_works_or_refuses_under_its_own_name(tmp_path: Path) -> None:
    """Some take arguments that are not given here: Python itself says so."""
    train = """
    def train(task):
        import warnings
        warnings.simplefilter("ignore")
        for name in torch.cuda.__all__:
            call = getattr(torch.cuda, name)
            if not hasattr(call, "__call__") or isinstance(call, type) and name != "Event":
                continue
            try:
                call()
            except TypeError as error:
                assert "argument" in str(error), (name, error)
            except RuntimeError as error:
                assert f"torch.cuda.{name} is not there" in str(error), (name, error)
        assert torch.cuda.memory_stats()["allocated_bytes.all.peak"] == 0
        print("all looked at", torch.cuda.memory_summary())
        return Linear()
    """
    record = judged(write_submission(tmp_path / "submission", train))
    assert "all looked at" in record.log.head + record.log.tail, record.status.reason


def test_compiling_prints_nothing_about_this_machine(tmp_path: Path) -> None:
    train = """
    def train(task):
        assert torch.compile(torch.nn.Linear(3, 2))(torch.ones(4, 3)).shape == (4, 2)
        from torch.utils import cpp_extension, flop_counter
        return Linear()
    """
    record = judged(write_submission(tmp_path / "submission", train))
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
    assert record.log.head == ""


def test_images_need_no_class_of_their_own_for_transforms(tmp_path: Path) -> None:
    train = """
    def train(task):
        from torchvision import tv_tensors
        from torchvision.transforms import v2
        prepare = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, True), v2.RandomHorizontalFlip(1)])
        assert torch.allclose(prepare(task.images[:4]), (task.images[:4] / 255).flip(-1))
        assert tv_tensors.Image(task.images[0]).shape == (3, 32, 32)
        return Linear()
    """
    record = judged(write_submission(tmp_path / "submission", train))
    assert record.status.verdict is Verdict.BELOW_THRESHOLD, record.status.reason
