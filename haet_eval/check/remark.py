"""What a look at the code found, without running it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Remark:
    """Advice on one line of a submission. A look can be wrong, so it decides nothing.

    Attributes:
        path: as in the archive.
        line: from 1 on.
        text: what would happen there, and what to write instead.
    """

    path: str
    line: int
    text: str
