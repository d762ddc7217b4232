"""What is shown of a batch: lines, JSON lines and a live view, of texts that are not to be trusted."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from haet_eval.batch.events import (
    Event,
    GivenUp,
    Moved,
    Noted,
    Planned,
    Retried,
    RunStarted,
    SubmissionJudged,
)
from haet_eval.batch.plan import SubmissionState
from haet_eval.cli.batch_view import JsonLines, LiveView, PlainLines
from haet_eval.errors import Verdict
from haet_eval.progress import Tick

HOSTILE = "a\x1b[2J.zip"
EVENTS: tuple[Event, ...] = (
    Planned("a.zip", 0, SubmissionState.NEW),
    Planned(HOSTILE, 0, SubmissionState.NEW),
    Planned("done.zip", 0, SubmissionState.DONE, "results/x.json"),
    Noted("No worker is there yet; waiting for one."),
    RunStarted("a.zip", 1),
    RunStarted(HOSTILE, 1),
    Moved("a.zip", "node7", "unpack"),
    Moved("a.zip", "node7", "train", Tick("train", 3.0, 60.0, 1234)),
    Retried(HOSTILE, 1, 2.0, "the engine \x1b[31mdied"),
    RunStarted(HOSTILE, 2),
)
ENDS: tuple[Event, ...] = (
    SubmissionJudged("a.zip", Verdict.QUALIFIED, "0" * 16, Path("results/a.json"), 2**70, 0.95, 12.0),
    GivenUp(HOSTILE, "the engine died", "start it"),
)


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainLines()
    for event in EVENTS + ENDS:
        view.tell(event)
    out, err = capsys.readouterr()
    assert not out
    assert "\x1b" not in err
    lines = err.splitlines()
    assert lines[0] == "done.zip: done (results/x.json)"
    assert lines[1].startswith("No worker")
    assert "a.zip: started" in lines
    assert any(line.endswith("started, attempt 2") for line in lines)
    assert any("again in 2 s" in line for line in lines)
    assert any(line.startswith("[1/2] a.zip: qualified (95.00 %") for line in lines)
    assert "could not be judged: the engine died" in lines[-1]


def test_json_lines_are_one_for_each_event_but_progress(capsys: pytest.CaptureFixture[str]) -> None:
    view = JsonLines()
    for event in EVENTS + ENDS:
        view.tell(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["planned"] * 3 + ["started"] * 2 + ["retried", "started", "finished", "given_up"]
    assert [line["event"] for line in lines] == names
    finished = lines[-2]
    assert finished["complexity"] == str(2**70)
    assert (finished["verdict"], finished["record"]) == ("qualified", "results/a.json")


def test_the_live_view_shows_what_runs_and_how_far_it_is() -> None:
    output = io.StringIO()
    console = Console(file=output, width=120, force_terminal=True, color_system=None)
    view = LiveView(console)
    for event in EVENTS:
        view.tell(event)
    output.truncate(0)
    console.print(view)
    shown = output.getvalue()
    assert "0 of 2 judged · 2 running · 0 queued" in shown
    assert "train" in shown
    assert "3.0 s of 60 s" in shown
    assert "node7" in shown
    assert "waiting" in shown
    assert "\x1b" not in shown
    for event in ENDS:
        view.tell(event)
    console.print(view)
    assert "1 of 2 judged · 0 running · 0 queued · 1 could not be judged" in output.getvalue()
