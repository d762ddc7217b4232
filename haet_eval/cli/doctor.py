"""`haet-eval doctor`: is this machine ready, and safe?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import data_dir_option, json_option, results_option, run_dir_option
from haet_eval.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from haet_eval.doctor import Finding

_STYLES = {"ok": "green", "warning": "yellow", "not ready": "bold red", "unsafe": "bold red"}


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval doctor",
        "haet-eval doctor --quick --results results/",
    ),
)
@data_dir_option()
@results_option("Folder of records, where evaluations that failed on our side left their incidents.")
@run_dir_option
@oci_runtime_option
@click.option("--quick", is_flag=True, help="Leave out the attacks on the engine and the look for a GPU.")
@json_option()
def doctor(
    data_dir: Path | None, results: Path, run_dir: Path | None, quick: bool, as_json: bool
) -> ExitCode:
    """Say whether this machine is ready to judge untrusted code, and safe.

    Looks at the software, the disk, the data sets and the Docker engine, then runs short attacks in the
    sandbox's containers. Exit status: 0 ready and safe, 4 not.
    """
    from haet_eval.cli.text import result_console
    from haet_eval.dataset import default_data_dir
    from haet_eval.doctor import examine

    console = result_console()
    # Findings are printed as they come: the attacks at the end take a while.
    findings = []
    for finding in examine(data_dir or default_data_dir(), results, run_dir, quick=quick):
        findings.append(finding)
        if not as_json:
            _print(console, finding)
    ready = all(finding.allows_judging for finding in findings)
    if as_json:
        click.echo(json.dumps({"ready": ready, "findings": [asdict(one) for one in findings]}, indent=2))
    else:
        console.print("", _summary(ready, quick), sep="\n")
    return ExitCode.QUALIFIED if ready else ExitCode.ENVIRONMENT


def _print(console: "Console", finding: "Finding") -> None:
    from rich.text import Text

    from haet_eval.cli.text import print_row, safe

    row = Text(f"{finding.state:10}", _STYLES[finding.state]) + Text(f"{finding.name:25}")
    print_row(console, row, safe(finding.message))
    if finding.fix:
        print_row(console, Text(" " * 35 + "→ "), safe(finding.fix))


def _summary(ready: bool, quick: bool) -> str:
    if not ready:
        return "Not ready to judge untrusted code: see above what to do."
    if quick:
        return "Ready, as far as was looked; without --quick the engine is attacked, too."
    return "Ready to judge untrusted code."
