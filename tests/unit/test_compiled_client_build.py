"""The compiled client: compiled once, kept, left out if that fails; a run never depends on it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import CDLL
from importlib.util import find_spec
from pathlib import Path

import pytest

from haet_eval.errors import EnvironmentProblem, UsageProblem
from haet_eval.remote.client.compiled.build import VARIABLE, NotBuilt, build, fingerprint
from haet_eval.remote.client.compiled.hits import attach
from haet_eval.remote.client.dispatch import Dispatcher
from haet_eval.remote.client.link import Link
from haet_eval.runtimes import compiled_client
from haet_eval.runtimes.interface import Role

Compiler = Callable[[str], None]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no setting."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """Puts a program in the place of every compiler. Each of its runs leaves a line in `runs`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(code: str) -> None:
        program = folder / "g++"
        program.write_text(f"#!{sys.executable}\nopen({str(tmp_path / 'runs')!r}, 'a').write('.')\n{code}\n")
        program.chmod(0o755)

    return write


def runs(tmp_path: Path) -> int:
    path = tmp_path / "runs"
    return len(path.read_text()) if path.exists() else 0


def files(cache: Path) -> list[str]:
    return sorted(path.suffix for path in (cache / "haet-eval" / "compiled-client").iterdir())


def test_without_a_compiler_one_note_says_so_and_nothing_is_used(cache: Path, compiler: Compiler) -> None:
    notes: list[str] = []
    compiled_client.prepare(notes.append)
    assert len(notes) == 2
    assert "no C++ compiler answers" in notes[1]
    assert compiled_client.find() is None
    assert compiled_client.environment(Role.SUBMISSION) == {}


def test_a_compiler_that_fails_is_not_tried_again(tmp_path: Path, cache: Path, compiler: Compiler) -> None:
    compiler("import sys; sys.exit('module.cpp:1: error: no such header')")
    notes: list[str] = []
    compiled_client.prepare(notes.append)
    assert "no such header" in notes[1]
    compiled_client.prepare(notes.append)
    assert (len(notes), runs(tmp_path)) == (2, 1)
    assert files(cache) == [".failed", ".lock"]


def test_a_required_client_that_cannot_be_compiled_is_a_problem_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, compiler: Compiler
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    with pytest.raises(EnvironmentProblem, match="no C\\+\\+ compiler answers"):
        compiled_client.prepare(lambda _: None)


def test_a_file_that_cannot_be_loaded_is_not_kept(tmp_path: Path, compiler: Compiler) -> None:
    compiler("import sys; open(sys.argv[sys.argv.index('-o') + 1], 'w').write('no library')")
    with pytest.raises(NotBuilt, match="cannot be loaded"):
        build(tmp_path / "client.so")
    assert not (tmp_path / "client.so").exists()
    assert not list(tmp_path.glob(".haet-build-*"))


def test_what_a_killed_compilation_left_goes_with_the_next_one(
    tmp_path: Path, cache: Path, compiler: Compiler
) -> None:
    compiler("import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    command = "from haet_eval.runtimes import compiled_client; compiled_client.prepare(print)"
    subprocess.run([sys.executable, "-c", command], check=False)
    folder = cache / "haet-eval" / "compiled-client"
    assert list(folder.glob(".haet-build-*"))
    compiler("raise SystemExit('error: of a test')")
    compiled_client.prepare(lambda _: None)
    assert files(cache) == [".failed", ".lock"]


def test_several_at_once_compile_once(tmp_path: Path, compiler: Compiler) -> None:
    compiler("import time; time.sleep(0.5); raise SystemExit('error: of a test')")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: compiled_client.prepare(lambda _: None), range(4)))
    assert runs(tmp_path) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.kill(os.getpid(), 9)",
        "raise SystemExit('g++: fatal error: Killed signal terminated program cc1plus')",
        "raise SystemExit('collect2: fatal error: ld terminated with signal 9 [Killed]')",
        "raise SystemExit('cc1plus: out of memory allocating 65536 bytes after a total of 1 bytes')",
        "raise SystemExit('clang++: error: unable to execute command: Killed')",
    ],
)
def test_a_compiler_that_is_stopped_is_tried_again(tmp_path: Path, compiler: Compiler, code: str) -> None:
    compiler(code)
    compiled_client.prepare(lambda _: None)
    compiled_client.prepare(lambda _: None)
    assert runs(tmp_path) == 2


def test_switched_off_it_is_neither_compiled_nor_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: Compiler
) -> None:
    compiler("")
    monkeypatch.setenv(VARIABLE, "0")
    compiled_client.prepare(pytest.fail)
    assert runs(tmp_path) == 0
    assert compiled_client.find() is None
    assert compiled_client.switched_off(Role.SUBMISSION) == {VARIABLE: "0"}
    assert compiled_client.switched_off(Role.EXECUTOR) == {}


def test_a_setting_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "yes")
    with pytest.raises(UsageProblem, match="'yes'"):
        compiled_client.prepare(lambda _: None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_cache_of_another_user_is_not_used(cache: Path) -> None:
    (cache / "haet-eval" / "compiled-client").mkdir(parents=True, mode=0o700)
    cache.chmod(0o700)
    notes: list[str] = []
    # Of this process alone: files and folders are looked at with the rights of the file system's user.
    libc = CDLL(None)
    libc.setfsuid(65534)
    try:
        compiled_client.prepare(notes.append)
        assert compiled_client.environment(Role.SUBMISSION) == {}
    finally:
        libc.setfsuid(0)
    assert "could not be compiled" in notes[0]


def test_another_pytorch_has_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = fingerprint()
    other = tmp_path / "other" / "torch"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "version.py").write_text("__version__ = '2.99.0'\n")
    spec = find_spec("torch")
    assert spec is not None
    monkeypatch.setattr(spec, "submodule_search_locations", [str(other)])
    monkeypatch.setattr("haet_eval.remote.client.compiled.build.find_spec", lambda _: spec)
    assert fingerprint() != here


@pytest.mark.parametrize("content", [None, b"", b"no library"])
def test_a_worker_with_a_file_that_is_no_good_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    path = tmp_path / "client.so"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(VARIABLE, str(path))
    ours, theirs = socket.socketpair()
    dispatcher = Dispatcher(Link(ours))
    attach(dispatcher)
    assert dispatcher.hits is None
    assert VARIABLE not in os.environ
    ours.close()
    theirs.close()
