"""Where the submission's own code is, of all the code that is running."""

import linecache
import sys
from pathlib import Path
from types import FrameType
from typing import Final

_SHOWN_CHARACTERS: Final = 60


class OwnCode:
    """Finds the line of the submission that is running.

    Args:
        folder: where its files lie.
    """

    def __init__(self, folder: Path) -> None:
        # With the slash: a folder whose name only begins alike is not the submission's.
        self._prefix = f"{folder}/"

    def frame(self) -> FrameType | None:
        """The innermost frame of the submission's own code; None if only other code is running."""
        # By hand, as `inspect.stack` reads the source of every frame, and this runs for each value that is
        # read.
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and not frame.f_code.co_filename.startswith(self._prefix):
            frame = frame.f_back
        return frame

    def place(self) -> str:
        """That line, as in `submission.py, line 12`; empty if there is no such line."""
        frame = self.frame()
        return self.name(frame.f_code.co_filename, frame.f_lineno) if frame else ""

    def name(self, path: str, line: int) -> str:
        """A line of one of its files in words."""
        return f"{self.relative(path)}, line {line}"

    def relative(self, path: str) -> str:
        """The path of one of its files within the submission."""
        return path.removeprefix(self._prefix)

    @staticmethod
    def text(path: str, line: int) -> str:
        """What stands there, on one short line."""
        found = linecache.getline(path, line).strip()
        return found if len(found) <= _SHOWN_CHARACTERS else f"{found[:_SHOWN_CHARACTERS]}…"
