"""`haet-eval evaluate`: run a submission, count its training, check its accuracy, write its record."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import click

from haet_eval.cli.examples import CommandWithExamples
from haet_eval.cli.numbers import Number
from haet_eval.cli.oci_runtime import oci_runtime_option
from haet_eval.cli.options import (
    checkpoint_options,
    competition_option,
    data_dir_option,
    device_option,
    json_option,
    received_option,
    results_option,
    runs_option,
    sandbox_option,
    secret_test_option,
    seed_option,
    task_option,
)
from haet_eval.cli.outcome import evaluate_and_show
from haet_eval.cli.paths import ExistingPath
from haet_eval.cli.suggestions import suggest_submissions
from haet_eval.errors import ExitCode
from haet_eval.seeds import drawn_seed


@click.command(
    cls=CommandWithExamples,
    examples=(
        "haet-eval evaluate my-submission/ --sandbox process",
        "haet-eval evaluate entry.zip --seed 3 --runs 5",
        "haet-eval evaluate entry.zip --competition rules.toml --audit resplit",
    ),
)
@click.argument("submission", type=ExistingPath(), shell_complete=suggest_submissions)
@competition_option("Rules to judge by.  [default: those of the submission's task]")
@task_option("Task to judge.  [default: the one that haet.toml names]")
@data_dir_option()
@secret_test_option(
    "The secret test set, if the competition has one: a folder with a folder of images for each"
    " class, or a .npz or .safetensors file."
)
@results_option("Folder that the record goes to.")
@sandbox_option(
    "Where the code runs. Records of local processes are not official, and such processes do not hold"
    " hostile code."
)
@oci_runtime_option
@seed_option
@runs_option("Runs with different seeds, derived from --seed; the record has their statistics.")
@device_option
@received_option
@click.option(
    "--count",
    is_flag=True,
    help="Where the competition's runner is native: train once more on handles, and count the operations.",
)
@click.option(
    "--energy",
    type=click.Choice(["auto", "rapl", "nvml", "estimate", "none"]),
    help="Meter of a native run.  [default: auto where the competition ranks by energy]",
)
@click.option(
    "--cpu-watts",
    type=Number(0, min_open=True),
    help="Thermal design power of the processor, for --energy estimate.",
)
@click.option(
    "--hosts",
    metavar="HOST,HOST…",
    default="",
    help="Where the competition has several nodes: the machines to run them on, by ssh.  [default: this one]",
)
@click.option(
    "--audit",
    "audits",
    multiple=True,
    type=click.Choice(["resplit", "disguise"]),
    help="Train once more, and compare: on another split of the images, which finds test labels that were"
    " brought along, or on the images in disguise, which finds weights. May be given twice.",
)
@checkpoint_options
@json_option("Print the record as JSON.")
def evaluate(
    submission: Path,
    competition: str | None,
    task: str | None,
    data_dir: Path | None,
    test_data: Path | None,
    results: Path,
    sandbox: Literal["docker", "process"],
    seed: int,
    runs: int,
    device: str,
    received: datetime | None,
    count: bool,
    energy: Literal["auto", "rapl", "nvml", "estimate", "none"] | None,
    cpu_watts: float | None,
    hosts: str,
    audits: tuple[Literal["resplit", "disguise"], ...],
    checkpoint_every: float,
    run_dir: Path | None,
    as_json: bool,
) -> ExitCode:
    """Evaluate SUBMISSION, a .zip file or a folder.

    Every option can be set by an environment variable: --data-dir by HAET_DATA_DIR, and so on.

    Exit status: 0 qualified, 1 judged but not qualified, 2 usage, 3 invalid submission,
    4 the environment failed, 5 a limit was exceeded, 130 interrupted.
    """
    from haet_eval.dataset import default_data_dir
    from haet_eval.evaluation.request import Metering, Request

    request = Request(
        submission=submission,
        competition=competition,
        task=task,
        data_dir=data_dir or default_data_dir(),
        test_data=test_data,
        results=results,
        sandbox=sandbox,
        seed=seed,
        device=device,
        runs=runs,
        received_at=received,
        count=count,
        metering=Metering(energy, cpu_watts),
        hosts=tuple(host.strip() for host in hosts.split(",") if host.strip()),
        # Drawn at random and not derived from --seed: nobody can prepare for a split or a disguise (decision
        # 0055).
        split_seed=drawn_seed() if "resplit" in audits else None,
        disguise_seed=drawn_seed() if "disguise" in audits else None,
        checkpoint_seconds=checkpoint_every or None,
        run_dir=run_dir,
    )
    return evaluate_and_show(request, results, as_json=as_json)
