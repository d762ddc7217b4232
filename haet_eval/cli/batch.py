"""`haet-eval batch`: evaluate many submissions, in parallel, on one machine or on a cluster."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import (
    checkpoint_options,
    competition_option,
    data_dir_option,
    device_option,
    json_option,
    results_option,
    runs_option,
    sandbox_option,
    secret_test_option,
    seed_option,
    site_options,
    task_option,
)
from haet_eval.cli.paths import ExistingPath
from haet_eval.cli.sites import batch_settings, open_site
from haet_eval.cli.suggestions import suggest_submissions
from haet_eval.errors import ExitCode, HaetError
from haet_eval.reports.text import printable

if TYPE_CHECKING:
    from haet_eval.batch.ledger import Ledger
    from haet_eval.batch.plan import BatchPlan
    from haet_eval.batch.run import BatchSettings, BatchSummary


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval batch entries/ --dry-run",
        "haet-eval batch entries/ --jobs 4 --results results/",
        "haet-eval batch entries.csv --scheduler tcp://node1:8786",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=ExistingPath(), shell_complete=suggest_submissions)
@competition_option("Rules to judge by.  [default: those of each task]")
@task_option("Task to judge.  [default: the one that haet.toml names]")
@data_dir_option(", on every node")
@secret_test_option("The secret test set, on every node, if the competition has one.")
@results_option("Folder that the records go to.")
@sandbox_option("Where the code runs, as for a single evaluation.")
@oci_runtime_option
@seed_option
@runs_option("Runs of each submission, with different seeds.")
@device_option
@site_options("Evaluations", retried="a submission", made="Run")
@checkpoint_options
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@json_option("Print events as JSON lines.")
def batch(
    paths: tuple[Path, ...],
    competition: str | None,
    task: str | None,
    data_dir: Path | None,
    test_data: Path | None,
    results: Path,
    sandbox: Literal["docker", "process"],
    seed: int,
    runs: int,
    device: str,
    jobs: int | None,
    retries: int,
    scheduler: str | None,
    checkpoint_every: float,
    run_dir: Path | None,
    dry_run: bool,
    as_json: bool,
) -> ExitCode:
    """Evaluate many submissions: each path is a .zip, a submission's folder, a folder of those, or a list.

    A list is a .csv with the columns path, competition, task, seed and received (when it came), or a .toml
    with tables [[submission]] of these keys; only path is needed.

    What has a record in the results folder is not
    evaluated again, so a batch that was stopped, in whatever way, goes on when it is started again. Trainings
    that were under way go on at their last checkpoint; on a cluster this needs --run-dir, a folder that all
    nodes share.

    Exit status: 0 each submission was judged, whatever the verdict, 2 usage, or some path or task was
    wrong and the others were judged, 4 some could not be judged, 130 interrupted.
    """
    # Imported here: completion of an option imports this module, and must not wait for more (decision 0084).
    from haet_eval.batch.ledger import Ledger
    from haet_eval.batch.plan import Options, make_plan
    from haet_eval.batch.sources import find_sources
    from haet_eval.cli.batch_table import print_plan, print_plan_as_json
    from haet_eval.store import Store

    options = Options(competition, task, sandbox, seed, runs, device)
    ledger = Ledger(Store(results))
    found = find_sources(paths)
    for path in found.passed_over:
        click.echo(
            printable(f"Passed over: {path} is neither a zip nor a folder with a haet.toml."), err=True
        )
    # A dry run takes no lock and writes nothing, so it also answers while another batch runs in this folder.
    if dry_run:
        plan = make_plan(found.sources, options, ledger)
        where = f"on the cluster at {scheduler}" if scheduler else _at_once(plan, jobs)
        if as_json:
            print_plan_as_json(plan)
        else:
            print_plan(plan, f"They would run {where}.")
        return ExitCode.QUALIFIED
    settings = batch_settings(
        results, data_dir, test_data, retries, options, checkpoint_every or None, run_dir
    )
    # The plan is made under the lock: a batch that has just ended in this folder may have judged some of
    # these.
    with ledger.locked():
        plan = make_plan(found.sources, options, ledger)
        return _run(plan, ledger, settings, scheduler, jobs, as_json=as_json)


def _run(
    plan: "BatchPlan",
    ledger: "Ledger",
    settings: "BatchSettings",
    scheduler: str | None,
    jobs: int | None,
    *,
    as_json: bool,
) -> ExitCode:
    from haet_eval.batch.run import Reporting, RunningBatch
    from haet_eval.cli.batch_table import tell_end
    from haet_eval.cli.batch_view import JsonLines, open_view
    from haet_eval.cli.boundary import say
    from haet_eval.cli.streams import deliver

    # Both the JSON lines and the tables may fail to be printed. The batch goes on: its records are the
    # result.
    lines = JsonLines() if as_json else None
    with open_view(lines) as view:
        reporting = Reporting(view)
        summary = RunningBatch(plan, settings, ledger, reporting).run(
            lambda: open_site(scheduler, plan, settings, jobs, reporting.receive)
        )
    unread = None
    try:
        lost = lines.lost if lines else deliver(lambda: _print(summary, plan, settings.results))
    # The results folder may have gone since. The end of each submission is reported all the same.
    except HaetError as error:
        lost, unread = "", error
    if lost:
        say(f"Not all could be printed: {lost}. The records are in {settings.results}")
    tell_end(summary)
    # A program that asked for JSON lacks data it waits for. A person who closed the pipe wanted no more text.
    undelivered = as_json and lost
    failed = summary.given_up or summary.left or undelivered or unread
    if unread:
        say(f"There is no leaderboard: {unread.message}")
    if failed:
        return ExitCode.ENVIRONMENT
    # Failures on our side come first: the same command tries those again. A wrong path stays wrong.
    return ExitCode.USAGE if summary.blocked else ExitCode.QUALIFIED


def _at_once(plan: "BatchPlan", jobs: int | None) -> str:
    from haet_eval.batch.capacity import places, this_machine

    return f"here, {places(plan.jobs, jobs, this_machine())} at a time"


def _print(summary: "BatchSummary", plan: "BatchPlan", results: Path) -> None:
    """The outcome, and the leaderboard of what the list asked for."""
    from haet_eval.cli.batch_table import print_outcome
    from haet_eval.cli.leaderboard_table import print_leaderboard
    from haet_eval.competition import load_competition
    from haet_eval.reports.rows import make_leaderboard
    from haet_eval.store import Store

    print_outcome(summary)
    # Without this, a batch of local processes would end with an empty table: their records are not official.
    unofficial = any(item.options.sandbox == "process" for item in plan.items)
    tasks = {item.job.task for item in plan.items if item.job}
    entries = [entry for entry in Store(results).listing().entries if entry.task in tasks]
    named = {item.job.competition for item in plan.items if item.job}
    rules = {one.digest: one for one in map(load_competition, named)}
    print_leaderboard(make_leaderboard(entries, everything=unofficial, rules=rules))
