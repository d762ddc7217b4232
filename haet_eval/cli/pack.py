"""`haet-eval pack`: make a submission's zip."""

import shlex
from pathlib import Path

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.options import competition_option
from haet_eval.cli.paths import ExistingPath
from haet_eval.reports.text import printable


def _zip(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """A name that does not end in .zip promises another format."""
    if path is not None and path.suffix.lower() != ".zip":
        name = printable(str(path))
        raise click.BadParameter(f"{name} does not end in .zip, and pack writes zips only.", ctx, parameter)
    return path


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval pack my-submission/",
        "haet-eval pack my-submission/ -o entry.zip",
    ),
)
@click.argument("folder", metavar="DIR", type=ExistingPath(file_okay=False))
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_zip,
    help="The zip.  [default: DIR.zip, next to DIR]",
)
@competition_option("Rules to check by.  [default: those of the submission's task]")
def pack(folder: Path, output: Path | None, competition: str | None) -> None:
    """Make the zip of the submission in DIR; what it holds has the same digest on every machine.

    What the evaluator would refuse is refused here, in the same words, with exit status 3.
    """
    from haet_eval.check.manifest import check_manifest
    from haet_eval.submission.packing import pack_submission

    packed = pack_submission(folder, output, competition)
    submission, limits = packed.submission, packed.limits
    rows = {
        "packed": packed.path,
        "submission": f"{submission.name} · {submission.team} · {submission.task}",
        "files": f"{len(submission.files)} of {limits.entries} allowed",
        "zip": f"{packed.bytes:,} of {limits.archive_bytes:,} bytes",
        "unpacked": f"{submission.source_bytes:,} of {limits.unpacked_bytes:,} bytes",
        "zip sha256": packed.sha256,
        "sha256": f"{submission.sha256} (of the content, however it is zipped)",
    }
    for name, value in rows.items():
        click.echo(f"{name:12} {value}")
    # The zip is written all the same: a remark decides nothing (decision 0081).
    for remark in check_manifest(submission.files):
        click.echo(f"\nWarning: {remark.path}:{remark.line} {remark.text}", err=True)
    click.echo(
        f"\nNext:\n  haet-eval {shlex.quote(str(packed.path))}   judge it as the organizer does", err=True
    )
