"""`haet-eval data`, with real files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from haet_eval.cli.data import data
from haet_eval.cli.main import cli
from haet_eval.errors import EnvironmentProblem
from tests.fixtures.cifar import write_cifar10
from tests.fixtures.file_server import FileServer, serving


def test_list_shows_the_available_data_and_how_to_get_the_rest(tmp_path: Path) -> None:
    write_cifar10(tmp_path, train_per_class=5, test_per_class=1)
    # The whole program: it names the variables of all commands.
    result = CliRunner().invoke(cli, ["data", "list", "--json"], env={"HAET_DATA_DIR": str(tmp_path)})
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert {name: row["ready"] for name, row in rows.items()} == {
        "cifar10": True,
        "cifar100": False,
        "digits": True,
    }
    assert "not the official" in rows["cifar10"]["state"]
    assert "haet-eval data fetch cifar100" in rows["cifar100"]["state"]
    assert "digits     ready\n" in CliRunner().invoke(data, ["list", "--data-dir", str(tmp_path)]).stdout


@pytest.mark.parametrize(("name", "official"), [("digits", True), ("cifar10", False)])
def test_verify_says_by_its_status_whether_the_data_is_official(
    tmp_path: Path, name: str, official: bool
) -> None:
    write_cifar10(tmp_path, train_per_class=5, test_per_class=1)
    result = CliRunner().invoke(data, ["verify", name, "--json", "--data-dir", str(tmp_path)])
    assert result.exit_code == (0 if official else 1)
    assert json.loads(result.stdout)["official"] is official


def test_fetch_prints_nothing_on_stdout_if_the_mirror_is_false(tmp_path: Path) -> None:
    with serving(FileServer({"/cifar-10-python.tar.gz": b"[red]false[/red]"})) as server:
        result = CliRunner().invoke(
            data, ["fetch", "cifar10", "--data-dir", str(tmp_path), "--mirror", server.address]
        )
    assert isinstance(result.exception, EnvironmentProblem)
    assert "does not match" in result.exception.message
    assert result.stdout == ""


def test_fetch_reports_each_failed_mirror_once(tmp_path: Path) -> None:
    with serving(FileServer({})) as server:
        first, second = f"{server.address}/first", f"{server.address}/second"
        mirrors = ["--mirror", first, "--mirror", second]
        result = CliRunner().invoke(data, ["fetch", "cifar10", "--data-dir", str(tmp_path), *mirrors])
    assert isinstance(result.exception, EnvironmentProblem)
    printed = "".join((result.stderr + result.exception.message).split())
    assert result.stderr.count("Could not fetch") == 1
    assert printed.count(f"fetch{first}/cifar-10-python.tar.gz:") == 1
    assert printed.count(f"from{second}/cifar-10-python.tar.gz:") == 1


@pytest.mark.parametrize("variable", ["HAET_MIRROR", "HAET_DATA_MIRRORS"])
def test_mirrors_are_read_from_the_environment(variable: str, tmp_path: Path) -> None:
    with serving(FileServer({})) as server:
        fetch = ["fetch", "cifar10", "--data-dir", str(tmp_path)]
        result = CliRunner().invoke(data, fetch, env={variable: f"{server.address}/mine"})
    assert isinstance(result.exception, EnvironmentProblem)
    assert f"{server.address}/mine" in result.exception.message


def test_fetching_digits_is_done_at_once(tmp_path: Path) -> None:
    result = CliRunner().invoke(data, ["fetch", "digits", "--data-dir", str(tmp_path)])
    assert result.exit_code == 0
    assert result.stdout == f"{tmp_path}\n"
