"""What a submission's own mistakes are called: its entry point, what it returns, what it imports."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.remote.client.link import Refusal
from haet_eval.remote.client.returned import module_or_mistake
from haet_eval.remote.client.source import explain, install_source, load_function
from haet_eval.remote.messages import Failed, from_submission
from haet_eval.remote.wire import WireError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "argv", ["worker", "meter.sock"])
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("theirs", None)


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        ("train = 3", "train of theirs is int and no function"),
        ("def train(): ...", r"train\(\) cannot be called with the task alone"),
        ("def train(task, lr): ...", r"train\(task, lr\) cannot be .*'lr'\): write `def train\(task\):`"),
        ("def train(*, task): ...", r"train\(\*, task\) cannot be"),
    ],
)
def test_an_entry_point_that_cannot_be_called(folder: Path, source: str, mistake: str) -> None:
    install_source(folder, {"theirs.py": source})
    with pytest.raises(TypeError, match=mistake):
        load_function("theirs", "train")


@pytest.mark.parametrize(
    "source", ["def train(task, lr=1): ...", "class train:\n def __init__(self, t): ..."]
)
def test_an_entry_point_that_can(folder: Path, source: str) -> None:
    install_source(folder, {"theirs.py": source})
    assert load_function("theirs", "train").__name__ == "train"


@pytest.mark.parametrize(
    ("returned", "advice"),
    [
        (None, "train() returned NoneType; it must return a torch.nn.Module: end it with `return model`"),
        ({}, "and not its state_dict()"),
        ((torch.nn.Flatten(), 3), "return the model alone"),
        (torch.nn.Flatten, "as in `return Flatten()`"),
        (torch.zeros(3), "train() returned Tensor; it must return a torch.nn.Module"),
    ],
)
def test_a_result_that_is_not_a_module(returned: object, advice: str) -> None:
    with pytest.raises(TypeError) as caught:
        module_or_mistake(returned)
    assert advice in str(caught.value)


def test_an_error_from_outside_the_submission_is_reported_once(tmp_path: Path) -> None:
    failed = explain(TypeError("train() returned int"), tmp_path)
    assert (failed.reason, failed.traceback) == ("TypeError: train() returned int", "")


def test_a_missing_module_is_reported_with_the_available_ones(folder: Path) -> None:
    install_source(folder, {"theirs.py": "import wandb_of_theirs"})
    with pytest.raises(ModuleNotFoundError) as caught:
        load_function("theirs", "train")
    failed = explain(caught.value, folder)
    assert failed.reason == (
        "ModuleNotFoundError: No module named 'wandb_of_theirs'; next to the submission's own there are "
        "torch, torchvision, numpy, PIL and Python's (theirs.py, line 1)"
    )
    assert failed.traceback.startswith("Traceback of the submission")


@pytest.mark.parametrize(
    ("said", "times"), [("It is used in theirs.py, line 1.", 1), ("theirs.py, line 12", 2)]
)
def test_a_line_that_the_message_names_is_not_named_again(folder: Path, said: str, times: int) -> None:
    install_source(folder, {"theirs.py": f"raise ValueError({said!r})"})
    with pytest.raises(ValueError, match="theirs") as caught:
        load_function("theirs", "train")
    assert explain(caught.value, folder).reason.count("theirs.py, line 1") == times


def test_a_refusal_is_its_message_and_its_code(tmp_path: Path) -> None:
    failed = explain(Refusal("Not here.", code="handle-x"), tmp_path)
    assert (failed.reason, failed.code) == ("Not here.", "handle-x")


def test_the_code_of_a_refusal_is_that_of_an_error_which_repeats_its_text(tmp_path: Path) -> None:
    wrapped = ValueError("step 3: Not here. [handle-x]")
    wrapped.__cause__ = Refusal("Not here.", code="handle-x")
    failed = explain(wrapped, tmp_path)
    assert (failed.reason, failed.code) == ("ValueError: step 3: Not here.", "handle-x")


def test_an_error_that_says_something_else_than_the_refusal_before_it_has_no_code(tmp_path: Path) -> None:
    other = ValueError("no numbers")
    other.__context__ = Refusal("Not here.", code="handle-x")
    assert explain(other, tmp_path).code == ""


@pytest.mark.parametrize(
    "source",
    [
        "error = ValueError('no numbers')\nraise error from error",
        (
            "error = ValueError('no numbers')\ncause = KeyError()\n"
            "error.__cause__, cause.__context__ = cause, error\nraise error"
        ),
        (
            "class Doubtful(Exception):\n    def __bool__(self): raise KeyError\n"
            "raise ValueError('no numbers') from Doubtful()"
        ),
    ],
    ids=["itself", "a circle", "no truth"],
)
def test_an_error_with_strange_causes_is_reported(folder: Path, source: str) -> None:
    install_source(folder, {"theirs.py": source})
    with pytest.raises(ValueError, match="no numbers") as caught:
        load_function("theirs", "train")
    failed = explain(caught.value, folder)
    assert failed.code == ""
    assert failed.reason.startswith("ValueError: no numbers (theirs.py, line ")


def test_a_code_that_no_handle_has_breaks_the_protocol() -> None:
    with pytest.raises(WireError):
        from_submission(b'{"kind": "failed", "reason": "x", "traceback": "", "code": "below-threshold"}')


def test_an_error_without_words_is_its_name(tmp_path: Path) -> None:
    assert explain(AssertionError(), tmp_path).reason == "AssertionError"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            'raise ValueError(b"caf\\xe9.txt".decode("utf-8", "surrogateescape"))',
            "ValueError: caf\\udce9.txt (theirs.py, line 1)",
        ),
        ('raise ValueError("\\ud800" * 99_999)', "ValueError: \\ud800"),
        (
            "class Odd(Exception):\n    def __str__(self): return 3\nraise Odd",
            "Odd: its text cannot be had: str() of it raised TypeError (theirs.py, line 3)",
        ),
        (
            "class Odd(Exception):\n    def __str__(self): raise KeyError\nraise Odd",
            "Odd: its text cannot be had: str() of it raised KeyError (theirs.py, line 3)",
        ),
        (
            'error = ValueError("x")\nerror.add_note("\\udce9")\nraise error',
            "ValueError: x (theirs.py, line 3)",
        ),
        ('error = ValueError("x")\nerror.__notes__ = 3\nraise error', "ValueError: x (theirs.py, line 3)"),
    ],
)
def test_an_error_of_any_text_can_be_sent_with_its_line(folder: Path, source: str, said: str) -> None:
    install_source(folder, {"theirs.py": source})
    with pytest.raises(Exception) as caught:  # noqa: PT011 whatever it is
        load_function("theirs", "train")
    received = from_submission(explain(caught.value, folder).encode())
    assert isinstance(received, Failed)
    assert received.reason.startswith(said)
    assert received.reason.endswith(")")
    assert 'File "theirs.py"' in received.traceback or len(received.traceback) == 20_000


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_of_a_submission_arrives_escaped(text: str) -> None:
    escaped = text.encode("utf-8", "backslashreplace").decode()
    received = from_submission(Failed(reason=text, traceback=text).encode())
    assert received == Failed(reason=escaped, traceback=escaped)


def test_exit_is_reported_with_the_advice_to_return(tmp_path: Path) -> None:
    said = "SystemExit: 2; end the training with `return model` and not with exit()"
    assert explain(SystemExit(2), tmp_path).reason == said


def test_argument_parsers_of_a_submission_see_an_empty_command_line(folder: Path) -> None:
    install_source(folder, {"theirs.py": "import sys\nargv = sys.argv[1:]\ndef train(task): ..."})
    load_function("theirs", "train")
    assert sys.modules["theirs"].argv == []


def test_a_network_error_is_reported_with_the_missing_network(tmp_path: Path) -> None:
    assert "the sandbox has no network" in explain(URLError("Name or service not known"), tmp_path).reason
