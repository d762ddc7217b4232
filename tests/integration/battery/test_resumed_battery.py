"""The programs of the battery, interrupted and continued: the same bits as without an interruption."""

from pathlib import Path

import pytest
import torch

from tests.fixtures.resuming import course_in, interrupted_at
from tests.integration.battery.pair import RemoteRun, run_remotely, whole_theme

pytestmark = pytest.mark.slow

THEMES = [
    *("augmentation", "autocast", "functional", "indexing", "linalg", "loops", "optimizers"),
    *("quantization", "randomness", "reading", "views"),
]


def assert_same(found: RemoteRun, expected: RemoteRun) -> None:
    assert found.trace_sha256 == expected.trace_sha256
    assert found.operations == expected.operations
    assert found.memory == expected.memory
    assert found.unpriced == expected.unpriced
    assert found.results.keys() == expected.results.keys()
    apart = [
        name
        for name, result in found.results.items()
        if not torch.equal(_bits(result), _bits(expected.results[name]))
    ]
    assert not apart


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """Bytes, so that NaN is equal to itself, and zero has a sign."""
    return tensor.contiguous().reshape(-1).view(torch.uint8)


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_that_goes_on_at_a_checkpoint_gives_the_same_bits(theme: str, tmp_path: Path) -> None:
    course, notes = course_in(tmp_path, resume=False)
    assert_same(run_remotely(theme, course=course), whole_theme(theme))
    assert not notes.notes
    assert course.home is not None
    course.home.unlock()
    for share in (0.6, 0.2):
        interrupted_at(tmp_path, share)
        course, notes = course_in(tmp_path, resume=True, every_seconds=1e9)
        assert_same(run_remotely(theme, course=course), whole_theme(theme))
        assert not notes.notes
        assert course.home is not None
        course.home.unlock()
