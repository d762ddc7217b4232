"""Makes the pictures of the leaderboard's page in docs/images, from real records.

Usage: python -m scripts.page_pictures RESULTS [--sandbox process]; needs the extra `page` and a Chromium.

The submissions are small networks for the digits, generated below; each is evaluated three times with
different seeds. Records that lie in RESULTS already are used, and nothing is evaluated.
"""

import argparse
import shutil
import tempfile
from itertools import product
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, sync_playwright

from haet_eval.competition import builtin_competitions, load_competition
from haet_eval.dataset import default_data_dir
from haet_eval.evaluation.evaluate import evaluate
from haet_eval.evaluation.request import Request
from haet_eval.reports.html import leaderboard_html
from haet_eval.reports.rows import make_leaderboard
from haet_eval.store import Store

IMAGES: Final = Path("docs/images")
RUNS: Final = 3

_MANIFEST: Final = """
[submission]
name = "{name}"
team = "{team}"
task = "digits"
description = "{name}, with SGD on the digits' own 8×8 grey pixels."
"""

# The digits come as 32×32 pixels in three equal channels. `forward` takes their own 8×8 pixels back.
_CODE: Final = """
import torch
from torch import nn
from torch.nn import functional


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layers = {layers}

    def forward(self, images):
        return self.layers(images[:, :1, ::4, ::4].float() / 255)


def train(task):
    model = Classifier(task.num_classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for epoch in range({epochs}):
        for batch in torch.randperm(len(task.images)).split(64):
            loss = functional.cross_entropy(model(task.images[batch]), task.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {{epoch + 1}}: loss {{loss.item():.3f}}")
    return model
"""

_LAYERS: Final = {
    "Perceptron, {width} hidden units": (
        "nn.Sequential(nn.Flatten(), nn.Linear(64, {width}), nn.ReLU(), nn.Linear({width}, classes))",
        (16, 32, 128),
    ),
    "CNN, {width} channels": (
        """nn.Sequential(
            nn.Conv2d(1, {width}, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d({width}, {width}, 3, padding=1), nn.BatchNorm2d({width}), nn.ReLU(),
            nn.Flatten(), nn.Linear({width} * 16, classes),
        )""",
        (4, 8, 24),
    ),
}
_EPOCHS: Final = (6, 20)
_TEAMS: Final = ("Lovelace", "Babbage", "Hopper", "Turing")


def write_submissions(folder: Path) -> list[Path]:
    """Every network at every width and length of training, each in a folder of its own."""
    shapes = [(name, code, width) for name, (code, widths) in _LAYERS.items() for width in widths]
    written = []
    for number, ((name, code, width), epochs) in enumerate(product(shapes, _EPOCHS)):
        submission = folder / f"entry-{number}"
        submission.mkdir()
        title = f"{name.format(width=width)}, {epochs} epochs"
        team = _TEAMS[number % len(_TEAMS)]
        (submission / "haet.toml").write_text(_MANIFEST.format(name=title, team=team), "utf-8")
        source = _CODE.format(layers=code.format(width=width), epochs=epochs)
        (submission / "submission.py").write_text(source, "utf-8")
        written.append(submission)
    return written


def evaluate_all(results: Path, sandbox: Literal["docker", "process"]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for submission in write_submissions(Path(folder)):
            request = Request(submission, default_data_dir(), results, sandbox=sandbox, runs=RUNS)
            print(evaluate(request).path)


def write_page(results: Path, page: Path) -> None:
    listing = Store(results).listing()
    board = make_leaderboard(listing.entries, listing.spreads, everything=True)
    paths = {entry.record_id: path for path, entry in listing.records.items()}
    rules = map(load_competition, builtin_competitions())
    page.write_text(leaderboard_html(board, paths, rules), "utf-8")


def take(browser: Browser, page: Path, picture: Path, width: int, height: int, scheme: str) -> None:
    """A picture of the upper part of the page, its charts drawn."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    tab = context.new_page()
    tab.goto(page.as_uri())
    # The charts are drawn by a script after the page has loaded.
    tab.wait_for_function(
        "document.querySelectorAll('.plot svg').length == document.querySelectorAll('.plot').length"
    )
    tab.screenshot(path=picture)
    context.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--sandbox", default="docker", choices=["docker", "process"])
    options = parser.parse_args()
    if not list(options.results.glob("*.json")):
        evaluate_all(options.results, options.sandbox)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        write_page(options.results, Path(folder, "leaderboard.html"))
        # The system's browser: Playwright's own one is a download of its own. Without `--no-sandbox` it does
        # not start as root.
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(
            chromium, Path(folder, "leaderboard.html"), IMAGES / "leaderboard-light.png", 1200, 1150, "light"
        )
        take(chromium, Path(folder, "leaderboard.html"), IMAGES / "leaderboard-dark.png", 390, 1500, "dark")
        chromium.close()
