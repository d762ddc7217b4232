"""The sandbox image has every module of ours that its workers import."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from haet_eval.runtimes.image_files import build_context

WORKERS = ["haet_eval.remote.client.job", "haet_eval.remote.executor.executor", "haet_eval.native.worker"]


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_can_be_imported_from_what_the_image_is_built_of(tmp_path: Path, worker: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(build_context().tar)) as context:
        context.extractall(tmp_path, filter="data")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {worker} as found; print(found.__file__)"
    )
    done = subprocess.run([sys.executable, "-P", "-s", "-B", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(tmp_path))
