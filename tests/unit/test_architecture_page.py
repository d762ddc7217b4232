"""The pictures in docs/architecture.md show the folders and the flow of data as they are in the code."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "haet_eval"


def picture(heading: str) -> str:
    """The first block under a heading."""
    _, _, rest = PAGE.partition(f"## {heading}\n")
    return rest.split("```")[1]


def drawn_layers() -> list[set[str]]:
    lines = re.findall(r"^[├└]── (\w+(?:, \w+)*)", picture("The folders"), re.MULTILINE)
    return [set(line.split(", ")) for line in lines]


def test_the_picture_of_the_folders_has_the_layers_that_are_enforced() -> None:
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = rules["tool"]["importlinter"]["contracts"][0]["layers"]
    assert drawn_layers() == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_every_folder_is_in_the_picture_and_every_name_in_it_exists() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"} - {
        "__init__",
        "__pycache__",
        "resources",
    }
    assert set().union(*drawn_layers()) == parts
    for folder in re.findall(r"^(\w+)/", picture("The folders"), re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_the_picture_of_an_evaluation_has_its_stages_in_their_order() -> None:
    boxes = re.findall(r"│ +([a-z]+)(?= )", picture("One evaluation").partition("submission worker")[0])
    drawn = [box for box in boxes if (PACKAGE / "evaluation" / f"{box}.py").is_file()]
    assert drawn == ["unpack", "train", "predict", "score"]
    for name in re.findall(r"remote/(\w+)", picture("One evaluation")):
        assert list((PACKAGE / "remote").glob(f"{name}*")), name


def test_the_page_describes_every_part_and_no_other() -> None:
    _, _, text = PAGE.partition("## The parts\n")
    named = {name for bold in re.findall(r"\*\*`(\w+)`\*\*", text) for name in bold.split()}
    assert named == set().union(*drawn_layers())
