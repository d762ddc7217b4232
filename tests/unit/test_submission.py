"""Reading a submission: folder or zip, manifest, entrypoint, digest."""

import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from haet_eval.errors import InvalidSubmission, UsageProblem, Verdict
from haet_eval.submission import ArchiveLimits, Submission, load_submission, pack

FIXTURES = Path(__file__).parent.parent / "fixtures"

MANIFEST = """
[submission]
name = "Test"
team = "Testers"
task = "digits"
description = "Nothing much."
"""
TRAIN = "def train(task):\n    return None\n"


def folder(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def load(tmp_path: Path, manifest: str = MANIFEST, **modules: str) -> Submission:
    sources = {f"{name.replace('__', '/')}.py": source for name, source in modules.items()}
    return load_submission(
        folder(tmp_path / "it", {"haet.toml": manifest, **(sources or {"submission.py": TRAIN})})
    )


def reason(tmp_path: Path, manifest: str = MANIFEST, **modules: str) -> str:
    with pytest.raises(InvalidSubmission) as caught:
        load(tmp_path, manifest, **modules)
    assert caught.value.verdict is Verdict.INVALID_SUBMISSION
    return caught.value.reason


def with_line(line: str) -> str:
    """The manifest with this line in place of the one of the same key."""
    key = line.partition("=")[0]
    kept = [old for old in MANIFEST.splitlines() if old.partition("=")[0] != key]
    return "\n".join([*kept, line])


def test_a_folder_is_read() -> None:
    submission = load_submission(FIXTURES / "linear")
    assert (submission.name, submission.team, submission.task) == (
        "A linear model",
        "The baseline",
        "digits",
    )
    assert (submission.module, submission.function) == ("submission", "train")
    assert list(submission.files) == ["haet.toml", "submission.py"]
    assert submission.files["submission.py"] == (FIXTURES / "linear" / "submission.py").read_bytes()
    assert submission.source_bytes == sum(len(content) for content in submission.files.values())
    assert submission.paper is None


def test_the_digest_is_that_of_the_canonical_zip() -> None:
    submission = load_submission(FIXTURES / "linear")
    archive = pack(submission.files)
    assert submission.sha256 == hashlib.sha256(archive).hexdigest()


def test_the_file_that_was_handed_in_is_named_beside_its_content(tmp_path: Path) -> None:
    content = pack(load_submission(FIXTURES / "linear").files)
    handed_in = tmp_path / "it.zip"
    handed_in.write_bytes(content)
    submission = load_submission(handed_in)
    assert submission.archive_bytes == len(content)
    assert submission.archive_sha256 == hashlib.sha256(content).hexdigest() == submission.sha256
    folder = load_submission(FIXTURES / "linear")
    assert folder == submission
    assert folder.archive_bytes < submission.archive_bytes


def test_the_canonical_zip_is_the_same_bytes_everywhere() -> None:
    archive = pack({"b.py": b"2\n", "a/é.txt": b"1\n"})
    assert archive == pack({"a/é.txt": b"1\n", "b.py": b"2\n"})
    assert hashlib.sha256(archive).hexdigest() == (
        "2432a0f4f9bc53019bf6dfb01e270e4f30ada273cd405bb12bbd8116eea64df1"
    )


def python_zip(source: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, path.relative_to(source))


def python_streamed_zip(source: Path, target: Path) -> None:
    class Pipe:
        """A stream without a way back, so that the sizes are written behind each entry."""

        def __init__(self) -> None:
            self.written = bytearray()

        def write(self, data: bytes) -> int:
            self.written += data
            return len(data)

        def flush(self) -> None: ...

    pipe = Pipe()
    python_zip(source, pipe)  # type: ignore[arg-type]
    target.write_bytes(pipe.written)


def zip_command(source: Path, target: Path) -> None:
    run("zip", ["-q", "-r", str(target), "."], source)


def zip_command_streamed(source: Path, target: Path) -> None:
    command = f"{tool('zip')} -q -r - . | cat > '{target}'"
    subprocess.run(["/bin/sh", "-c", command], cwd=source, check=True)


def zip_command_wrapped(source: Path, target: Path) -> None:
    run("zip", ["-q", "-r", str(target), source.name], source.parent)


def seven_zip(source: Path, target: Path) -> None:
    run("7z", ["a", "-tzip", str(target), "."], source)


def git_archive(source: Path, target: Path) -> None:
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qmx"],
    ):
        run("git", arguments, source)
    run("git", ["archive", "--format=zip", f"--output={target}", "HEAD"], source)


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"the program {name} is not installed")
    return found


