"""`haet-eval confirm`: what is done before an award is paid."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from haet_eval.cli.boundary import say_line
from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import (
    DEVICES,
    FOLDER,
    data_dir_option,
    json_option,
    receipts_option,
    records_folder,
    results_option,
    sandbox_option,
    secret_test_option,
    site_options,
)
from haet_eval.cli.suggestions import suggest_competitions
from haet_eval.errors import ExitCode
from haet_eval.results_folder import CONFIRMED, confirmation_folder

if TYPE_CHECKING:
    from haet_eval.batch.run import BatchSummary
    from haet_eval.competition import Competition
    from haet_eval.record import Sandbox
    from haet_eval.reports.confirmation import SettledPool


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval confirm results/ --competition haet2021",
        "haet-eval confirm results/ --competition rules.toml --submissions entries/",
    ),
)
@click.argument("directory", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@results_option("Folder of records, as DIRECTORY.")
@click.option(
    "--competition",
    required=True,
    metavar="NAME|FILE",
    shell_complete=suggest_competitions,
    help="The competition whose podium is checked.",
)
@click.option(
    "--submissions",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the submissions, which are found by their digests.  [default: DIRECTORY]",
)
@receipts_option
@click.option(
    "--output",
    type=FOLDER,
    help="Folder of page and runs.  [default: DIRECTORY/confirm-NAME, or rehearsal-NAME]",
)
@data_dir_option(", on every node")
@secret_test_option("The secret test set, on every node, if the competition has one.")
@sandbox_option("Where the code runs, and whose records are confirmed; those of processes are not official.")
@oci_runtime_option
@click.option(
    "--device",
    type=DEVICES,
    help="Where the kernels run.  [default: as each record says]",
)
@site_options("Runs", retried="a run", made="Make the runs")
@json_option("Print the outcome as JSON.")
def confirm(
    directory: Path | None,
    results: Path,
    competition: str,
    submissions: Path | None,
    receipts: Path | None,
    output: Path | None,
    data_dir: Path | None,
    test_data: Path | None,
    sandbox: Literal["docker", "process"],
    device: str | None,
    jobs: int | None,
    retries: int,
    scheduler: str | None,
    as_json: bool,
) -> ExitCode:
    """Check the provisional podium of DIRECTORY, and the next below for those that fall, until it is full.

    The podium is that of `haet-eval leaderboard` with the same rules and receipts. Records of processes give
    a rehearsal, which has a folder of its own and confirms nothing.

    Each record is verified and replayed. Its submission is trained again: with the same seed, with two
    others, on another split of the images, and on the images in disguise. What was found is kept: the same
    command goes on where it was stopped. It ends in a page and a JSON document in the folder of --output.

    Exit status: 0 the podium is full and each entry on it holds, 1 fewer hold than there are awards, 2 usage,
    4 the environment failed, or some checks could not be made, 130 interrupted.
    """
    from haet_eval.batch.plan import Options
    from haet_eval.batch.run import Reporting
    from haet_eval.cli.batch_table import tell_end
    from haet_eval.cli.batch_view import open_view
    from haet_eval.cli.confirmation_table import print_confirmation
    from haet_eval.cli.receipts import read_receipts, timed, warn_of_strangers, warn_of_unknown_times
    from haet_eval.cli.sites import batch_settings, open_site
    from haet_eval.competition import builtin_competitions, load_competition
    from haet_eval.confirmation.notebook import Notebook
    from haet_eval.confirmation.podium import nothing_to_confirm, podiums, under_other_rules
    from haet_eval.confirmation.runs import NamedCompetition, find_submissions
    from haet_eval.confirmation.settle import ConfirmationSettings, settle
    from haet_eval.dataset import default_data_dir
    from haet_eval.store import Store
    from haet_eval.verification.evidence import Sources

    results = records_folder(directory, results)
    rules = load_competition(competition)
    listing = Store(results).listing()
    times = read_receipts(receipts) if receipts is not None else {}
    # As the leaderboard ranks: an entry that came late has no place on the podium.
    entries = list(timed(listing.entries, rules, times))
    found = podiums(entries, rules, sandbox)
    folder = output or results / confirmation_folder(rules.name, sandbox)
    # `Sources` takes a file here: it finds built-in rules by the name in each record.
    own_rules = None if competition in builtin_competitions() else competition
    limits = rules.limits.for_archives()
    settings = batch_settings(
        folder / "runs", data_dir, test_data, retries, Options(competition, sandbox=sandbox)
    )
    # The checks of records take long too, so the view is open before the first batch of runs.
    with open_view() as view:
        reporting = Reporting(view)
        setting = ConfirmationSettings(
            rules=NamedCompetition(competition, rules),
            paths={entry.record_id: path for path, entry in listing.records.items()},
            # Below a results folder lie runs and artefacts: there only the first level is searched.
            submissions=find_submissions(submissions or results, deep=bool(submissions), limits=limits),
            sources=Sources(Store(results), data_dir or default_data_dir(), own_rules, test_data),
            sandbox=sandbox,
            device=device,
            notebook=Notebook(folder / "findings", rules.digest, sandbox, device),
            batch=settings,
            reporting=reporting,
            open_site=lambda plan: open_site(scheduler, plan, settings, jobs, reporting.receive),
        )
        outcomes = [settle(podium, setting) for podium in found]
    settled = [outcome.settled for outcome in outcomes]
    text = _write(folder, rules, sandbox, settled)
    # A record that cannot be read might belong on the podium, so it is named although the podium is full.
    for problem in listing.problems:
        say_line(f"Broken record {problem.path.name}: {problem.reason}")
    if receipts is not None:
        warn_of_strangers(receipts, listing.entries, times)
    warn_of_unknown_times(entry for podium in found for entry in podium.entries)
    if others := under_other_rules(entries, rules, sandbox):
        say_line(f"Not examined, since they were judged under another version of the rules: {others:,}.")
    for outcome in outcomes:
        # After the view has closed: on a terminal a live view would draw over these lines.
        tell_end(outcome.summary)
    if as_json:
        click.echo(text, nl=False)
    else:
        print_confirmation(settled, nothing_to_confirm(entries, rules, sandbox))
    say_line(f"{folder / 'index.html'} has the figures")
    return _status(settled, [outcome.summary for outcome in outcomes])


def _status(settled: "list[SettledPool]", summaries: "list[BatchSummary]") -> ExitCode:
    # What could not be checked comes before a podium that is not full: the same command may still fill it.
    if any(one.undecided for each in settled for one in each.examined) or any(
        summary.given_up or summary.left for summary in summaries
    ):
        return ExitCode.ENVIRONMENT
    full = bool(settled) and all(one.full for one in settled)
    return ExitCode.QUALIFIED if full else ExitCode.NOT_QUALIFIED


def _write(folder: Path, rules: "Competition", sandbox: "Sandbox", settled: "list[SettledPool]") -> str:
    """The page and the document; gives the document's text."""
    from haet_eval.atomic import Draft
    from haet_eval.errors import output_not_writable
    from haet_eval.reports.confirmation import confirmation_document, confirmation_html

    text = json.dumps(confirmation_document(rules, sandbox, settled), indent=2) + "\n"
    what = "confirmation" if sandbox == "docker" else "rehearsal of the confirmation"
    page = confirmation_html(f"{rules.title}: {what}", settled)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((CONFIRMED, text), ("index.html", page)):
            # The site reads the document, possibly while this runs: a draft replaces it whole.
            with Draft(folder) as draft:
                draft.write(content.encode())
                draft.replace(folder / name)
    except OSError as error:
        raise output_not_writable(folder, error, ", or choose another folder with --output") from None
    return text
