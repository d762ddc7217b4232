"""What several tests of whole evaluations begin with."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.batches import Batches
from tests.fixtures.evaluator import Evaluator


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[Evaluator]:
    """The program, with folders of its own."""
    evaluator = Evaluator(tmp_path)
    temporary = evaluator.temporary  # a test may name another one
    yield evaluator
    shutil.rmtree(temporary)


@pytest.fixture
def batches(tmp_path: Path) -> Iterator[Batches]:
    """The program that evaluates a folder of submissions, with folders of its own."""
    batches = Batches(tmp_path)
    yield batches
    shutil.rmtree(batches.temporary)
