"""Where settings come from: command line, environment, file, default, in this order."""

import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from haet_eval.cli.boundary import run_guarded
from haet_eval.cli.configuration import SHARED, Configuration
from haet_eval.cli.main import COMMANDS, cli
from haet_eval.cli.settings import settings, variables
from haet_eval.errors import ExitCode, UsageProblem
from tests.unit.test_cli_main import run


def leaves(name: str, command: click.Command) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        return [leaf for key, inner in command.commands.items() for leaf in leaves(f"{name} {key}", inner)]
    return [(name, command)]


def names(command: click.Command) -> list[str]:
    return [name for _, name in settings(command)]


ALL = [leaf for name, lazy in COMMANDS.items() for leaf in leaves(name, lazy.load())]


def configured(
    folder: Path, text: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    (folder / "haet.conf.toml").write_text(text, encoding="utf-8")
    return run("--config", "haet.conf.toml", *arguments, cwd=folder, **variables)


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_option_has_a_variable_called_as_it_is(name: str, command: click.Command) -> None:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            longest = max(parameter.opts, key=len)
            expected = "HAET_" + longest.removeprefix("--").upper().replace("-", "_")
            assert variables(parameter)[0] == expected, f"{name} {longest}"


def test_what_may_stand_above_the_tables_is_an_option_of_several_commands() -> None:
    for setting in SHARED:
        assert sum(setting in names(command) for _, command in ALL) > 1, setting


def test_help_names_what_may_stand_above_the_tables() -> None:
    """All but the former name of a setting."""
    shown = " ".join(run("config", "--help").stdout.split())
    assert f"({', '.join(one for one in SHARED if one != 'runtime')})" in shown


def test_the_oci_runtime_of_a_file_holds_for_all_commands(tmp_path: Path) -> None:
    done = configured(tmp_path, 'oci-runtime = "runsc"\n', "config")
    assert done.returncode == 0
    assert "oci-runtime sets nothing" not in done.stderr
    assert "oci-runtime = runsc  from file, for evaluate" in done.stdout


def test_the_command_line_comes_first_then_the_environment_then_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    text = 'results = "from-all"\n[evaluate]\nsandbox = "process"\nresults = "from-file"\n'
    configured(tmp_path, text, "mine")
    assert list((tmp_path / "from-file").glob("*.json"))
    configured(tmp_path, text, "mine", HAET_RESULTS="from-environment")
    assert list((tmp_path / "from-environment").glob("*.json"))
    configured(tmp_path, text, "mine", "--results", "from-line", HAET_RESULTS="from-environment")
    assert list((tmp_path / "from-line").glob("*.json"))
    assert not (tmp_path / "from-all").exists()


def test_a_shared_setting_is_of_all_commands_that_have_it(tmp_path: Path) -> None:
    shown = configured(tmp_path, 'results = "/srv/results"\n', "config").stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("results = "))
    assert "/srv/results" in line
    assert "evaluate" in line
    assert "explain" in line


def test_the_users_own_file_is_read_if_no_other_is_named(tmp_path: Path) -> None:
    home = str(tmp_path)
    assert "(not there)" in run("config", XDG_CONFIG_HOME=home).stdout
    (tmp_path / "haet-eval").mkdir()
    (tmp_path / "haet-eval" / "config.toml").write_text("[evaluate]\nruns = 3\n", encoding="utf-8")
    shown = run("config", XDG_CONFIG_HOME=home).stdout
    assert str(tmp_path / "haet-eval" / "config.toml") in shown
    assert "runs = 3" in shown


def test_the_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "haet-eval").mkdir()
    (tmp_path / "haet-eval" / "config.toml").write_text("[evaluate]\nruns = 3\n", encoding="utf-8-sig")
    assert "runs = 3" in run("config", XDG_CONFIG_HOME=str(tmp_path)).stdout


