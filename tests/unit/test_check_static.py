import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

import haet_eval
from haet_eval.check.entry import TASK_ATTRIBUTES
from haet_eval.check.static import StaticCheck, look_at
from haet_eval.submission import load_submission

MANIFEST = '[submission]\nname = "x"\nteam = "y"\ntask = "digits"\ndescription = "z"\n'
EXAMPLES = Path(__file__).parents[2] / "submissions"


def look(folder: Path, code: str, others: Mapping[str, str] | None = None) -> StaticCheck:
    files = {"haet.toml": MANIFEST, "submission.py": code, **(others or {})}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return look_at(load_submission(folder))


def said(folder: Path, line: str) -> str:
    """What is said of a line in the body of train, which is the third line of the file."""
    found = look(
        folder, f"import torch\ndef train(task):\n    {line}\n    return torch.nn.Identity()\n"
    ).remarks
    assert {remark.line for remark in found} <= {3}
    return " ".join(remark.text for remark in found)


@pytest.mark.parametrize("example", ["cifar10-sprint", "cifar100-marathon", "digits-cnn", "digits-resnet9"])
def test_nothing_is_remarked_on_good_examples(example: str) -> None:
    found = look_at(load_submission(EXAMPLES / example))
    assert (found.remarks, found.clock, found.literals) == ((), (), ())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import timm", "neither in the submission nor in the sandbox"),
        ("import torch.hub; torch.hub.load('a', 'b')", "no network"),
        ("torch.load('w.pt'); open('w.txt')", "no such file in the submission"),
        ("open('/etc/passwd')", "on this machine the call may succeed"),
        ("task.images.numpy()", "no NumPy array"),
        ("torch.cuda.Event()", "leave the call out"),
        ("task.images.data_ptr()", "write the computation with torch's operators"),
        ("import multiprocessing as mp; mp.Pool(2)", "only the process that train() runs in"),
        ("import torchvision as tv; tv.models.resnet18(weights='DEFAULT')", "train from scratch"),
        ("from torchvision import models; models.resnet18(pretrained=True)", "train from scratch"),
        ("from torchvision.datasets import CIFAR10; CIFAR10('.')", "task.images and task.labels"),
        ("import argparse; argparse.ArgumentParser()", "no command line"),
        ("open('../haet.toml')", "no such file in the submission"),
        ("if __name__ != '__main__': import timm", "neither in the submission"),
        ("if train.__name__ == 'train': import timm", "neither in the submission"),
        ("if __name__ == 'submission': import timm", "neither in the submission"),
        ("if __name__ == '__main__' or task: import timm", "neither in the submission"),
        ("task.label", "did you mean labels?"),
        ("task.data", "it has images, labels"),
    ],
)
def test_a_line_that_would_fail_is_remarked_on(tmp_path: Path, line: str, words: str) -> None:
    assert words in said(tmp_path, line)


@pytest.mark.parametrize(
    "line",
    [
        "import numpy, PIL.Image, torchvision.transforms.v2, haet_eval",
        "import json, random, math, dataclasses",
        "x = task.images.to(task.device)",
        "task.images.cuda(); task.images.to('cuda:0'); torch.ones(3, device='cuda')",
        "torch.utils.data.DataLoader([], num_workers=8); torch.autocast('cuda')",
        "import torchvision; torchvision.models.resnet18(weights=None)",
        "device = 'cuda' if torch.cuda.is_available() else 'cpu'",
        "torch.save({}, 'a.pt'); torch.load('a.pt')",
        "open('notes.txt', 'w')",
        "open('haet.toml').read()",
        "open('./haet.toml').read(); open('a/../haet.toml')",
        "task.report(epoch=1); task.seed",
        "if __name__ == '__main__' and task: import timm",
        "if not __name__ != '__main__': import timm",
        "if '__main__' == __name__: import timm",
    ],
)
def test_a_line_that_works_gets_no_remark(tmp_path: Path, line: str) -> None:
    assert said(tmp_path, line) == ""


def test_an_import_whose_failure_is_caught_or_that_no_run_makes_is_not_remarked_on(tmp_path: Path) -> None:
    code = """
from typing import TYPE_CHECKING
try:
    import apex
except ImportError:
    apex = None
if TYPE_CHECKING:
    import timm
def train(task):
    return task
if __name__ == "__main__":
    import argparse
    argparse.ArgumentParser()
    import wandb
"""
    assert look(tmp_path, code).remarks == ()


