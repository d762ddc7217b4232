"""`haet-eval export`: records and all that they rest on, as one bundle for an archive."""

import re
from pathlib import Path
from typing import Final

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.options import record_rules_option, results_option
from haet_eval.cli.records import find_records
from haet_eval.cli.suggestions import suggest_records, suggest_submissions
from haet_eval.reports.text import printable

_NAMED: Final = 5
_FILE_ENDING: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]*")


def _zip_or_folder(ctx: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """A new folder called like a file of another format is a mistake: the format would not be that one."""
    ending = path.suffix
    if ending.lower() != ".zip" and _FILE_ENDING.fullmatch(ending) and not path.is_dir():
        raise click.BadParameter(
            f"export writes no {ending} file; name a .zip, or a folder without an ending.", ctx, parameter
        )
    return path


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval export 3f2a91c0 -o bundle.zip --submission entry.zip",
        "haet-eval export results/ -o archive.zip",
    ),
)
@click.argument("records", metavar="RECORD…", nargs=-1, required=True, shell_complete=suggest_records)
@click.option(
    "-o",
    "--output",
    "bundle",
    metavar="BUNDLE",
    required=True,
    type=click.Path(path_type=Path),
    callback=_zip_or_folder,
    help="Zip or folder to write: a zip if the name ends in .zip.",
)
@click.option(
    "--submission",
    "submissions",
    metavar="PATH",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    shell_complete=suggest_submissions,
    help="A folder or zip that was evaluated; may be given several times.",
)
@record_rules_option
@results_option("Folder in which ids of records are looked up.")
def export(
    records: tuple[str, ...],
    bundle: Path,
    submissions: tuple[Path, ...],
    competition: str | None,
    results: Path,
) -> None:
    """Bundle records with all that they rest on, as an RO-Crate that archives take.

    RECORD is a record's file, the beginning of its id, or a folder of records. Artefacts and signatures
    are read from the record's folder. `haet-eval verify` works on the unpacked bundle.
    The same records give the same bytes.
    """
    from haet_eval.export.bundle import write_bundle
    from haet_eval.export.contents import gather

    paths = find_records(records, results)
    exported = gather(paths, competition, submissions)
    files = write_bundle(exported, bundle)
    click.echo(printable(f"{bundle}: {len(files)} files"))
    # The results folder holds no submissions, so a bundle lacks them unless they are named (decision 0064).
    without = [one.record.record_id[:8] for one in exported if one.submission is None]
    if without:
        named = ", ".join(without[:_NAMED]) + (", …" if len(without) > _NAMED else "")
        click.echo(
            f"Without the submission of {len(without)} of {len(exported)} records ({named});"
            " --submission PATH adds one.",
            err=True,
        )
