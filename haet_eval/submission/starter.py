"""A submission to start from, made from the package's template."""

import getpass
import json
import subprocess
import unicodedata
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from haet_eval.atomic import Draft
from haet_eval.errors import InvalidSubmission, UsageProblem, output_not_writable
from haet_eval.files import real_path
from haet_eval.submission.manifest import MANIFEST_NAME, read_manifest

_TEMPLATE: Final = files("haet_eval") / "resources" / "template"
_LONGEST_TITLE: Final = 80


def start_submission(folder: Path, task: str, name: str | None, team: str | None) -> list[Path]:
    """Write a submission that works as it is.

    Args:
        folder: the new folder; it may exist if it is empty.
        task: the task in the manifest.
        name: the name of the submission; None to take the folder's.
        team: the team; None to take the user's name from git, or else from the machine.

    Returns:
        The files written.

    Raises:
        UsageProblem: the folder is not empty, or no manifest may have such a name or team.
        EnvironmentProblem: the folder cannot be written.
    """
    manifest = _manifest(name or _name_from(folder), team or _user_name(), task)
    contents = {
        MANIFEST_NAME: manifest,
        "submission.py": (_TEMPLATE / "submission.py").read_bytes(),
    }
    try:
        _make_empty(folder)
        for path, content in contents.items():
            with Draft(folder) as draft:
                draft.write(content)
                # Not `replace`: a file that someone has made there meanwhile stays.
                draft.create(folder / path)
    except OSError as error:
        raise output_not_writable(folder, error) from None
    return [folder / path for path in contents]


def _make_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageProblem(
            f"{folder} is a file.", "Name a folder that does not exist yet.", code="folder-is-a-file"
        )
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(path.name for path in folder.iterdir())
    if found:
        raise UsageProblem(
            f"{folder} is not empty: it has {', '.join(found[:3])}{' …' if len(found) > 3 else ''} in it.",
            "Name a folder that does not exist yet; nothing was written.",
            code="folder-not-empty",
        )


def _manifest(name: str, team: str, task: str) -> bytes:
    """The manifest with these values, as TOML strings; checked as the evaluator checks it."""
    values = {"name": name, "team": team, "task": task}
    # A JSON string is a TOML string too, except for characters that the manifest refuses.
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    template = Template((_TEMPLATE / MANIFEST_NAME).read_text("utf-8"))
    content = template.substitute(quoted).encode()
    try:
        # Before the folder is made: a name that no manifest may have leaves nothing behind.
        read_manifest(content)
    except InvalidSubmission as error:
        raise UsageProblem(error.reason, "Give another --name, --team or --task.", code=error.code) from None
    return content


def _name_from(folder: Path) -> str:
    """`my-first_try` -> `My first try`."""
    words = _title(real_path(folder).name.replace("-", " ").replace("_", " "))
    return words[:1].upper() + words[1:] or "My submission"


def _user_name() -> str:
    """The user's name in git, or in the machine's list of users, or else the name of the login."""
    return _title(_git_name()) or _title(_full_name()) or _title(_login()) or "My team"


def _git_name() -> str:
    try:
        asked = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607 the user's own git, wherever it is
            capture_output=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.decode(errors="ignore")


def _full_name() -> str:
    try:
        import pwd  # not on Windows

        # Rooms and telephone numbers follow the name, after commas.
        return pwd.getpwnam(getpass.getuser()).pw_gecos.partition(",")[0]
    except (ImportError, KeyError, OSError):
        return ""


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _title(text: str) -> str:
    """The text as a manifest may have it: one line of visible characters, not too long."""
    visible = "".join(one for one in " ".join(text.split()) if not unicodedata.category(one).startswith("C"))
    return visible[:_LONGEST_TITLE].strip()
