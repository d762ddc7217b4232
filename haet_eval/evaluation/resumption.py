"""The plan for the checkpoints of an evaluation, and the request of a run that goes on."""

from pathlib import Path
from shlex import quote
from typing import Any

from pydantic import TypeAdapter, ValidationError

from haet_eval.competition import builtin_competitions, read_rules
from haet_eval.errors import UsageProblem
from haet_eval.evaluation.course import CheckpointPlan, RunOrigin
from haet_eval.evaluation.request import Request
from haet_eval.evaluation.unpack import archive_name
from haet_eval.files import exists, real_path
from haet_eval.results_folder import RUNS
from haet_eval.resumable import RunHome

_PATHS = ("data_dir", "results", "test_data", "rules_folder", "run_dir")
"""Stored as absolute paths."""


def plan_of(request: Request) -> CheckpointPlan | None:
    """The plan of an evaluation; None if it takes no checkpoints."""
    if request.checkpoint_seconds is None:
        return None
    rules = _own_rules(request)
    # A name that is neither built in nor a file is refused when the rules are loaded, with a better message.
    text = read_rules(rules) if rules and exists(rules) else None
    return CheckpointPlan(
        base=runs_folder(request.results, request.run_dir),
        every_seconds=request.checkpoint_seconds,
        resume=request.resume,
        origin=RunOrigin(
            submission=archive_name(request),
            request=_stored(request),
            rules=None if text is None else text.encode(),
        ),
        named=RunHome(request.resumed_run) if request.resumed_run else None,
        varied=_varied(request),
    )


def _varied(request: Request) -> frozenset[str]:
    """What differs between the runs of this evaluation."""
    several = {"seed"} if request.runs != 1 else set()
    audited = {"dataset"} if (request.split_seed, request.disguise_seed) != (None, None) else set()
    return frozenset(several | audited)


def runs_folder(results: Path, run_dir: Path | None) -> Path:
    """The folder of the runs that can go on."""
    return real_path(run_dir or results / RUNS)


def how_to_go_on(home: RunHome) -> str:
    """The command that goes on with a run."""
    # `resume NAME` looks into the default results of the current folder.
    usual = home.path.parent == real_path(Path("results", RUNS))
    return f"haet-eval resume {home.name if usual else quote(str(home.path))}"


def request_of(home: RunHome) -> Request:
    """The request of a run, so that it goes on.

    Raises:
        UsageProblem: the file with the request, or one of those that it needs, is missing or broken.
    """
    # Damage is found here: a changed archive would otherwise be judged under the old name.
    home.check_files()
    document = home.facts().request
    own_rules = home.rules.exists()
    facts = dict(document) | {
        "submission": str(home.archive),
        "competition": str(home.rules) if own_rules else document.get("competition"),
        "run_dir": str(home.path.parent),
        "resume": True,
        "resumed_run": str(home.path),
    }
    try:
        return TypeAdapter(Request).validate_python(facts)
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, said["loc"]))
        raise UsageProblem(
            f"{home.path} holds a request that cannot be read: {where} {said['msg']}",
            "Evaluate the submission again, and remove this folder.",
            code="run-unreadable",
        ) from None


def _stored(request: Request) -> dict[str, Any]:
    """The request as JSON. Its submission and an organizer's own rules lie in the folder of the run."""
    rules = _own_rules(request)
    folder = request.rules_folder or (real_path(rules).parent if rules else None)
    document: dict[str, Any] = TypeAdapter(Request).dump_python(request, mode="json")
    for name in _PATHS:
        value = folder if name == "rules_folder" else getattr(request, name)
        document[name] = None if value is None else str(real_path(value))
    # The submission is stored in the folder of the run: the user's own file may change or go.
    return document | {
        "submission": "",
        "competition": None if rules else request.competition,
        "archive_name": archive_name(request),
        "resume": True,
        "resumed_run": None,
    }


def _own_rules(request: Request) -> Path | None:
    """The file of an organizer's own rules; None if the rules are built in."""
    named = request.competition
    return Path(named) if named is not None and named not in builtin_competitions() else None