def test_own_modules_are_found_or_a_close_one_is_named(tmp_path: Path) -> None:
    code = "import model\nimport modle\nfrom parts import blocks\nimport parts.absent\n"
    others = {"model.py": "", "parts/__init__.py": "from . import blocks\nfrom .nowhere import x\n"}
    found = look(tmp_path, code + "train = model.train\n", {**others, "parts/blocks.py": ""}).remarks
    assert [(remark.path, remark.line) for remark in found] == [
        ("parts/__init__.py", 2),
        ("submission.py", 2),
        ("submission.py", 4),
    ]
    assert "did you mean model?" in found[1].text


@pytest.mark.parametrize("name", ["networkx", "PIL"])
def test_an_own_module_that_an_installed_one_hides_is_remarked_on(tmp_path: Path, name: str) -> None:
    code = f"import {name}\nimport parts.{name}\ndef train(task): return 1\n"
    others = {f"{name}.py": "", "parts/__init__.py": "", f"parts/{name}.py": ""}
    (found,) = look(tmp_path, code, others).remarks
    assert (found.path, found.line) == ("submission.py", 1)
    assert f"imports {name} of the sandbox" in found.text
    assert "rename that" in found.text


def test_a_relative_import_needs_a_package(tmp_path: Path) -> None:
    found = look(
        tmp_path, "from .model import Net\ndef train(task): return Net()\n", {"model.py": ""}
    ).remarks
    assert "write `from model import Net`" in found[0].text


def test_every_file_is_parsed(tmp_path: Path) -> None:
    found = look(tmp_path, "def train(task): return 1\n", {"later.py": "x = 1\ny = (\n"}).remarks
    assert [(remark.path, remark.line) for remark in found] == [("later.py", 2)]


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ("def train(): return 1", "with one argument"),
        ("def train(task, epochs): return 1", "with one argument"),
        ("def train(task, *, epochs): return 1", "with one argument"),
        ("async def train(task): return 1", "is async"),
        ("def train(task):\n    def inner(): return 1", "returns nothing"),
        ("def train(task, epochs=3): return 1", ""),
        ("def train(*args): return 1", ""),
        ("train = lambda task: 1", ""),
    ],
)
def test_the_entry_point_takes_a_task_and_returns_a_model(
    tmp_path: Path, definition: str, words: str
) -> None:
    texts = [remark.text for remark in look(tmp_path, definition + "\n").remarks]
    assert (words in texts[0]) if words else not texts


def test_lines_that_read_the_clock_are_reported(tmp_path: Path) -> None:
    code = (
        "import time\nfrom time import monotonic\ndef train(task):\n    time.time()\n    return monotonic()\n"
    )
    assert look(tmp_path, code).clock == ("submission.py:4", "submission.py:5")


def test_on_plain_tensors_calls_are_not_remarked_on(tmp_path: Path) -> None:
    look(tmp_path, "def train(task):\n    return task.images.cuda().numpy()\n")
    assert look_at(load_submission(tmp_path), "plain").remarks == ()


def test_the_task_has_the_attributes_that_are_expected() -> None:
    source = (Path(haet_eval.__file__).parent / "remote/client/task.py").read_text("utf-8")
    [task] = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "SubmissionTask"
    ]
    fields = [
        node.target.id
        for node in task.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    methods = [node.name for node in task.body if isinstance(node, ast.FunctionDef)]
    assert {name for name in (*fields, *methods) if not name.startswith("_")} == set(TASK_ATTRIBUTES)


def test_expressions_may_be_deep(tmp_path: Path) -> None:
    assert "neither in the submission" in said(
        tmp_path, f"x = {'1 + ' * 1500}__import__('timm'); import timm"
    )


@pytest.mark.parametrize(
    ("loop", "found"),
    [
        ("for epoch in range(8)", False),
        ("for epoch in range(epochs)", False),
        ("for step, batch in enumerate(loader)", False),
        ("while loss > 0.1", True),
        ("while True", True),
        ("for step in itertools.count()", True),
        ("for step, batch in enumerate(itertools.cycle(loader))", True),
        ("for step in itertools.repeat(None, 8)", False),
        ("for step in itertools.repeat(None)", True),
        ("for batch in iter(draw, None)", True),
        ("for batch in iter(loader)", False),
    ],
)
def test_a_loop_that_no_number_of_rounds_bounds_is_known(tmp_path: Path, loop: str, found: bool) -> None:
    code = f"import itertools\ndef train(task):\n    {loop}:\n        pass\n    return None\n"
    assert look(tmp_path, code).unbounded == (("submission.py:3",) if found else ())
