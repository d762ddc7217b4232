"""Python's garbage, collected at fixed counts of records.

A tensor that only garbage refers to lives until that is collected. Python collects after so many allocations,
and how many there are differs between two equal runs: so would their traces, and their peak memory.
"""

import gc
from typing import Any, Final

COLLECTED_RECORDS: Final = 512
OLDER: Final = 8


class Garbage:
    """Counts the records that are sent, and collects; before `install` it leaves that to Python.

    It looks at young objects after each COLLECTED_RECORDS records, at older ones at each OLDER-th of these
    times, and at all at each OLDER-th of those. Records are counted when they are sent, so a collection comes
    with the first frame that reaches such a number.
    """

    def __init__(self) -> None:
        self._records = 0
        self._collections = 0
        self._installed = False

    def install(self) -> None:
        """Switch Python's own collection off for good; what lives now is never looked at again."""
        gc.disable()
        # The imported modules stay to the end. Full collections would go through all of their objects for
        # nothing.
        gc.freeze()
        switches: Any = gc
        # `timeit` and others switch the collection off and on again. It would then be on, at moments that
        # differ between equal runs.
        switches.enable = switches.disable = lambda: None
        # What such code sees is an ordinary interpreter.
        switches.isenabled = lambda: True
        self._installed = True

    def after(self, records: int) -> None:
        """So many more records were sent."""
        self._records += records
        if self._records >= COLLECTED_RECORDS and self._installed:
            self._records = 0
            self._collections += 1
            # The sum is Python's generation: 0, or 1 at each OLDER-th time, or 2 at each OLDER-th of these.
            gc.collect(sum(not self._collections % times for times in (OLDER, OLDER**2)))
