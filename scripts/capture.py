"""Runs a command on a terminal of its own and draws what was on it as an SVG picture.

Usage: python -m scripts.capture PICTURE.svg COMMAND…; the pictures in docs/images were made with it.
"""

import io
import os
import pty
import re
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 100


def run_on_terminal(command: list[str]) -> str:
    """Everything that the command wrote to its terminal, escape sequences included."""
    written = bytearray()

    def read(descriptor: int) -> bytes:
        part = os.read(descriptor, 65536)
        written.extend(part)
        return part

    # Fixed, so that the picture does not depend on the terminal of whoever makes it.
    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": "40", "TERM": "xterm-256color"}
    # A pseudo-terminal: without one the program would print neither colours nor its live display.
    pty.spawn(command, read)
    return written.decode(errors="replace")


def last_state(written: str) -> str:
    """The lines that stayed: a live display that was drawn over is left out."""
    kept: list[str] = []
    for line in written.replace("\r\n", "\n").split("\n"):
        # The live display goes up a line for each line that it draws over.
        while "\x1b[1A" in line and kept:
            kept.pop()
            line = line.replace("\x1b[1A", "", 1)
        kept.append(
            line.rsplit("\r", 1)[-1].replace("\x1b[2K", "").replace("\x1b[?25l", "").replace("\x1b[?25h", "")
        )
    return "\n".join(line for line in kept if line.strip())


def draw(path: Path, command: list[str], screen: str) -> None:
    """Write the picture. It asks for no fonts from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ ", "bold green") + Text(shlex.join(command), "bold"))
    console.print(Text.from_ansi(screen))
    picture = console.export_svg(title="haet-eval")
    # Rich's template loads fonts from another server, which a page of documentation should not do.
    path.write_text(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    target, *words = sys.argv[1:]
    draw(Path(target), words, last_state(run_on_terminal(words)))
