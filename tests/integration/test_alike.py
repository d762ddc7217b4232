"""The same entry gives the same result, whatever the machine has installed and whenever it runs."""

import importlib.util
import re
import sysconfig
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.record import Record
from haet_eval.remote.image_packages import IMAGE_MODULES
from haet_eval.runtimes import packages
from haet_eval.runtimes.image_files import sandbox_folder
from haet_eval.submission import load_submission
from tests.fixtures.submissions import write_submission

DRAWS = """
import os, platform, random, secrets, socket, tempfile, uuid
import numpy as np

NAMES = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"}
BYTES = {name.encode() for name in NAMES}

def train(task):
    model = Linear()
    layers = [nn.Linear(2, 2) for _ in range(9)]
    tensors = [torch.ones(1) for _ in range(9)]
    print(list(NAMES), list(BYTES), hash("x"))
    print([layers.index(one) for one in set(layers)])
    print([next(i for i, two in enumerate(tensors) if two is one) for one in set(tensors)])
    print(uuid.uuid4(), uuid.getnode(), os.urandom(3), secrets.token_hex(4), random.SystemRandom().random())
    print(random.Random().random(), np.random.default_rng().random(), np.random.RandomState().rand())
    print(socket.gethostname(), socket.getfqdn(), platform.node(), os.uname().nodename)
    random.seed()
    np.random.seed(None)
    print(random.random(), np.random.rand(), torch.seed(), torch.rand(1).item())
    print(sorted(name for name in os.environ if name not in ("HOME", "TMPDIR")))
    return model
"""


def judged(tmp_path: Path, code: str, number: int = 0, seed: int = 0) -> Record:
    folder = write_submission(tmp_path / "it", code)
    request = Request(folder, tmp_path, tmp_path / f"results{number}", sandbox="process", seed=seed)
    return evaluate(request).record


def test_a_fresh_interpreter_draws_and_orders_as_the_one_before(tmp_path: Path) -> None:
    first, second = (judged(tmp_path, DRAWS, number).log for number in (1, 2))
    assert first.head.count("\n") == 8, first.head
    assert first == second
    other = judged(tmp_path, DRAWS, 3, seed=1).log.head.splitlines()
    before = first.head.splitlines()
    assert [one == two for one, two in zip(before, other, strict=True)] == [
        *(True, True, True, False, False, True, False, True)
    ]


@pytest.fixture
def installed() -> Iterator[str]:
    """A package that is installed here, and that the image does not have."""
    name = "only_on_this_machine"
    path = Path(sysconfig.get_path("purelib")) / f"{name}.py"
    path.write_text("raise SystemExit('it was imported')\n")
    importlib.invalidate_caches()
    assert importlib.util.find_spec(name) is not None
    yield name
    path.unlink()


def test_a_package_that_the_image_has_not_cannot_be_imported(tmp_path: Path, installed: str) -> None:
    record = judged(
        tmp_path,
        f"""
        import importlib.util

        def train(task):
            for name in ("{installed}", "click", "scipy", "pytest", "no_such"):
                found = importlib.util.find_spec(name) is not None
                print(name, found)
            import {installed}
        """,
    )
    assert record.status.reason.startswith(f"ModuleNotFoundError: No module named '{installed}'")
    assert [line.split()[1] for line in record.log.head.splitlines()[:5]] == ["False"] * 5


def test_a_module_of_the_submission_may_be_called_like_a_package_that_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "it").mkdir()
    (tmp_path / "it" / "click.py").write_text("LAYERS = 3\n")
    code = "import click\ndef train(task):\n    print(click.LAYERS)\n    return Linear()"
    assert judged(tmp_path, code).log.head == "3\n"


def test_einsum_multiplies_from_left_to_right(tmp_path: Path) -> None:
    """By definition: 64·64·(2·64 - 1) + 64·1·(2·64 - 1) operations; from right to left it would be 16,256."""
    record = judged(
        tmp_path,
        """
        def train(task):
            a, b, c = torch.ones(64, 64), torch.ones(64, 64), torch.ones(64, 1)
            torch.einsum("ij,jk,kl->il", a, b, c)
            return nn.Identity()
        """,
    )
    assert record.training is not None
    assert record.training.operations.total == 520_192 + 8_128


def test_the_packages_that_are_not_hidden_are_those_of_the_list() -> None:
    text = (sandbox_folder() / "constraints.txt").read_text("utf-8")
    other_names = {"pillow": "PIL"}
    listed = {
        other_names.get(name.lower(), name.lower().replace("-", "_"))
        for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    }
    pytorchs = {
        *("_distutils_hack", "cuda", "functorch", "isympy", "nvidia", "pkg_resources", "setuptools"),
        *("torchgen", "triton", "haet_eval"),
    }
    assert listed | pytorchs == IMAGE_MODULES


def test_results_in_the_folder_of_a_submission_are_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_submission(tmp_path / "it", "def train(task):\n    task.report(a=1)\n    return Linear()")
    before = load_submission(folder)
    monkeypatch.chdir(folder)
    for _ in range(2):
        record = evaluate(Request(Path(), tmp_path, Path("results"), sandbox="process")).record
        assert record.submission.sha256 == before.sha256
        assert len(record.submission.files) == 2
    assert load_submission(folder) == before


def test_packages_of_other_versions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "version", lambda name: "1.0+cpu" if name == "numpy" else version(name))
    (told,) = [line for line in packages.differing_packages() if line.startswith("numpy")]
    assert re.fullmatch(r"numpy 1\.0 \(the image has [0-9.]+\)", told)