def run(name: str, arguments: list[str], cwd: Path) -> None:
    subprocess.run([tool(name), *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL)


ZIPPERS = [
    python_zip,
    python_streamed_zip,
    zip_command,
    zip_command_streamed,
    zip_command_wrapped,
    seven_zip,
    git_archive,
]


@pytest.mark.parametrize("zipper", ZIPPERS)
def test_an_ordinary_zip_has_the_digest_of_its_folder(tmp_path: Path, zipper) -> None:  # type: ignore[no-untyped-def]
    source = folder(
        tmp_path / "mine",
        {
            "haet.toml": MANIFEST,
            "submission.py": TRAIN * 200,
            "net/__init__.py": "",
            "net/läyers.py": "x = 1\n",
            "README.md": "Bonjour, été\n",
        },
    )
    expected = load_submission(source)
    target = tmp_path / "mine.zip"
    zipper(source, target)
    assert load_submission(target) == expected


def test_a_zip_from_macos_is_accepted(tmp_path: Path) -> None:
    """Finder adds resource forks and folder settings, wraps everything, and decomposes letters."""
    target = tmp_path / "mac.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mine/", b"")
        archive.writestr("mine/haet.toml", MANIFEST)
        archive.writestr("mine/submission.py", TRAIN)
        archive.writestr("mine/e\u0301te\u0301.txt", "summer")
        archive.writestr("mine/.DS_Store", b"\0\0\0\1Bud1")
        archive.writestr("__MACOSX/mine/._submission.py", b"\0\5\x16\7\0\2\0\0Mac OS X")
    assert list(load_submission(target).files) == ["haet.toml", "submission.py", "été.txt"]


def test_files_that_tools_leave_behind_are_no_part_of_the_submission(tmp_path: Path) -> None:
    source = folder(tmp_path / "clean", {"haet.toml": MANIFEST, "submission.py": TRAIN})
    clean = load_submission(source)
    folder(
        source,
        {
            ".git/objects/ab": b"\0\xff",
            ".venv/lib/random.py": "",
            "venv/lib/random.py": "",
            "__pycache__/submission.cpython-311.pyc": b"\0\xff",
            "Thumbs.db": b"\xff",
            ".env": "SECRET=1",
        },
    )
    assert load_submission(source) == clean
    python_zip(source, tmp_path / "dirty.zip")
    assert load_submission(tmp_path / "dirty.zip") == clean


LITTER = (
    "Icon\r",
    "sub/Icon\r",
    "._submission.py",
    ".DS_Store",
    "Thumbs.db",
    "sub/thumbs.db",
    "desktop.ini",
    "__MACOSX/._Icon\r",
    "__MACOSX/sub/._x.py",
    "results/20261126T060017Z-a-team-443353cba60f0254.json",
    "results/20261126T060017Z-a-team-443353cba60f0254.dsse.json",
    "results/incidents/20261126T060017Z-443353cb.json",
    "results/runs/20261127T183448Z-entry-zip-1ec44b65/run.json",
    "results/runs/20261127T183448Z-entry-zip-1ec44b65/checkpoint-000003",
    f"results/artifacts/{'a' * 64}.trace",
    f"results/artifacts/{'a' * 64}.reports.jsonl",
)


