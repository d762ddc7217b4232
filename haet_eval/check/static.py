"""The look at a submission's code. Nothing of it is run."""

from dataclasses import dataclass
from typing import Literal

from haet_eval.check.calls import check_calls, clock_places, unbounded_loops
from haet_eval.check.entry import check_entry
from haet_eval.check.imports import check_imports, sandbox_packages
from haet_eval.check.literals import HeavyLiteral, heaviest_literals
from haet_eval.check.manifest import check_manifest
from haet_eval.check.remark import Remark
from haet_eval.check.source import parse_sources
from haet_eval.submission import Submission


@dataclass(frozen=True, slots=True)
class StaticCheck:
    """What was found: remarks in the order of files and lines, where the code looks at a clock, literals.

    `unbounded` are the loops that no number of rounds bounds, as `submission.py:12`.
    """

    remarks: tuple[Remark, ...]
    clock: tuple[str, ...]
    literals: tuple[HeavyLiteral, ...] = ()
    unbounded: tuple[str, ...] = ()


def look_at(submission: Submission, tensors: Literal["handles", "plain"] = "handles") -> StaticCheck:
    """Look at a submission's manifest and at every Python file.

    Args:
        submission: the files that were read.
        tensors: what its training is given.
    """
    sources, remarks = parse_sources(submission.files)
    importable = sandbox_packages()
    remarks += check_manifest(submission.files)
    # The entry module may be a file or a package.
    stem = submission.module.replace(".", "/")
    for source in sources:
        remarks += check_imports(source, submission.files, importable)
        if tensors == "handles":
            remarks += check_calls(source, submission.files)
        if source.path in (f"{stem}.py", f"{stem}/__init__.py"):
            remarks += check_entry(source, submission.function)
    clock = [place for source in sources for place in clock_places(source)]
    literals = heaviest_literals(sources, submission.files)
    unbounded = [place for source in sources for place in unbounded_loops(source)]
    # Two calls on one line make one remark. The order of files in the archive must not show.
    return StaticCheck(
        tuple(sorted(set(remarks))), tuple(dict.fromkeys(clock)), literals, tuple(dict.fromkeys(unbounded))
    )