def test_a_home_is_expanded_in_paths(tmp_path: Path) -> None:
    configuration = Configuration(Path("c.toml"), {"results": "~/results"})
    found = configuration.defaults("evaluate", COMMANDS["evaluate"].load())
    assert found == {"results": str(Path("~/results").expanduser())}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[evaluate\n", ["haet.conf.toml is no valid TOML", "line 1"]),
        ('sandbx = "process"\n', ["`sandbx` is not a command", "did you mean sandbox?"]),
        ("[evaluat]\n", ["`evaluat` is not a command", "did you mean evaluate?"]),
        ("[evaluate]\nsede = 1\n", ["`sede` is not a setting of evaluate", "did you mean seed?"]),
        ("runs = 3\n", ["`runs` stands above the tables", "Put it under [evaluate] or [batch]."]),
        ('mirror = ["x"]\n', ["Put it under [data.fetch]."]),
        ("results = 5\n", ["`results` must be text in quotes, but is 5"]),
        ("evaluate = 1\n", ["`evaluate` must be a table, [evaluate]"]),
        ("[evaluate]\njson = 1\n", ["`json` must be true or false, but is 1"]),
        ("[evaluate]\nseed = true\n", ["`seed` must be a text or a number, but is True"]),
        ("[evaluate]\nseed = 1.5\n", ["--seed", "'1.5'", "The value comes from haet.conf.toml."]),
        (
            '[evaluate]\nsandbox = "podman"\n',
            ["--sandbox", "'podman'", "The value comes from haet.conf.toml."],
        ),
    ],
)
def test_a_fault_of_the_file_is_reported_with_the_correction(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "mine").mkdir()
    done = configured(tmp_path, text, "mine")
    assert done.returncode == ExitCode.USAGE
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_fault_in_the_table_of_another_command_stops_none(tmp_path: Path) -> None:
    assert configured(tmp_path, "[doctor]\nfast = true\n", "clean").returncode == ExitCode.QUALIFIED


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    done = run("--config", "nope.toml", "config", cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "nope.toml cannot be read: No such file" in done.stderr


def test_a_wrong_value_in_the_environment_is_reported_with_its_variable(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = run("mine", cwd=tmp_path, HAET_RUNS="many")
    assert done.returncode == ExitCode.USAGE
    assert "The value comes from the environment variable HAET_RUNS." in done.stderr


def test_config_shows_what_the_environment_sets_and_what_it_misspells() -> None:
    done = run("config", HAET_SANDBOX="process", HAET_RESULTZ="there")
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("sandbox"))
    assert line.startswith("sandbox = process  from HAET_SANDBOX, for evaluate")
    assert "HAET_RESULTZ sets nothing; did you mean HAET_RESULTS?" in done.stderr


def test_config_shows_why_a_command_would_refuse_a_value(tmp_path: Path) -> None:
    done = configured(tmp_path, '[evaluate]\nruns = "x"\nseed = 3\n', "config", HAET_JOBS="0")
    assert done.returncode == ExitCode.USAGE
    assert "runs = x  from file, for evaluate" in done.stdout
    assert "seed = 3  from file, for evaluate" in done.stdout
    assert "Error: runs from file: 'x' is not a whole number" in done.stderr
    assert "Error: jobs from HAET_JOBS: 0 is not allowed; the value must be 1 to 1024." in done.stderr
    assert "seed" not in done.stderr


def test_groups_have_tables_in_tables() -> None:
    data = COMMANDS["data"].load()
    configuration = Configuration(Path("c.toml"), {"data": {"fetch": {"mirror": ["https://mirror"]}}})
    assert configuration.defaults("data", data)["fetch"] == {"mirrors": ["https://mirror"]}
    with pytest.raises(UsageProblem, match="not a setting of data list"):
        Configuration(Path("c.toml"), {"data": {"list": {"mirror": []}}}).defaults("data", data)


def test_own_options_may_stand_before_a_submission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").touch()
    for arguments in (["--config", "c.toml", "x.zip"], ["--config=c.toml", "--seed", "1", "x.zip"]):
        assert "'x.zip' does not exist" in CliRunner().invoke(cli, arguments).output
    assert run_guarded(lambda: cli.main(["--config"], standalone_mode=False)) == ExitCode.USAGE
