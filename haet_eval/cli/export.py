"""`haet-eval export`: records and all that they rest on, as one bundle for an archive."""

from pathlib import Path

import click

from haet_eval.reports.text import printable
from haet_eval.signing import without_signatures
from haet_eval.store import Store


@click.command()
@click.argument("records", metavar="RECORD…", nargs=-1, required=True)
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
    help="A folder or zip that was evaluated; may be given several times.",
)
@click.option("--competition", metavar="FILE", help="Rules that are not built in.")
def export(
    records: tuple[str, ...], bundle: Path, submissions: tuple[Path, ...], competition: str | None
) -> None:
    """Bundle records with all that they rest on, as an RO-Crate that archives take.

    RECORD is a record's file, or the beginning of the id of one in ./results. Artefacts and signatures lie
    beside it. `haet-eval verify` works on the unpacked bundle. The same records give the same bytes.
    """
    from haet_eval.export.bundle import write_bundle
    from haet_eval.export.contents import gather

    names = without_signatures(records)
    paths = [Path(name) if Path(name).exists() else Store(Path("results")).find(name) for name in names]
    exported = gather(paths, competition, submissions)
    files = write_bundle(exported, bundle)
    click.echo(printable(f"{bundle}: {len(files)} files"))
    for one in exported:
        if one.submission is None:
            click.echo(
                f"Without the submission of {one.record.record_id}; --submission PATH adds it.", err=True
            )
