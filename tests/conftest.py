"""Fixtures of every test: what a test needs of the machine, and whether its absence may skip it."""

import os

import pytest

from haet_eval.errors import EnvironmentProblem


@pytest.fixture(scope="session")
def docker_required() -> None:
    """Skips where no engine answers. With HAET_REQUIRE_DOCKER=1, as in CI, that is a failure instead."""
    from haet_eval.runtimes.docker.engine import connect

    try:
        connect().close()
    except EnvironmentProblem as problem:
        if os.environ.get("HAET_REQUIRE_DOCKER") == "1":
            pytest.fail(f"HAET_REQUIRE_DOCKER=1, but {problem.message}")
        pytest.skip(f"needs a Docker engine: {problem.message}")


@pytest.fixture(scope="session")
def sandbox_image(docker_required: None) -> str:
    """The digest of a sandbox image of the present sources; quick where its heavy layer is there."""
    from haet_eval.runtimes.docker.image import build_image

    lines: list[str] = []
    try:
        return build_image(lines.append)
    except EnvironmentProblem as problem:
        said = "\n".join([*lines[-20:], problem.message])
        if os.environ.get("HAET_REQUIRE_DOCKER") == "1":
            pytest.fail(said)
        pytest.skip(f"the sandbox image cannot be built here: {said}")
