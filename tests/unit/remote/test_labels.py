"""Labels of calls: what the submission says of them is kept, bounded, and believed by nobody."""

import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from haet_eval.remote.client.labels import Labeller
from haet_eval.remote.client.own_code import OwnCode
from haet_eval.remote.client.phase import PhaseTracker
from haet_eval.remote.labels import MOST_LABELS, NO_LABEL, Label, TemplateLabels
from haet_eval.remote.messages import Labelled, from_submission
from haet_eval.remote.wire import WireError

NOWHERE = Path("/none")
LABEL = Label("submission.py:3", "Net.head")


def test_labels_come_back_from_their_file() -> None:
    labels = TemplateLabels([(7, LABEL), (2, Label("model/net.py:9", ""))])
    read = TemplateLabels.from_json(labels.to_json())
    assert [read.of(number) for number in (2, 7, 8, None)] == [
        Label("model/net.py:9", ""),
        LABEL,
        NO_LABEL,
        NO_LABEL,
    ]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[[1, 2, 3]]", b'[["1", "a"]]', b'[[1, "' + b"a" * 201 + b'", ""]]']
)
def test_another_file_is_no_labels(data: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        TemplateLabels.from_json(data)


def test_the_last_label_of_a_number_stands_as_those_before_were_refused() -> None:
    labels = TemplateLabels()
    labels.add(0, NO_LABEL)
    labels.add(0, LABEL)
    assert labels.of(0) == LABEL


def test_no_more_labels_are_kept_than_there_may_be() -> None:
    labels = TemplateLabels((number, LABEL) for number in range(MOST_LABELS))
    labels.add(MOST_LABELS, LABEL)
    labels.add(3, NO_LABEL)
    assert len(labels) == MOST_LABELS
    assert labels.of(3) == NO_LABEL


def test_a_label_that_is_too_long_breaks_the_protocol() -> None:
    message = Labelled(template=0, line="a" * 200, module="").encode()
    assert isinstance(from_submission(message), Labelled)
    with pytest.raises(WireError, match="at most 200 characters"):
        from_submission(message.replace(b"aaa", b"aaaa"))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Identity(), nn.ReLU())


def told(folder: Path, modules: list[nn.Module]) -> Labelled:
    found: list[bytes] = []
    Labeller(OwnCode(folder), lambda: modules, found.append).label(5)
    message = from_submission(found[0])
    assert isinstance(message, Labelled)
    return message


def test_a_module_is_named_by_those_around_it() -> None:
    net = Net()
    stack = [net, net.layers, net.layers[1]]
    assert [told(NOWHERE, stack[:depth]).module for depth in range(4)] == [
        "",
        "Net",
        "Net.layers",
        "Net.layers.1",
    ]
    assert told(NOWHERE, [net, torch.nn.ReLU()]).module == "Net.ReLU"


def test_modules_of_another_thread_are_not_around_those_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "__call__", nn.Module.__call__)
    tracker, seen = PhaseTracker(), {}
    tracker.install()

    class Inner(nn.Module):
        def forward(self) -> None:
            seen["inner"] = list(tracker.modules())

    class Outer(nn.Module):
        def forward(self) -> None:
            thread = threading.Thread(target=inner)
            thread.start()
            thread.join()
            seen["outer"] = list(tracker.modules())

    inner, outer = Inner(), Outer()
    outer()
    assert seen == {"inner": [inner], "outer": [outer]}


def test_a_name_of_any_characters_and_length_is_cut_to_the_limit() -> None:
    net = nn.Sequential()
    net.add_module("\udc80" * 100, nn.ReLU())
    assert told(NOWHERE, [net, net[0]]).module == ("Sequential." + "\\udc80" * 100)[:200]


def test_code_of_others_has_no_line() -> None:
    assert told(NOWHERE, []) == Labelled(template=5, line="", module="")
