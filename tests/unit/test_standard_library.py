"""A name is valid for every haet-eval alike: by the Python of the sandbox image, not by that of the host."""

import sys
from pathlib import Path

import pytest

from haet_eval.archive.standard_library import STANDARD_LIBRARY

VERSION = (3, 11)


def test_the_list_is_of_the_python_of_the_image() -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    assert f"FROM python:{VERSION[0]}.{VERSION[1]}-slim" in dockerfile


@pytest.mark.skipif(sys.version_info[:2] != VERSION, reason="only that version of Python knows its list")
def test_the_list_is_complete() -> None:
    assert sys.stdlib_module_names == STANDARD_LIBRARY
