"""Whole batches as a user runs them, in local processes: stopped in every way, and started again."""

import signal
import subprocess
import time
from contextlib import closing
from typing import Any

import docker
import psutil
import pytest

from haet_eval.errors import ExitCode
from haet_eval.resumable import homes
from haet_eval.runtimes.docker.container import LABEL_FOLDER
from haet_eval.store import read_record
from tests.fixtures.batches import (
    PATIENCE_SECONDS,
    QUICK,
    SLOW,
    Batches,
    Ended,
    command_of,
    events,
    judged_once,
    wait_for_record,
    wait_for_training,
)
from tests.fixtures.submissions import write_competition

pytestmark = pytest.mark.slow


LONG = """
def train(task):
    x = torch.rand(256, 256)
    for step in range(8_000):
        x = (x @ x).sin()
        if step % 20 == 0:
            x.sum().item()  # it waits for the executor, so that a checkpoint is soon reached
    return Linear()
"""


def test_each_is_judged_once_whatever_its_verdict_and_a_second_batch_finds_all_done(batches: Batches) -> None:
    batches.add("one")
    batches.add("two", "def train(task):\n    raise ValueError('mine')")
    (batches.submissions / "broken").mkdir()
    (batches.submissions / "broken" / "haet.toml").write_text("[submission]\nname = 1\n")
    (batches.submissions / "readme.txt").write_text("hello")
    first = batches.run("--jobs", "2")
    assert first.status == ExitCode.QUALIFIED, first.stderr
    assert first.states() == {"one": "new", "two": "new", "broken": "refused"}
    assert first.named("finished") == ["broken", "one", "two"]
    assert first.named("started") == ["one", "two"]
    assert "readme.txt" in first.stderr
    verdicts = {"one": ["below_threshold"], "two": ["failed"], "broken": ["invalid_submission"]}
    assert batches.verdicts() == verdicts
    again = batches.run("--jobs", "2")
    assert again.status == ExitCode.QUALIFIED
    assert set(again.states().values()) == {"done"}
    assert not again.named("started")
    assert batches.verdicts() == verdicts
    assert not batches.leftovers()


