"""After each record, accepted or not, every tensor of the executor is what the meter takes it for.

Each allowed operator is visited once, and again for as long as HAET_DIFFERENTIAL_FUZZ_SECONDS says.
"""

import os
import sys

from haet_eval.remote.operators.allowed import allowed_operators
from tests.attacks.differential.fuzzer import fuzz

SECONDS = float(os.environ.get("HAET_DIFFERENTIAL_FUZZ_SECONDS", "0"))
SEED = int(os.environ.get("HAET_DIFFERENTIAL_FUZZ_SEED", "1"))
TRIALS = 2


def test_books_and_tensors_agree_after_every_record() -> None:
    report = fuzz(SEED, SECONDS, TRIALS)
    sys.stdout.write(report.table())
    assert report.outcomes.keys() == allowed_operators()
    assert not report.findings, "\n".join(finding.shown() for finding in report.findings.values())
