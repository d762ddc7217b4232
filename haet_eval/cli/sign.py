"""`haet-eval sign` and `haet-eval keygen`: stand for a record with one's name."""

from pathlib import Path

import click

from haet_eval.cli.suggestions import suggest_records
from haet_eval.reports.text import printable
from haet_eval.signing import make_keys, without_signatures
from haet_eval.signing import sign as sign_record
from haet_eval.store import read_record


@click.command()
@click.argument("key", type=click.Path(dir_okay=False, path_type=Path))
def keygen(key: Path) -> None:
    """Make an ed25519 key to sign records with: KEY, which is secret, and KEY.pub, which is not."""
    public = make_keys(key)
    click.echo(printable(f"{key} signs: keep it secret. {public} verifies: publish it."))


@click.command()
@click.argument("records", metavar="RECORD…", nargs=-1, required=True, shell_complete=suggest_records)
@click.option("--key", required=True, type=click.Path(path_type=Path), help="Private key, from keygen.")
def sign(records: tuple[str, ...], key: Path) -> None:
    """Sign records. Each gets a file `.dsse.json` beside it; `haet-eval verify --key KEY.pub` checks it."""
    for path in map(Path, without_signatures(records)):
        click.echo(printable(str(sign_record(read_record(path), path, key))))