def test_results_that_were_replaced_by_a_file_do_not_hide_where_records_are_kept(batches: Batches) -> None:
    """There is no leaderboard then, and the way to take the record in was not told."""
    results = str(batches.results)
    train = (
        f"import os, shutil\n    shutil.rmtree({results!r})\n    os.close(os.open({results!r}, os.O_CREAT))"
    )
    batches.add("one", f"def train(task):\n    {train}\n    return Linear()")
    done = subprocess.run(
        [word for word in batches.command("--jobs", "1") if word != "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=batches.folder,
        env=batches.environment(),
    )
    assert done.returncode == ExitCode.ENVIRONMENT, done.stderr
    assert "Not stored: submissions/one" in done.stderr
    assert "Then take them in: cp -r" in done.stderr
    assert "There is no leaderboard" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_a_stopped_batch_continues_with_the_remaining_submissions(
    batches: Batches, number: signal.Signals
) -> None:
    batches.add("a-quick")
    batches.add("b-slow", SLOW)
    with batches.running("--jobs", "1") as process:
        wait_for_record(batches)
        wait_for_training(batches)
        process.send_signal(number)
        process.wait(PATIENCE_SECONDS)
    batches.wait_until_nothing_runs()
    expected = -signal.SIGKILL if number is signal.SIGKILL else ExitCode.INTERRUPTED
    assert process.returncode == expected
    assert batches.verdicts() == {"a-quick": ["below_threshold"]}
    assert not batches.leftovers()
    batches.add("b-slow", SLOW.replace("150", "1"))
    batches.add("c-slow", SLOW.replace("150", "2"))
    again = batches.run("--jobs", "2")
    assert again.status == ExitCode.QUALIFIED, again.stderr
    assert again.states() == {"a-quick": "done", "b-slow": "new", "c-slow": "new"}
    assert batches.verdicts() == judged_once("a-quick", "b-slow", "c-slow")
    assert not batches.leftovers()


def test_a_batch_that_was_killed_goes_on_at_the_last_checkpoint_of_its_training(batches: Batches) -> None:
    batches.add("long", LONG)
    with batches.running("--checkpoint-every", "1") as process:
        wait_for_checkpoint(batches)
        process.kill()
    batches.wait_until_nothing_runs()
    again = batches.run("--checkpoint-every", "1")
    assert again.status == ExitCode.QUALIFIED, again.stderr
    assert batches.verdicts() == judged_once("long")
    (path,) = batches.results.glob("*.json")
    training = read_record(path).training
    assert training is not None
    assert training.resumed is not None
    assert len(training.resumed.parts) == 2
    assert not (batches.results / "runs").exists()


def wait_for_checkpoint(batches: Batches) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(home.checkpoints() for home in homes(batches.results / "runs")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_killed_worker_costs_its_run_only_which_is_made_again(batches: Batches) -> None:
    for name in ("one", "two"):
        batches.add(name, SLOW.replace("150", "60") + f"# {name}")
    with batches.running("--jobs", "2") as process:
        wait_for_training(batches, 2)
        workers = [
            child
            for child in psutil.Process(process.pid).children()
            if "spawn_main" in " ".join(command_of(child))
        ]
        assert len(workers) == 2
        workers[0].kill()
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    ended = Ended(process.returncode, events(out), err)
    assert ended.status == ExitCode.QUALIFIED, err
    (retried,) = [line for line in ended.lines if line["event"] == "retried"]
    assert "SIGKILL" in retried["reason"]
    assert len(ended.named("started")) == 3
    assert batches.verdicts() == {"one": ["below_threshold"], "two": ["below_threshold"]}
    batches.wait_until_nothing_runs()
    assert not batches.leftovers()


def test_no_two_batches_work_on_the_same_results(batches: Batches) -> None:
    batches.add("slow", SLOW)
    with batches.running():
        wait_for_training(batches)
        second = batches.run()
        assert second.status == ExitCode.ENVIRONMENT
        assert "another batch is at work" in second.stderr
        assert not second.lines
    batches.wait_until_nothing_runs()


def test_three_failures_of_ours_in_a_row_stop_the_batch(batches: Batches) -> None:
    rules = batches.folder / "rules.toml"
    for name in ("a", "b", "c", "d", "e"):
        batches.add(name, f"{QUICK}  # {name}")
    cifar = ("--competition", str(rules), "--retries", "1", "--jobs", "1")
    rules.write_text(
        'name = "x"\ntitle = "X"\ndescription = "Data that is not there."\nranking = "complexity"\n'
        'awards = 1\n[tasks.digits]\ndataset = "cifar10"\nthreshold = 0.5\n'
    )
    ended = batches.run(*cifar, "--data-dir", "nowhere")
    assert ended.status == ExitCode.ENVIRONMENT
    assert ended.named("retried") == ["a", "b", "c"]
    assert ended.named("given_up") == ["a", "b", "c"]
    assert "3 submissions in a row could not be judged" in ended.stderr
    assert "2 are left" in ended.stderr
    assert "haet-eval data fetch" in ended.stderr
    assert batches.run(*cifar, "--dry-run").states()["a"] == "failed before"
    assert not list(batches.results.glob("*.json"))


def test_a_list_names_submissions_with_seeds_and_tasks(batches: Batches) -> None:
    batches.add("one")
    (batches.submissions / "list.csv").write_text("path,seed\none,3\none,4\none,3\n")
    ended = batches.run(paths=("submissions/list.csv",))
    assert ended.status == ExitCode.QUALIFIED, ended.stderr
    assert [line["state"] for line in ended.lines if line["event"] == "planned"] == ["new", "new", "repeated"]
    assert batches.verdicts() == {"one": ["below_threshold", "below_threshold"]}
    one_seed = batches.run("--seed", "4", "--dry-run", paths=("submissions/one",))
    assert one_seed.states() == {"one": "done"}
    assert batches.run("--seed", "5", "--dry-run", paths=("submissions/one",)).states() == {"one": "new"}


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_three_at_a_time_in_containers_leave_each_other_alone(batches: Batches) -> None:
    """Each run begins by removing what dead runs left: here, while two others live."""
    batches.temporary.chmod(0o711)  # for the containers' user
    rules = write_competition(batches.folder / "rules.toml", cpus=1, memory_bytes=2**30, wall_seconds=300)
    for name in ("a", "b", "c"):
        batches.add(name, SLOW.replace("150", "100") + f"# {name}")
    options = ("--sandbox", "docker", "--competition", str(rules), "--jobs", "3", "--retries", "0")
    with batches.running(*options) as process:
        limits = wait_for_containers(batches, 6, process)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == ExitCode.QUALIFIED, err
    assert limits == {(10**9, 2**30)}
    assert batches.verdicts() == judged_once("a", "b", "c")
    assert not containers(batches)
    assert not batches.leftovers()
    assert not Ended(process.returncode, events(out), err).named("retried")


@pytest.mark.docker
@pytest.mark.usefixtures("sandbox_image")
def test_no_container_outlives_a_batch_that_was_stopped(batches: Batches) -> None:
    batches.temporary.chmod(0o711)
    rules = write_competition(batches.folder / "rules.toml", cpus=1, memory_bytes=2**30, wall_seconds=300)
    for name in ("a", "b"):
        batches.add(name, SLOW.replace("150", "1000") + f"# {name}")
    options = ("--sandbox", "docker", "--competition", str(rules), "--jobs", "2")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with batches.running(*options) as process:
            wait_for_containers(batches, 4, process)
            process.send_signal(number)
            process.wait(PATIENCE_SECONDS)
        batches.wait_until_nothing_runs()
        assert not containers(batches)
        assert not batches.leftovers()
        assert not batches.verdicts()


def containers(batches: Batches) -> list[dict[str, Any]]:
    """The limits of every container of these batches' runs, running or not."""
    with closing(docker.from_env()) as client:
        found = client.api.containers(all=True, filters={"label": LABEL_FOLDER})
        return [
            client.api.inspect_container(one["Id"])["HostConfig"]
            for one in found
            if one["Labels"][LABEL_FOLDER].startswith(str(batches.temporary))
        ]


def wait_for_containers(
    batches: Batches, count: int, process: "subprocess.Popen[str]"
) -> set[tuple[int, int]]:
    """Until so many are there at once; the processors and the memory that they may use."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            found = containers(batches)
        except docker.errors.NotFound:
            continue
        if len(found) >= count:
            time.sleep(2.0)
            return {(one["NanoCpus"], one["Memory"]) for one in found}
        assert time.monotonic() < deadline, found
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)


def test_what_ranks_by_time_is_not_run_twice_at_once(batches: Batches) -> None:
    rules = batches.folder / "rules.toml"
    text = write_competition(rules).read_text().replace('"complexity"', '"training_time"')
    rules.write_text('runner = "native"\n' + text)
    batches.add("a")
    refused = batches.run("--competition", str(rules), "--jobs", "2", "--dry-run")
    assert refused.status == ExitCode.USAGE
    assert "two runs at once would disturb each other" in refused.stderr
    assert batches.run("--competition", str(rules), "--dry-run").status == ExitCode.QUALIFIED
