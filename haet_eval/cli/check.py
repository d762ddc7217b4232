"""`haet-eval check`: a contestant's look at their own submission before they hand it in."""

from pathlib import Path
from typing import Literal

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.numbers import Number
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import (
    competition_option,
    data_dir_option,
    device_option,
    json_option,
    results_option,
    sandbox_option,
    seed_option,
    task_option,
)
from haet_eval.cli.paths import ExistingPath
from haet_eval.cli.suggestions import suggest_submissions
from haet_eval.errors import ExitCode


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval check my-submission/",
        "haet-eval check my-submission/ --static",
        "haet-eval check my-submission.zip --full --results results/",
    ),
)
@click.argument("submission", type=ExistingPath(), shell_complete=suggest_submissions)
@competition_option("Rules to check by.  [default: those of the submission's task]")
@task_option("Task it must be for.  [default: the one that haet.toml names]")
@data_dir_option()
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=Number(0, min_open=True),
    help="Compute the training for so long; what comes after is counted without computing.",
)
@click.option(
    "--within",
    default=120.0,
    show_default=True,
    type=Number(0, min_open=True),
    help="Seconds after which counting ends too, and the rest is estimated.",
)
@click.option("--static", is_flag=True, help="Only look at the code: run nothing.")
@click.option("--full", is_flag=True, help="Evaluate as well, and compare the estimate with the truth.")
@results_option("Folder of records to rank among; --full adds one.")
@click.option(
    "--leaderboard",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Leaderboard to rank on instead, as `haet-eval leaderboard --json` writes it.",
)
@sandbox_option("Where the code runs. The count is the same.", default="process")
@oci_runtime_option
@seed_option
@device_option
@json_option("Print one JSON document at the end.")
def check(
    submission: Path,
    competition: str | None,
    task: str | None,
    data_dir: Path | None,
    seconds: float,
    within: float,
    static: bool,
    full: bool,
    results: Path,
    leaderboard: Path | None,
    sandbox: Literal["docker", "process"],
    seed: int,
    device: str,
    as_json: bool,
) -> ExitCode:
    """Check SUBMISSION, a .zip file or a folder, before it is handed in.

    First its code is looked at. Then it is trained for some seconds on handles to the whole data set, as
    when it is judged, and counted to its end without computing: what it will cost is known in a fraction
    of the time. Advice on the code can be wrong and decides nothing; what the run shows does.

    Exit status: 0 no failure found, 1 it would fail, 2 usage, 3 invalid submission, 4 the
    environment failed, 5 it would exceed a limit, 6 not finished within the time, 130 interrupted.
    """
    from haet_eval.check.sample import Terms
    from haet_eval.cli.check_session import Session
    from haet_eval.dataset import default_data_dir
    from haet_eval.evaluation.request import Request

    if static and full:
        raise click.UsageError("--static runs nothing, and --full evaluates: give one of them.")
    request = Request(
        submission=submission,
        competition=competition,
        task=task,
        data_dir=data_dir or default_data_dir(),
        results=results,
        sandbox=sandbox,
        seed=seed,
        device=device,
    )
    # Counting cannot end before computing does, so --seconds alone extends both.
    terms = Terms(device=device, seed=seed, computed_seconds=seconds, all_seconds=max(within, seconds))
    return Session(request, terms, leaderboard, static, full, as_json).run()
