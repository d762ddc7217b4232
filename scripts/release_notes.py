"""Print what CHANGELOG.md says of one version. Usage: python -m scripts.release_notes VERSION."""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def release_notes(version: str, changelog: str) -> str:
    """What stands below the heading of a version.

    Raises:
        LookupError: there is no such heading, or nothing below it.
    """
    sections = re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]
    for section in sections:
        # A heading is a version alone or in brackets with a date after it.
        heading, _, body = section.partition("\n")
        if heading.strip("[]").split("]")[0].split()[0] == version and body.strip():
            return body.strip() + "\n"
    raise LookupError(f"CHANGELOG.md says nothing of {version}")


if __name__ == "__main__":
    print(release_notes(sys.argv[1], CHANGELOG.read_text(encoding="utf-8")), end="")
