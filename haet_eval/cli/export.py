"""`haet-eval export`: records and all that they rest on, as one bundle for an archive."""

from pathlib import Path
from typing import Final

import click

from haet_eval.cli.options import competition_file_option
from haet_eval.cli.suggestions import suggest_records, suggest_submissions
from haet_eval.reports.text import printable
from haet_eval.signing import without_signatures
from haet_eval.store import find_record

_NAMED: Final = 5


@click.command()
@click.argument("records", metavar="RECORD…", nargs=-1, required=True, shell_complete=suggest_records)
@click.option(
    "-o",
    "--output",
    "bundle",
    metavar="BUNDLE",
    required=True,
    type=click.Path(path_type=Path),
    help="Zip to write, or folder where the name does not end in .zip.",
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
@competition_file_option
def export(
    records: tuple[str, ...], bundle: Path, submissions: tuple[Path, ...], competition: str | None
) -> None:
    """Bundle records with all that they rest on, as an RO-Crate that archives take.

    RECORD is a record's file, or the beginning of the id of one in ./results. Artefacts and signatures lie
    beside it. `haet-eval verify` works on the unpacked bundle. The same records give the same bytes.
    """
    from haet_eval.export.bundle import write_bundle
    from haet_eval.export.contents import gather

    paths = [find_record(name, Path("results")) for name in without_signatures(records)]
    exported = gather(paths, competition, submissions)
    files = write_bundle(exported, bundle)
    click.echo(printable(f"{bundle}: {len(files)} files"))
    without = [one.record.record_id[:8] for one in exported if one.submission is None]
    if without:
        named = ", ".join(without[:_NAMED]) + (", …" if len(without) > _NAMED else "")
        click.echo(
            f"Without the submission of {len(without)} of {len(exported)} records ({named});"
            " --submission PATH adds one.",
            err=True,
        )