def test_litter_of_any_name_is_left_out_of_folders_and_zips_alike(tmp_path: Path) -> None:
    """Some of these names could not be stored on every machine, and none of them is read."""
    plain: dict[str, str | bytes] = {"haet.toml": MANIFEST, "submission.py": TRAIN}
    both = plain | dict.fromkeys(LITTER, b"\0\xff")
    littered = folder(tmp_path / "it", both)
    archive = tmp_path / "it.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name, content in both.items():
            made.writestr(name, content)
    expected = load_submission(folder(tmp_path / "plain", plain))
    assert {load_submission(path).sha256 for path in (littered, archive)} == {expected.sha256}


@pytest.mark.parametrize("name", ["__MACOSX/../submission.py", ".git//x", "../.DS_Store", "./../x.py"])
def test_litter_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "it.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("haet.toml", MANIFEST)
        made.writestr(name, TRAIN)
    with pytest.raises(InvalidSubmission, match="entry name"):
        load_submission(archive)


def test_a_zip_that_tar_made_of_the_folder_it_was_in_is_read(tmp_path: Path) -> None:
    plain = {"haet.toml": MANIFEST, "submission.py": TRAIN, "sub/more.py": "x = 1\n"}
    archive = tmp_path / "it.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for name in ("./", "./sub/"):
            made.writestr(name, "")
        for name, content in plain.items():
            made.writestr(f"./{name}", content)
    assert load_submission(archive).sha256 == load_submission(folder(tmp_path / "it", plain)).sha256


def test_a_symbolic_link_in_a_folder_is_not_followed(tmp_path: Path) -> None:
    source = folder(tmp_path / "it", {"haet.toml": MANIFEST})
    (source / "submission.py").symlink_to("/etc/passwd")
    with pytest.raises(InvalidSubmission, match=r"'submission.py' is a symbolic link"):
        load_submission(source)


def test_a_folder_is_held_to_the_limits_of_its_zip(tmp_path: Path) -> None:
    source = folder(tmp_path / "it", {"haet.toml": MANIFEST, "submission.py": TRAIN, "big.txt": "x" * 5000})
    with pytest.raises(InvalidSubmission, match=r"archive is larger than 100 bytes"):
        load_submission(source, ArchiveLimits(archive_bytes=100))
    with pytest.raises(InvalidSubmission, match=r"the folder is larger than 4096 bytes"):
        load_submission(source, ArchiveLimits(unpacked_bytes=4096))
    with pytest.raises(InvalidSubmission, match=r"The archive is larger than 400 bytes"):
        load_submission(source, ArchiveLimits(archive_bytes=400))
    with pytest.raises(InvalidSubmission, match=r"more than 2 files"):
        load_submission(source, ArchiveLimits(entries=2))


def test_a_path_that_does_not_exist_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        load_submission(tmp_path / "nothing.zip")
    assert "nothing.zip cannot be read: No such file" in caught.value.message
    assert caught.value.hint


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder that anyone may use, while this process has the rights of nobody in particular."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        if user == 0:
            os.seteuid(65534)
        yield Path(name)
        os.seteuid(user)


def test_a_file_of_the_folder_that_may_not_be_read_is_named(nobody: Path) -> None:
    source = folder(nobody / "it", {"haet.toml": MANIFEST, "submission.py": TRAIN})
    (source / "submission.py").chmod(0)
    with pytest.raises(UsageProblem) as caught:
        load_submission(source)
    assert caught.value.message == (
        f"The submission {source} cannot be read: {source / 'submission.py'}: Permission denied."
    )


