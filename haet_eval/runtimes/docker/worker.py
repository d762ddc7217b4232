"""One running container, and how it ended."""

from typing import Any

import docker
from docker.errors import NotFound

from haet_eval.errors import EnvironmentProblem
from haet_eval.runtimes.docker.cgroup import ControlGroup, machine_oom_kills
from haet_eval.runtimes.docker.engine import engine, engine_seconds, remove_container, seconds_of
from haet_eval.runtimes.docker.main_process import MainProcess
from haet_eval.runtimes.failures import worker_stopped
from haet_eval.runtimes.interface import SIGKILL, Exit, Role

_SECONDS_OF_A_START = 1
"""The engine says that a container has started up to this long after its process has."""

_SECONDS_AFTER_A_FAILURE = 5
"""An engine that did not answer gets no minute for each call that would clean up."""


class DockerWorker:
    """One running container, which ends itself `deadline_seconds` after its start."""

    def __init__(
        self,
        client: docker.DockerClient,
        container_id: str,
        state: dict[str, Any],
        deadline_seconds: int,
        role: Role,
    ) -> None:
        self._api = client.api
        self._deadline_seconds = deadline_seconds
        self.container_id = container_id
        self._start: str = state["StartedAt"]
        # The engine takes whole seconds for events; one more loses none of the first moment.
        self._started_at = int(seconds_of(self._start)) - 1
        # A count of the whole machine: if it grows, a SIGKILL may be the kernel's and not the submission's.
        # It grows for other containers as well. Such a doubt judges nobody, and the run is made again.
        self._oom_kills_before = machine_oom_kills()
        self._group = ControlGroup.of(state["Pid"])
        self._main = MainProcess(state["Pid"])
        self._role = role
        self._peak_memory_bytes: int | None = None
        self._cpu_seconds: float | None = None
        self._processes_exhausted = False
        self._exit: Exit | None = None
        self._paused = False
        self._removed = False

    def poll(self) -> Exit | None:
        end = self._poll()
        if end is None and self._paused:
            raise EnvironmentProblem(
                "a worker's container was paused from outside, so its time is unknown",
                "Run it again, and do not pause its containers.",
                code="paused",
            )
        if end is None and self._is_stopped():
            raise worker_stopped()
        return end

    def _is_stopped(self) -> bool:
        # The submission can stop its own process, so that stays its own time. A node on plain tensors can do
        # so as well, but its time is its rank: a run that stood still has none.
        return self._main.watchman_is_stopped() or (
            self._role is not Role.SUBMISSION and self._main.is_stopped()
        )

    def _poll(self) -> Exit | None:
        if self._exit is None:
            # The group's files go with the container, so the figures of the last look stay.
            self._look_at_group()
            self._exit = self._look_for_end()
        return self._exit

    def kill(self) -> None:
        if self._removed:
            return
        # Not `poll`, which raises an error for a paused container: that one must be removed, too.
        if self._poll() is None:
            self._exit = Exit(
                None, SIGKILL, processes_exhausted=self._processes_exhausted, detail="stopped by haet-eval"
            )
        remove_container(self._api, self.container_id)
        self._removed = True

    def peak_memory_bytes(self) -> int | None:
        self._look_at_group()
        return self._peak_memory_bytes

    def cpu_seconds(self) -> float | None:
        """By the control group, or by the engine if the group cannot be read here; it never shrinks."""
        if self._exit is None:
            found = self._group.cpu_seconds()
            found = self._engine_seconds() if found is None else found
            self._cpu_seconds = max(found or 0.0, self._cpu_seconds or 0.0) or None
        return self._cpu_seconds

    def _engine_seconds(self) -> float | None:
        with engine("asking for a worker's processor time"):
            try:
                facts = self._api.stats(self.container_id, stream=False, one_shot=True)
            except NotFound:
                return None
        used = facts.get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
        return used / 1e9 if used else None

    def processes_exhausted(self) -> bool:
        self._look_at_group()
        return self._processes_exhausted

    def _look_for_end(self) -> Exit | None:
        try:
            with engine("looking at a worker"):
                try:
                    state = self._api.inspect_container(self.container_id)["State"]
                except NotFound:
                    return Exit(None, SIGKILL, from_outside=True, detail="its container was removed")
        except EnvironmentProblem:
            self._api.timeout = _SECONDS_AFTER_A_FAILURE
            raise
        # The worker's process ended with the container's first start, and no worker can start a container.
        if state["StartedAt"] != self._start:
            return Exit(None, SIGKILL, from_outside=True, detail="its container was started again")
        # Others than the engine can freeze a group, for example a system that suspends jobs.
        self._paused = bool(state["Paused"]) or self._group.is_frozen()
        return None if state["Running"] else self._ended(state)

    def _look_at_group(self) -> None:
        self._peak_memory_bytes = self._group.peak_memory_bytes() or self._peak_memory_bytes
        self._processes_exhausted = self._processes_exhausted or self._group.refused_processes() > 0

    def _ended(self, state: dict[str, Any]) -> Exit:
        """Reads the end of the container from its state and the engine's events."""
        status = int(state["ExitCode"])
        # Process 1 is `timeout`, which passes the signal of the worker on as an exit status.
        signal = status - 128 if 128 < status < 128 + 65 else None
        events = self._events()
        # The engine's word alone is not enough: it is also given when only a child was killed (decision
        # 0005).
        out_of_memory = signal == SIGKILL and (bool(state["OOMKilled"]) or "oom" in events)
        killed_by_machine = signal == SIGKILL and machine_oom_kills() > self._oom_kills_before
        overran = signal == SIGKILL and self._overran(state)
        return Exit(
            code=None if signal else status,
            signal=signal,
            out_of_memory=out_of_memory,
            processes_exhausted=self._processes_exhausted,
            from_outside="kill" in events or overran or (killed_by_machine and not out_of_memory),
            detail=str(state.get("Error") or "") or ("it ended at its own deadline" if overran else ""),
        )

    def _overran(self, state: dict[str, Any]) -> bool:
        """Whether it came to its deadline. Only a haet-eval that was stopped lets it come so far."""
        ran_seconds = seconds_of(state["FinishedAt"]) - seconds_of(state["StartedAt"])
        return ran_seconds > self._deadline_seconds - _SECONDS_OF_A_START

    def _events(self) -> set[str]:
        """The engine's actions on the container, and the kernel's on its processes: `kill`, `oom`."""
        wanted = {"container": self.container_id, "event": ["kill", "oom"]}
        with engine("reading a worker's events"):  # by its own clock: ours may lag behind
            # With an end: without one the engine would wait for events to come.
            events = self._api.events(
                since=self._started_at, until=int(engine_seconds(self._api)) + 1, filters=wanted, decode=True
            )
            return {event["status"] for event in events}
