"""The screen is given hostile text on purpose: nothing of it may act on the terminal."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from haet_eval.cli.screen import (
    SECONDS_BETWEEN_LINES,
    LiveScreen,
    PlainScreen,
    open_screen,
    progress_text,
    values_text,
)
from haet_eval.cli.summary import print_summary
from haet_eval.errors import Verdict
from haet_eval.progress import Tick
from tests.fixtures.records import make_record

HOSTILE = "\x1b[31m[bold]evil[/bold]\r\u202e:smile:"


def tick(seconds: float, operations: int = 1000) -> Tick:
    return Tick("train", seconds, 600.0, operations)


def test_plain_lines_if_stderr_is_not_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with open_screen() as screen:
        screen.stage("train", "a net")
        screen.report({"epoch": "3", "loss": "0.41"})
        screen.tick(tick(SECONDS_BETWEEN_LINES))
        screen.note("noted")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "train: a net\ntrain: 10.0 s of 600 s, 1,000 operations epoch=3 loss=0.41\nnoted\n"
    )


def test_plain_lines_do_not_flood_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    for tenth in range(1000):
        screen.report({"step": str(tenth)})
        screen.tick(tick(tenth / 10))
        screen.transfer("cifar10", tenth, 1000)
    assert len(capsys.readouterr().err.splitlines()) == 9 + 1


def test_plain_lines_are_made_of_printable_text(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.stage("train", HOSTILE)
    screen.report({HOSTILE: HOSTILE})
    screen.tick(tick(99))
    screen.note(HOSTILE)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert not any(character in line for line in lines for character in "\x1b\r\u202e")


def test_reported_values_fit_on_a_line() -> None:
    many = {f"a very long name of a value that goes on {index}": "9" * 1000 for index in range(1000)}
    assert len(values_text(many)) < 800
    assert values_text(many).endswith(" …")


def test_live_view_shows_the_stage_and_takes_no_orders() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=False, markup=False, emoji=False)
    screen = LiveScreen(console)
    screen.stage("train", HOSTILE)
    screen.tick(tick(12.5, operations=1_234_000_000))
    screen.report({"loss": HOSTILE})
    with console.capture() as captured:
        console.print(screen)
    shown = captured.get()
    assert "12.5 s of 600 s, 1.234×10⁹ operations" in shown
    assert "[bold]evil[/bold]" in shown
    assert ":smile:" in shown
    assert not any(character in shown for character in "\x1b\r\u202e")


def test_live_view_on_a_real_terminal_leaves_finished_stages_and_keeps_stdout_clean() -> None:
    code = (
        "from haet_eval.cli.screen import open_screen\n"
        "with open_screen() as screen:\n"
        "    screen.stage('unpack', 'here')\n"
        "    screen.stage('train', 'a net')\n"
        "print('{}')\n"
    )
    terminal, end = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=end, env=environment, check=True
    )
    os.close(end)
    seen = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert done.stdout == b"{}\n"
    assert "✓" in seen
    assert "here" in seen
    assert "\x1b[?25h" in seen  # the cursor is shown again


def test_summary_of_a_qualified_record(capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(make_record(), Path("results/record.json"))
    captured = capsys.readouterr()
    assert captured.err == ""
    rows = dict(
        line.split(maxsplit=1) for line in captured.out.splitlines() if not line.startswith(("=", "+"))
    )
    assert rows["verdict"] == "qualified"
    assert rows["accuracy"] == "94.12 % (9,412 of 10,000 test images)"
    assert rows["complexity"] == "1.000×10¹⁷"
    assert rows["record"] == "results/record.json"
    assert "= parameters  11,000,000" in captured.out
    assert "+ operations  1.000×10¹⁷" in captured.out


def test_summary_of_a_failure_says_why_and_shows_the_end_of_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = "\n".join(f"line {number}" for number in range(100)) + f"\n    raise {HOSTILE}\n"
    record = make_record(verdict=Verdict.FAILED, reason="train raised ValueError", log=log, name=HOSTILE)
    print_summary(record, Path("record.json"))
    shown = capsys.readouterr().out
    assert "verdict       failed" in shown
    assert "reason        train raised ValueError" in shown
    assert "line 99" in shown
    assert "line 10\n" not in shown
    assert "    raise " in shown
    assert not any(character in shown for character in "\x1b\r\u202e")


def test_a_stage_that_reports_epochs_shows_its_percentage_and_the_time_left() -> None:
    shown = progress_text(Tick("train", 1200.0, 21_600.0, 10**12, share=1 / 3, seconds_left=2400.0))
    assert shown == "1,200.0 s of 21,600 s, 33 % done, about 40 min left, 1.000×10¹² operations"
    at_the_end = progress_text(Tick("train", 3600.0, 21_600.0, None, share=1.0))
    assert at_the_end == "3,600.0 s of 21,600 s, 100 % done"
