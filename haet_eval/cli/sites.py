"""Where the runs of a batch are made: this machine or a cluster, as the options say."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from haet_eval.files import real_path

if TYPE_CHECKING:
    from haet_eval.batch.judge import StageReached
    from haet_eval.batch.plan import BatchPlan, Options
    from haet_eval.batch.run import BatchSettings
    from haet_eval.batch.site import Site


def batch_settings(
    results: Path,
    data_dir: Path | None,
    test_data: Path | None,
    retries: int,
    options: "Options",
    checkpoint_seconds: float | None = 600.0,
    run_dir: Path | None = None,
) -> "BatchSettings":
    """How a batch is run, with the digest of the sandbox image that its runs must use."""
    from haet_eval.batch.node import local_image
    from haet_eval.batch.run import BatchSettings
    from haet_eval.runtimes.image_files import build_context

    # Every node must use this image and these sources, or the records of one batch would not compare.
    image = local_image() if options.sandbox == "docker" else None
    # Runs are made by other processes, on a cluster in other working folders: paths must be absolute.
    data_dir, test_data = data_dir and real_path(data_dir), test_data and real_path(test_data)
    return BatchSettings(
        results=results,
        data_dir=data_dir,
        test_data=test_data,
        retries=retries,
        sources=build_context().digest,
        image=image,
        checkpoint_seconds=checkpoint_seconds,
        run_dir=run_dir and real_path(run_dir),
    )


def open_site(
    scheduler: str | None,
    plan: "BatchPlan",
    settings: "BatchSettings",
    jobs: int | None,
    receive: "Callable[[StageReached], None]",
) -> "Site":
    """The cluster of the scheduler that the user named, or else this machine."""
    if scheduler:
        return _cluster_site(scheduler, plan, settings, jobs, receive)
    return _local_site(plan, settings, jobs, receive)


def _local_site(
    plan: "BatchPlan", settings: "BatchSettings", jobs: int | None, receive: "Callable[[StageReached], None]"
) -> "Site":
    """This machine, looked at before the first run."""
    from haet_eval.batch.capacity import needed_device, places, this_machine
    from haet_eval.batch.local import LocalSite
    from haet_eval.runtimes.choice import choose_runtime

    machine = this_machine()
    at_once = places(plan.jobs, jobs, machine)
    # An engine or a GPU that is missing is named once here, and not by every run with its retries. The runs
    # of a confirmation are on the devices of their records, so they may differ.
    for sandbox, device in sorted({(job.identity.sandbox, job.identity.device) for job in plan.jobs}):
        with choose_runtime(sandbox, device):
            pass
    gpus = machine.gpus if needed_device(plan.jobs) == "cuda" else ()
    return LocalSite(settings.results, at_once, gpus, receive)


def _cluster_site(
    address: str,
    plan: "BatchPlan",
    settings: "BatchSettings",
    jobs: int | None,
    receive: "Callable[[StageReached], None]",
) -> "Site":
    """The dask cluster of a scheduler.

    Raises:
        UsageProblem: the extra `cluster` is not installed, or its workers do not offer what is needed.
        EnvironmentProblem: no scheduler answers.
    """
    from haet_eval.batch.capacity import needed_device
    from haet_eval.errors import UsageProblem
    from haet_eval.store import Store

    try:
        from haet_eval.batch.cluster import ClusterSite
    except ImportError as error:
        raise UsageProblem(
            f"--scheduler needs a package that is not there: {error.name}",
            "pip install 'haet-eval[cluster]'",
            code="extra-missing",
        ) from None

    return ClusterSite(
        address,
        Store(settings.results),
        jobs=jobs,
        # All runs of a batch have one sandbox. There is a job: a batch opens its site only if something is to
        # run.
        sandbox=plan.jobs[0].identity.sandbox,
        device=needed_device(plan.jobs),
        # One job that is timed or metered is enough: a node with several places is refused then (decision
        # 0073).
        exclusive=any(job.exclusive for job in plan.jobs),
        receive=receive,
    )