def test_a_file_that_is_not_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "submission.py"
    path.write_text(TRAIN)
    with pytest.raises(InvalidSubmission, match=r"not a zip archive"):
        load_submission(path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("weights.pt", "weights and data cannot be brought along"),
        ("weights.pth", "weights and data cannot be brought along"),
        ("train.ipynb", "put its code into a .py file"),
        ("inner.zip", "put the files that are in it beside haet.toml"),
        ("picture.png", "remove it."),
    ],
)
def test_a_file_that_is_not_text_is_refused_with_advice(tmp_path: Path, name: str, advice: str) -> None:
    source = folder(tmp_path / "it", {"haet.toml": MANIFEST, "submission.py": TRAIN, name: b"x"})
    with pytest.raises(InvalidSubmission) as caught:
        load_submission(source)
    assert caught.value.reason.startswith(f"'{name}'")
    assert advice in caught.value.reason


def test_text_in_another_encoding_is_to_be_saved_as_utf8(tmp_path: Path) -> None:
    for content, seen in (
        (MANIFEST.encode("utf-16"), "it seems to be UTF-16"),
        (MANIFEST.replace("Testers", "Jörg").encode("latin-1"), "line 4 has the byte 0xf6"),
    ):
        with pytest.raises(InvalidSubmission) as caught:
            load_submission(folder(tmp_path, {"haet.toml": content, "submission.py": TRAIN}))
        assert caught.value.reason == f"'haet.toml' is not UTF-8 text ({seen}); save it as UTF-8."


def test_a_submission_without_a_manifest_is_refused_with_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidSubmission, match=r"no haet.toml .* `haet-eval new FOLDER` writes one"):
        load_submission(folder(tmp_path / "it", {"submission.py": TRAIN}))


def test_a_misspelt_key_is_reported_once(tmp_path: Path) -> None:
    assert reason(tmp_path, MANIFEST.replace("team", "taem")) == (
        "haet.toml: unknown key 'taem'; did you mean `team`?"
    )
    assert reason(tmp_path, MANIFEST.replace("[submission]", "[submision]")) == (
        "haet.toml: unknown key 'submision'; did you mean `submission`?"
    )


def test_a_missing_manifest_is_reported_with_the_manifest_that_was_found(tmp_path: Path) -> None:
    source = folder(tmp_path / "it", {"submission.py": TRAIN, "conf/haet.toml": MANIFEST})
    with pytest.raises(
        InvalidSubmission, match=r"no haet.toml at the top of the submission. Found 'conf/haet.toml': move"
    ):
        load_submission(source)


@pytest.mark.parametrize("name", ["haet.toml.txt", "HAET.toml", "Haet.TOML"])
def test_a_manifest_of_another_spelling_is_to_be_renamed(tmp_path: Path, name: str) -> None:
    source = folder(tmp_path / "it", {"submission.py": TRAIN, name: MANIFEST})
    with pytest.raises(InvalidSubmission, match=f"There is '{name}': rename it to haet.toml"):
        load_submission(source)


def test_every_problem_of_a_manifest_is_named() -> None:
    with pytest.raises(InvalidSubmission) as caught:
        load_submission(FIXTURES / "bad-manifest")
    assert "unknown key 'nmae'; did you mean `name`?" in caught.value.reason
    assert "`team` must be text in quotes" in caught.value.reason
    assert '`task` is missing; add a line like task = "cifar10"' in caught.value.reason


def test_a_submission_is_described() -> None:
    with pytest.raises(InvalidSubmission, match=r'describe the method: add `description = "…"` or `paper = '):
        load_submission(FIXTURES / "bad-undescribed")


