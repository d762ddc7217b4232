"""Energy: what the counters say, through wraps, gaps and faults."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.energy.choice import open_meters
from haet_eval.energy.estimate import CpuTimeMeter
from haet_eval.energy.measurement import Measurement, measured
from haet_eval.energy.rapl import RaplMeter
from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.progress import Silent
from haet_eval.record import Quietness

RANGE = 262_143_328_850  # microjoules; what a real package states


class Powercap:
    """A tree of powercap files, as the kernel shows them, whose counters a test moves."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, zone: str, name: str, energy: int = 0, largest: int = RANGE) -> None:
        folder = self.root / zone
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{largest}\n")
        self.set(zone, energy)

    def set(self, zone: str, energy: int) -> None:
        path = self.root / zone / "energy_uj"
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{energy}\n")
        fresh.replace(path)


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "powercap")


def test_packages_and_memory_are_added_and_zones_inside_a_package_are_skipped(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0", 1_000_000)
    powercap.add("intel-rapl:0:0", "core", 0)
    powercap.add("intel-rapl:0:1", "dram", 500)
    powercap.add("intel-rapl:1", "package-1", 7)
    powercap.add("intel-rapl:2", "psys", 0)
    meter = RaplMeter(powercap.root)
    assert meter.covers == ("package-0", "dram-0", "package-1")
    powercap.set("intel-rapl:0", 3_000_000)
    powercap.set("intel-rapl:0:0", 1_500_000)
    powercap.set("intel-rapl:0:1", 1_000_500)
    powercap.set("intel-rapl:1", 4_000_007)
    powercap.set("intel-rapl:2", 9_000_000)
    assert meter.joules() == 2 + 1 + 4


def test_without_a_package_the_whole_platform_counts(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "psys", 10)
    meter = RaplMeter(powercap.root)
    powercap.set("intel-rapl:0", 2_000_010)
    assert (meter.covers, meter.joules()) == (("psys",), 2.0)


@given(st.lists(st.integers(0, RANGE - 1), min_size=1, max_size=8), st.integers(0, RANGE - 1))
def test_a_counter_that_comes_round_loses_nothing(steps: list[int], start: int) -> None:
    with _temporary_powercap() as powercap:
        powercap.add("intel-rapl:0", "package-0", start)
        meter = RaplMeter(powercap.root)
        counter = start
        for step in steps:
            counter = (counter + step) % RANGE
            powercap.set("intel-rapl:0", counter)
            total = meter.joules()
    assert total == sum(steps) / 1e6


@contextmanager
def _temporary_powercap() -> Iterator[Powercap]:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        yield Powercap(Path(folder))


def test_a_machine_without_counters(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="no intel-rapl zones") as raised:
        RaplMeter(tmp_path)
    assert "intel_rapl_msr" in raised.value.hint


def test_counters_that_only_root_may_read(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0")
    (powercap.root / "intel-rapl:0" / "energy_uj").chmod(0o400)
    for folder in (powercap.root, *powercap.root.parents):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp/"):
            folder.chmod(0o755)
    with _as_nobody(), pytest.raises(EnvironmentProblem, match="read by root only") as raised:
        RaplMeter(powercap.root)
    assert "chmod a+r" in raised.value.hint


@contextmanager
def _as_nobody() -> Iterator[None]:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_counter_that_disappears_in_mid_run(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0")
    with _measured(powercap) as energy:
        energy.begin("train")
        (powercap.root / "intel-rapl:0" / "energy_uj").unlink()
        with pytest.raises(EnvironmentProblem, match="energy_uj cannot be read"):
            energy.end()


def _measured(powercap: Powercap) -> AbstractContextManager[Measurement]:
    return measured("rapl", "cpu", Silent(), baseline_seconds=0.1, powercap=powercap.root)


def test_each_phase_has_its_own_joules_and_the_ranked_one_is_of_one_iteration(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0", RANGE - 1_000_000)
    with _measured(powercap) as energy:
        energy.begin("train")
        powercap.set("intel-rapl:0", 2_000_000)
        energy.end()
        powercap.set("intel-rapl:0", 50_000_000)  # between the phases: nobody's
        energy.begin("predict")
        powercap.set("intel-rapl:0", 58_000_000)
        energy.end()
        training, inference = energy.facts("train"), energy.facts("predict", iterations=4)
    assert [(phase.phase, phase.joules) for phase in training.phases] == [("train", 3.0), ("predict", 8.0)]
    assert (training.joules, inference.joules, inference.iterations) == (3.0, 2.0, 4)
    assert (training.kind, training.meter, training.covers) == ("measured", "rapl", ("package-0",))


def test_the_idle_machine_is_measured_before_and_recorded_separately(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0")
    began = time.monotonic()
    drawing = threading.Event()

    def draw() -> None:
        while not drawing.wait(0.01):
            powercap.set("intel-rapl:0", int((time.monotonic() - began) * 10e6))

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        with measured("rapl", "cpu", Silent(), baseline_seconds=0.5, powercap=powercap.root) as energy:
            energy.begin("train")
            time.sleep(0.5)
            energy.end()
            facts = energy.facts("train")
    finally:
        drawing.set()
        thread.join()
    (phase,) = facts.phases
    assert facts.idle_watts is not None
    assert facts.idle_watts == pytest.approx(10, rel=0.5)
    assert phase.idle_joules == pytest.approx(facts.idle_watts * phase.seconds)
    assert phase.joules == pytest.approx(phase.idle_joules, rel=0.5)
    assert facts.samples >= 4


def test_a_gap_in_which_the_counter_may_have_come_round_is_an_error(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0", largest=200_000_000)  # 200 J: a fifth of a second at 1 kW
    with measured("rapl", "cpu", Silent(), baseline_seconds=0.0, powercap=powercap.root) as energy:
        energy.begin("train")
        time.sleep(0.6)
        with pytest.raises(EnvironmentProblem, match="may have come round"):
            energy.end()


def test_a_phase_that_was_not_reached_has_no_joules(powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0")
    with _measured(powercap) as energy:
        facts = energy.facts("train")
    assert (facts.kind, facts.joules, facts.phases) == ("measured", None, ())


def test_without_a_counter_auto_says_so_and_measures_nothing(tmp_path: Path) -> None:
    with measured("auto", "cpu", Silent(), baseline_seconds=0.0, powercap=tmp_path) as energy:
        energy.begin("train")
        energy.end()
        facts = energy.facts("train")
    assert (facts.kind, facts.meter, facts.joules) == ("unavailable", "none", None)
    assert "no intel-rapl zones" in facts.note
    assert not facts.counts_for_prizes("cpu")


def test_an_estimate_grows_with_the_work_and_is_called_one() -> None:
    meter = CpuTimeMeter(thermal_design_watts=1_000.0)
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        pass
    assert 0 < meter.joules() <= 1_000.0 * 5
    with measured("estimate", "cpu", Silent(), cpu_watts=65.0, baseline_seconds=0.0) as energy:
        energy.begin("train")
        energy.end()
        facts = energy.facts("train")
    assert (facts.kind, facts.meter) == ("estimated", "cpu-time")
    assert not facts.counts_for_prizes("cpu")


@pytest.mark.parametrize(
    ("device", "meter", "counts"),
    [
        ("cpu", "rapl", True),
        ("cpu", "nvml", False),
        ("cuda", "rapl", False),
        ("cuda", "nvml", False),
        ("cuda", "rapl+nvml", True),
    ],
)
def test_a_part_of_the_energy_wins_nothing(powercap: Powercap, device: str, meter: str, counts: bool) -> None:
    powercap.add("intel-rapl:0", "package-0")
    with _measured(powercap) as energy:
        quiet = Quietness(load_average=0.0, busy=0.0, other_containers=0)
        facts = energy.facts("train").model_copy(update={"meter": meter, "quietness": quiet})
    assert facts.counts_for_prizes(device) is counts


def test_an_estimate_without_the_power_to_estimate_with() -> None:
    with pytest.raises(UsageProblem, match="thermal design power"):
        open_meters("estimate", "cpu")


@pytest.mark.parametrize(
    ("busy", "containers", "quiet"), [(0.01, 0, True), (0.01, None, True), (0.5, 0, False), (0.01, 1, False)]
)
def test_a_machine_that_does_something_else_is_not_quiet(
    busy: float, containers: int | None, quiet: bool
) -> None:
    assert Quietness(load_average=0.0, busy=busy, other_containers=containers).quiet is quiet


@pytest.fixture(scope="module")
def nvml_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library that answers as NVIDIA's does; the real nvidia-ml-py loads it."""
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).parents[1] / "fixtures" / "nvml_stand_in.c"
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return folder


_MEASURE = """
import json, sys, time
from haet_eval.energy.measurement import Measurement, measured
from haet_eval.errors import HaetError
from haet_eval.progress import Silent
from pathlib import Path
try:
    with measured(sys.argv[1], "cuda", Silent(), baseline_seconds=0.3, powercap=Path(sys.argv[2])) as energy:
        energy.begin("train"); time.sleep(1.0); energy.end()
        print(energy.facts("train").model_dump_json())
except HaetError as error:
    print(json.dumps({"error": error.message, "hint": error.hint}))
"""


def _with_nvml(library: Path | None, choice: str, powercap: Path, **environment: str) -> dict[str, Any]:
    settings = {**os.environ, **environment}
    if library is not None:
        settings["LD_LIBRARY_PATH"] = str(library)
    command = [sys.executable, "-c", _MEASURE, choice, str(powercap)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("counter", [{}, {"STAND_IN_NO_COUNTER": "1"}], ids=["counted", "sampled"])
def test_nvml_stand_in_two_gpus_of_100_watts(
    nvml_stand_in: Path, tmp_path: Path, counter: dict[str, str]
) -> None:
    facts = _with_nvml(nvml_stand_in, "nvml", tmp_path, **counter)
    assert (facts["kind"], facts["meter"], facts["covers"]) == ("measured", "nvml", ["gpu-0", "gpu-1"])
    (phase,) = facts["phases"]
    assert facts["joules"] == pytest.approx(200 * phase["seconds"], rel=0.05)
    assert facts["idle_watts"] == pytest.approx(200, rel=0.05)


def test_nvml_stand_in_whose_counter_begins_again(nvml_stand_in: Path, tmp_path: Path) -> None:
    facts = _with_nvml(nvml_stand_in, "nvml", tmp_path, STAND_IN_RESET="1")
    assert "went back to zero" in str(facts["error"])


def test_nvml_stand_in_a_gpu_without_the_processors_counters_is_only_a_part(
    nvml_stand_in: Path, tmp_path: Path
) -> None:
    facts = _with_nvml(nvml_stand_in, "auto", tmp_path)
    assert (facts["kind"], facts["joules"]) == ("unavailable", None)


def test_nvml_stand_in_processor_and_gpus_together(nvml_stand_in: Path, powercap: Powercap) -> None:
    powercap.add("intel-rapl:0", "package-0")
    facts = _with_nvml(nvml_stand_in, "auto", powercap.root)
    assert facts["meter"] == "rapl+nvml"
    assert facts["covers"] == ["package-0", "gpu-0", "gpu-1"]


def test_a_machine_without_nvidias_library(tmp_path: Path) -> None:
    facts = _with_nvml(None, "nvml", tmp_path)
    assert "management library does not answer" in str(facts["error"])
