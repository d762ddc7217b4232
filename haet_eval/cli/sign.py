"""`haet-eval sign`: stand for a record with one's name."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.options import results_option
from haet_eval.cli.records import find_records
from haet_eval.cli.suggestions import suggest_records
from haet_eval.errors import UsageProblem
from haet_eval.reports.text import printable
from haet_eval.signing import is_encrypted, make_keys
from haet_eval.signing import sign as sign_record

PASSPHRASE: Final = "HAET_KEY_PASSPHRASE"  # noqa: S105 the name of a variable
"""Variable with the passphrase of a key. An option would show it to everyone on the machine."""


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval sign --new-key judge.key",
        "haet-eval sign 3f2a91c0 --key judge.key",
        "haet-eval sign results/*.json --key judge.key",
    ),
)
@click.argument("records", metavar="RECORD…", nargs=-1, shell_complete=suggest_records)
@click.option("--key", type=click.Path(path_type=Path), help="Private key, from --new-key.")
@click.option(
    "--new-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make an ed25519 key instead: this file, which is secret, and the same name with .pub, to publish.",
)
@click.option(
    "--encrypt",
    is_flag=True,
    help=f"Encrypt the new key with a passphrase: that in {PASSPHRASE}, or asked for.",
)
@results_option("Folder in which ids of records are looked up.")
def sign(
    records: tuple[str, ...], key: Path | None, new_key: Path | None, encrypt: bool, results: Path
) -> None:
    """Sign records. Each gets a file `.dsse.json` beside it; `haet-eval verify --key KEY.pub` checks it.

    RECORD is a record's file, the beginning of its id, or a folder of records.

    The passphrase of an encrypted key is that in the variable HAET_KEY_PASSPHRASE, or asked for.
    """
    if new_key is not None:
        if records or key is not None:
            raise click.UsageError("--new-key makes a key and signs nothing: sign with it afterwards.")
        _make(new_key, encrypt)
        return
    if encrypt:
        raise click.UsageError("--encrypt is for a new key: name it with --new-key.")
    if key is None or not records:
        raise click.UsageError("Name the records, and a private key with --key. --new-key makes one.")
    paths = find_records(records, results)
    # Asked for once, whatever the number of records, and after the records have been found.
    passphrase = _passphrase(key) if is_encrypted(key) else None
    for path in paths:
        click.echo(printable(str(sign_record(path, key, passphrase))))


@click.command(hidden=True)
@click.argument("key", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--encrypt", is_flag=True)
def keygen(key: Path, encrypt: bool) -> None:
    """The former name of `sign --new-key`."""
    click.echo(f"Note: keygen is now `haet-eval sign --new-key {printable(str(key))}`.", err=True)
    _make(key, encrypt)


def _make(key: Path, encrypt: bool) -> None:
    public = make_keys(key, _passphrase(key, new=True) if encrypt else None)
    click.echo(printable(f"{key} signs: keep it secret. {public} verifies: publish it."))


def _passphrase(key: Path, *, new: bool = False) -> str:
    if known := os.environ.get(PASSPHRASE):
        return known
    if not sys.stdin.isatty():
        raise UsageProblem(
            f"{key} needs a passphrase, and there is no terminal to ask on",
            f"Set the variable {PASSPHRASE}.",
            code="passphrase-needed",
        )
    # On stderr: stdout has the names of the signatures.
    asked: str = click.prompt(f"Passphrase of {key}", hide_input=True, confirmation_prompt=new, err=True)
    return asked
