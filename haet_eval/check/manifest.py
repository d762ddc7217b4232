"""The manifest: text of the template that the contestant has not replaced."""

from collections.abc import Iterator, Mapping
from typing import Final

from haet_eval.check.remark import Remark
from haet_eval.submission.manifest import MANIFEST_NAME

PLACEHOLDER: Final = "Replace this text:"
"""How the template's description asks to be replaced. A test compares it with the template."""


def check_manifest(files: Mapping[str, bytes]) -> Iterator[Remark]:
    """A remark on the line of the placeholder, if it is there; `files` has the manifest as it was written."""
    # The loader has read the manifest before, so it is valid UTF-8.
    lines = files.get(MANIFEST_NAME, b"").decode("utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        if PLACEHOLDER in line:
            text = "the description is the template's: write what your method does, or name a paper."
            yield Remark(MANIFEST_NAME, number, text)
