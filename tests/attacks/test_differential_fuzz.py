"""After each record, accepted or not, every tensor of the executor is what the meter takes it for.

A sample of all operators in a minute; HAET_DIFFERENTIAL_FUZZ_SECONDS asks for more, and -s shows the table.
"""

import os
import sys

from tests.attacks.differential.fuzz import fuzz, report
from tests.attacks.differential.world import End

SECONDS = float(os.environ.get("HAET_DIFFERENTIAL_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("HAET_FUZZ_SEED", "1"))
THOROUGH_SECONDS = 1800

NEVER_REPEATED = {
    **dict.fromkeys(
        (
            "aten.adaptive_max_pool2d_backward.default",
            "aten.adaptive_max_pool3d_backward.default",
            "aten.max_pool2d_with_indices_backward.default",
            "aten.max_pool3d_with_indices_backward.default",
        ),
        "takes indices of one origin only; the battery runs it with the pooling that made them",
    ),
}
"""Operators whose calls the fuzz cannot make, each with the reason."""


def test_books_and_tensors_agree_after_every_record() -> None:
    found = fuzz(SECONDS, SEED)
    sys.stdout.write(report(found))
    differences = [difference for one in found.values() for difference in one.differences]
    assert not differences, "\n".join(differences)
    assert sum(one.ends[End.CACHED] for one in found.values()) > 10 * SECONDS
    if SECONDS >= THOROUGH_SECONDS:
        never = {name for name, one in found.items() if not (one.ends[End.ACCEPTED] and one.ends[End.CACHED])}
        assert never == set(NEVER_REPEATED)