def test_a_paper_is_description_enough(tmp_path: Path) -> None:
    manifest = MANIFEST.replace('description = "Nothing much."', 'paper = "https://example.org/p.pdf"')
    submission = load(tmp_path, manifest)
    assert submission.paper == "https://example.org/p.pdf"
    assert submission.description == ""


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("[submission", "haet.toml is not valid TOML"),
        ("x = " + "[" * 5000, "haet.toml is not valid TOML"),
        ("", "the table [submission] is missing"),
        (
            'name = "x"',
            "haet.toml: the table [submission] is missing; begin the file with the line [submission].",
        ),
        ('name = "x"\n' + MANIFEST, "`name` stands outside the table"),
        (with_line('taem = "x"'), "unknown key 'taem'; did you mean `team`?"),
        ("submission = 3", "the table [submission] is missing"),
        (with_line('name = ""'), "`name` is empty"),
        (with_line(f'name = "{"x" * 81}"'), "`name` is longer than 80 characters"),
        (with_line('name = "a\\u001b[31mred"'), "`name` has the control or invisible character U+001B"),
        (with_line('team = "abc\\u202e"'), "`team` has the control or invisible character U+202E"),
        (with_line('team = "two\\nlines"'), "`team` has the control or invisible character U+000A"),
        (with_line('description = "   "'), "`description` is empty"),
        (with_line('paper = "javascript:alert(1)"'), "`paper` is not of the form"),
        (with_line('task = "CIFAR-10"'), "`task` is 'CIFAR-10', and the name of a task has small letters"),
        (with_line('task = "CIFAR-10"'), "did you mean cifar10?"),
        (with_line('task = "cifar 100"'), "did you mean cifar100?"),
        (with_line('task = "$"'), "small letters, digits and . _ - only."),
        (with_line('entrypoint = "train"'), "`entrypoint` is not of the form"),
        (with_line('entrypoint = "os:system(1)"'), "`entrypoint` is not of the form"),
        (with_line('entrypoint = "../x:train"'), "`entrypoint` is not of the form"),
        (with_line("lr = 0.1"), "unknown key 'lr'; the keys are `name`"),
        ("\n" * 70_000, "larger than 65536 bytes"),
    ],
)
def test_a_bad_manifest_says_what_to_write(tmp_path: Path, manifest: str, expected: str) -> None:
    assert expected in reason(tmp_path, manifest)


def test_a_manifest_saved_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff" + MANIFEST).name == "Test"


def test_a_dotted_entrypoint_is_found(tmp_path: Path) -> None:
    submission = load(
        tmp_path, with_line('entrypoint = "method.main:run"'), method__main="def run(task): ..."
    )
    assert (submission.module, submission.function) == ("method.main", "run")


def test_a_missing_module_names_those_that_are_there(tmp_path: Path) -> None:
    said = reason(tmp_path, model=TRAIN, method__net="")
    assert "module submission.py is not there. Python files found: method/net.py, model.py." in said
    assert said.endswith('as in entrypoint = "method.net:train".')


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    expected = "submission.py, line 2 is not valid Python: '(' was never closed."
    assert reason(tmp_path, submission="def train(task):\n    return (\n") == expected


def test_a_missing_function() -> None:
    with pytest.raises(InvalidSubmission, match=r"submission.py has no `fit`: define `def fit\(task\):`"):
        load_submission(FIXTURES / "bad-entrypoint")


@pytest.mark.parametrize(
    "source",
    [
        "from model import train",
        "from model import fit as train",
        "from model import *",
        "import model as train",
        "train = lambda task: None",
        "if True:\n    def train(task): ...",
        "try:\n    from a import train\nexcept ImportError:\n    train = None",
        "class train: ...",
        '"\\d"\ndef train(task): ...',
    ],
)
def test_the_function_may_be_bound_in_any_way(tmp_path: Path, source: str) -> None:
    assert load(tmp_path, submission=source).function == "train"


@pytest.mark.parametrize(
    "source", ["def f():\n    def train(task): ...", "x = lambda: (train := 1)", "train"]
)
def test_a_name_below_the_top_level_is_not_enough(tmp_path: Path, source: str) -> None:
    assert "has no `train`" in reason(tmp_path, submission=source)


@pytest.mark.parametrize("source", ["-" * 100_000 + "1", "a" + ".b" * 100_000, "lambda:" * 30_000 + "1"])
def test_source_made_to_exhaust_the_parser_is_refused(tmp_path: Path, source: str) -> None:
    assert "nested too deeply" in reason(tmp_path, submission=source)
