"""What the sandbox image is built from."""

import io
import json
import tarfile

from haet_eval.runtimes.image_files import build_context, sandbox_folder


def _names() -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(build_context().tar)) as tar:
        return tar.getnames()


def test_the_context_holds_the_files_that_the_dockerfile_copies_and_the_workers_import() -> None:
    names = _names()
    assert {"Dockerfile", "sandbox/constraints.txt", "sandbox/executor.py"} <= set(names)
    assert {"sandbox/native.py", "sandbox/submission.py"} <= set(names)
    assert {"haet_eval/__init__.py", "haet_eval/errors.py", "haet_eval/remote/wire.py"} <= set(names)
    compiled = "haet_eval/remote/client/compiled"
    assert {f"{compiled}/build.py", f"{compiled}/source/module.cpp", f"{compiled}/source/key.h"} <= set(names)
    assert len(names) == len(set(names))


def test_the_judges_side_stays_outside() -> None:
    inside = {name.split("/")[1] for name in _names() if name.startswith("haet_eval/")}
    assert inside.isdisjoint({"cli", "evaluation.py", "runtimes", "scoring.py", "store.py", "resources"})


def test_the_same_sources_give_the_same_bytes() -> None:
    assert build_context().digest == build_context().digest


def test_the_seccomp_profile_denies_by_default_and_names_no_call_twice() -> None:
    profile = json.loads((sandbox_folder() / "seccomp.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    free = [name for rule in profile["syscalls"] if "args" not in rule for name in rule["names"]]
    assert len(free) == len(set(free))
    assert {"bpf", "memfd_create", "mount", "ptrace", "socket", "unshare"}.isdisjoint(free)
