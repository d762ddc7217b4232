"""The names of what lies in a results folder: how they are made, and how they are recognised."""

import re
import unicodedata
from datetime import datetime
from typing import Final

ARTIFACTS: Final = "artifacts"
INCIDENTS: Final = "incidents"
"""Folders in the results folder: a listing of records does not look into folders."""

RUNS: Final = "runs"
"""The folder with the runs that can go on, unless the user names another one."""

BATCHES: Final = ".haet-batch"
"""The folder with the lock of a batch and its failures."""

CONFIRMED: Final = "confirmed.json"
"""What a confirmation has found, in `confirmation_folder`."""

INTERRUPTED_RUNS: Final = ".haet-runs"
"""The folder with the finished runs of evaluations of several runs that are not finished yet."""

SIGNATURE: Final = ".dsse.json"
"""Follows the name of a record, instead of `.json`."""

# `haet-eval clean` removes only files with these suffixes, so each kind of artefact must be here.
ARTIFACT_SUFFIXES: Final = (
    "trace",
    "histogram.json",
    "safetensors",
    "predictions.txt",
    "reports.jsonl",
    "labels.json",
)

_MOMENT: Final = r"\d{8}T\d{6}Z"
_WORDS: Final = r"(?P<words>[a-z0-9-]+)"

RECORD_NAME: Final = re.compile(rf"{_MOMENT}-{_WORDS}-(?P<id>[0-9a-f]{{16}})\.json")
"""A file of such a name that is no sound record is a problem."""

SIGNATURE_NAME: Final = re.compile(rf"{_MOMENT}-{_WORDS}-[0-9a-f]{{16}}{re.escape(SIGNATURE)}")
# The random part keeps incidents of one second apart.
INCIDENT_NAME: Final = re.compile(rf"{_MOMENT}-[0-9a-f]{{8}}\.json")
RUN_NAME: Final = re.compile(rf"{_MOMENT}-{_WORDS}-[0-9a-f]{{8}}")

ARTIFACT_NAME: Final = re.compile(r"(?P<digest>[0-9a-f]{64})\.(?P<suffix>[a-z]+(?:\.[a-z]+)?)")
"""An artefact of this version or another one: the suffixes of this version are `ARTIFACT_SUFFIXES`."""


def confirmation_folder(competition: str, sandbox: str = "docker") -> str:
    """The folder of a confirmation, unless the user names another one."""
    # Records of processes are not official: a rehearsal with them must not replace a confirmation.
    return f"{'confirm' if sandbox == 'docker' else 'rehearsal'}-{competition}"


def record_name(moment: datetime, title: str, record_id: str) -> str:
    """The file of a record."""
    return f"{_stamp(moment)}-{_slug(title) or 'record'}-{record_id}.json"


def run_name(moment: datetime, title: str, token: str) -> str:
    """The folder of a run that can go on."""
    return f"{_stamp(moment)}-{_slug(title) or 'run'}-{token}"


def incident_name(moment: datetime, token: str) -> str:
    """The file of an incident."""
    return f"{_stamp(moment)}-{token}.json"


def artifact_name(digest: str, suffix: str) -> str:
    """The file of an artefact."""
    return f"{digest}.{suffix}"


def _stamp(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _slug(title: str) -> str:
    """The first letters and digits of a title, in ASCII."""
    # Names come from contestants. What is left is safe as a name of a file on every system and in every
    # shell.
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
