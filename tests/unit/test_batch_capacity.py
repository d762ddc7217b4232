from pathlib import Path

import pytest

from haet_eval.batch.capacity import Capacity, exclusive, fitting, needed_device, places, this_machine
from haet_eval.batch.job import BatchJob, Identity
from haet_eval.competition import Budgets, load_competition
from haet_eval.errors import UsageProblem

GIB = 2**30


def job(*, cpus: int = 2, memory_gib: int = 4, device: str = "cpu", measured: bool = False) -> BatchJob:
    return BatchJob(
        identity=Identity("0" * 64, "1" * 64, 0, 1, "process", device, "0"),
        label="a",
        path=Path("a"),
        name="A",
        team="T",
        task="digits",
        competition="energy" if measured else "digits",
        budgets=Budgets(cpus=cpus, memory_bytes=memory_gib * GIB),
        exclusive=measured,
    )


@pytest.mark.parametrize(
    ("cores", "memory_gib", "expected"),
    [
        (16, 1000, 8),  # two cores for each
        (16, 24, 3),  # 4 GiB for the executor and as many for the submission
        (1, 1000, 1),
        (64, 4, 1),  # too little for one, which is tried all the same
    ],
)
def test_as_many_as_cores_and_memory_allow(cores: int, memory_gib: int, expected: int) -> None:
    assert fitting([job()], Capacity(cores, memory_gib * GIB, ())) == expected


def test_the_most_demanding_submission_decides() -> None:
    machine = Capacity(16, 1000 * GIB, ())
    assert fitting([job(cpus=1), job(cpus=8), job(cpus=2)], machine) == 2


def test_each_run_on_gpus_has_one() -> None:
    assert fitting([job(device="cuda")], Capacity(64, 1000 * GIB, ("0", "1", "2"))) == 3


@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_batch_needs_gpus_if_any_of_its_runs_does(devices: tuple[str, ...]) -> None:
    """The runs of a confirmation are on the devices of their records."""
    assert needed_device([job(device=device) for device in devices]) == "cuda"
    assert needed_device([job()]) == "cpu"


def test_two_cores_more_than_there_are_is_all_there_are() -> None:
    assert fitting([job(cpus=64)], Capacity(16, 1000 * GIB, ())) == 1


def test_a_measured_run_is_alone_and_cannot_be_requested_otherwise() -> None:
    jobs, machine = [job(), job(measured=True)], Capacity(64, 1000 * GIB, ())
    assert places(jobs, None, machine) == 1
    assert places(jobs, 1, machine) == 1
    with pytest.raises(UsageProblem, match="energy ranks time or energy"):
        places(jobs, 2, machine)
    assert places([job()], 5, machine) == 5


@pytest.mark.parametrize(
    ("ranking", "alone"),
    [
        ("complexity", False),
        ("accuracy", False),
        ("training_energy", True),
        ("inference_energy", True),
        ("training_time", True),
    ],
)
def test_time_and_energy_are_measured_alone(ranking: str, alone: bool) -> None:
    competition = load_competition("digits").model_copy(update={"ranking": ranking})
    assert exclusive(competition) is alone


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [("-1", ()), ("", ()), ("0,1", ("0", "1")), ("2,-1,3", ("2",)), ("GPU-5c, 1", ("GPU-5c", "1"))],
)
def test_gpus_are_those_before_the_first_negative_one(
    visible: str, gpus: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert this_machine().gpus == gpus
