"""The folder that an organizer publishes: what is in it, and that its links lead somewhere."""

import csv
import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

from haet_eval.cli.main import cli
from haet_eval.competition import Competition, load_competition
from haet_eval.counting.histogram import Histogram
from haet_eval.errors import Verdict
from haet_eval.operators.signature import Signature
from haet_eval.record import Content, Record, seal
from haet_eval.results_folder import confirmation_folder
from haet_eval.store import Store
from haet_eval.tables import load_records
from tests.fixtures.records import make_record, make_training
from tests.unit.test_calendar import entries_at, received, write_rules

pytest.importorskip("altair")

STRANGE = Histogram(
    [(Signature("aten.mm.default", {"self": 3, "mat2": "x"}, ("y",)), (0, 0, 1, 0, 0, 0))]
).to_json()


def broken(record: Record) -> Record:
    parts = {name: getattr(record, name) for name in Content.model_fields}
    unread = record.submission.model_copy(update={"name": None, "team": None, "archive_name": "team 7.zip"})
    return seal(Content(**parts | {"submission": unread}))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    rules = load_competition(str(write_rules(tmp_path)))
    store = Store(tmp_path / "results")
    late = received(
        make_record(name="late one", training=make_training(10**14), log="epoch 1\n<b>done</b>"),
        rules.closes and rules.closes.replace(day=2),
        rules,
    )
    refused = make_record(competition="spring", verdict=Verdict.INVALID_SUBMISSION, reason="not a zip")
    for record in [*entries_at(rules, rules.closes, None), late, broken(refused)]:
        store.add(record)
    return tmp_path / "results"


def run(*arguments: str) -> Result:
    """Runs the command in this process: a program of its own would load the charts again for each site."""
    return CliRunner().invoke(cli, arguments)


def publish(results: Path, rules: Path, site: Path) -> None:
    done = run("leaderboard", str(results), "--competition", str(rules), "--site", str(site))
    assert done.exit_code == 0, done.output
    assert done.stdout == ""


@pytest.fixture
def site(results: Path, tmp_path: Path) -> Path:
    publish(results, tmp_path / "spring.toml", tmp_path / "site")
    return tmp_path / "site"


def assert_links_lead_somewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) == 1 + 4
    for page in pages:
        text = re.sub(r"(?s)<script>.*?</script>", "", page.read_text("utf-8"))
        links = re.findall(r'href="([^"]+)"', text)
        assert links
        for link in links:
            if link.startswith("#"):
                assert f'id="{link[1:]}"' in text, link
            else:
                assert (page.parent / unquote(link)).is_file(), link


def test_every_link_is_relative_and_leads_to_a_file_or_a_place_in_the_page(site: Path) -> None:
    assert_links_lead_somewhere(site)


def test_a_record_whose_file_has_a_name_that_is_not_utf_8_is_published(results: Path, tmp_path: Path) -> None:
    first = min(results.glob("*.json"))
    first.rename(results / b"caf\xe9 1#.json".decode("utf-8", "surrogateescape"))
    done = run("leaderboard", str(results), "--all", "--site", str(tmp_path / "site"))
    assert done.exit_code == 0, done.stderr
    assert_links_lead_somewhere(tmp_path / "site")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"changed", "its digest is another"),
        (b'{"version": 1, "entries": [{"arguments": [], "calls": {}}]}', "not a histogram"),
        (STRANGE, "holds calls that no training makes"),
        (None, "it is a named pipe"),
    ],
    ids=["changed", "no histogram", "strange", "pipe"],
)
def test_a_strange_histogram_is_named_on_its_own_page_and_blocks_no_other(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    store = Store(tmp_path / "results")
    digest = hashlib.sha256(content or b"").hexdigest() if said != "its digest is another" else "0" * 64
    training = make_training()
    kept = training.histogram.model_copy(update={"sha256": digest})
    record = make_record(name="strange", training=training.model_copy(update={"histogram": kept}))
    store.add(record)
    store.add(make_record(name="other"))
    store.artifacts.mkdir(exist_ok=True)
    path = store.artifacts / f"{digest}.histogram.json"
    os.mkfifo(path) if content is None else path.write_bytes(content)
    done = run("leaderboard", str(store.directory), "--all", "--site", str(tmp_path / "site"))
    assert done.exit_code == 0, done.stderr
    page = (tmp_path / "site" / "entries" / f"{record.record_id}.html").read_text("utf-8")
    assert "Operation histogram" in page
    assert said in page
    assert str(tmp_path) not in page
    assert len(list((tmp_path / "site" / "entries").iterdir())) == 2


def test_page_names_title_organizer_date_version_state_and_rules(site: Path) -> None:
    text = (site / "index.html").read_text("utf-8")
    for words in (
        "<h1>Spring: leaderboard</h1>",
        "Organized by The Analytical Society",
        "UTC with haet-eval 0.1.0",
        "Provisional: spring",
        "2026-05-01 12:00:00 UTC; later entries are shown and do not rank",
        "at 50 % top-1 accuracy or more",
    ):
        assert words in text


def test_late_and_broken_entries_are_shown_by_name_without_a_place(site: Path) -> None:
    rows = list(csv.DictReader((site / "leaderboard.csv").read_text("utf-8").splitlines()))
    assert {row["name"]: row["position"] or row["unranked"] for row in rows} == {
        "entry 0": "1",
        "entry 1": "2",
        "late one": "received late",
        "team 7.zip": "invalid_submission",
    }
    text = (site / "index.html").read_text("utf-8")
    assert "received late" in text
    assert "team 7.zip" in text


def test_data_beside_the_page_are_those_of_the_page(site: Path) -> None:
    document = json.loads((site / "leaderboard.json").read_text("utf-8"))
    assert [row["name"] for row in document["entries"]][:2] == ["entry 0", "entry 1"]
    assert len(list((site / "records").iterdir())) == 4
    assert run("verify", str(site / "records")).exit_code in (0, 1)


def test_page_of_an_entry_has_its_whole_output_as_text(site: Path) -> None:
    (page,) = [path for path in (site / "entries").iterdir() if "late one" in path.read_text("utf-8")]
    text = page.read_text("utf-8")
    assert "epoch 1\n&lt;b&gt;done&lt;/b&gt;" in text
    assert "Received" in text


def confirmation(records: Sequence[Record], rules: Competition, **changes: object) -> dict[str, object]:
    """The document of a confirmation of these records, all of which hold."""
    ids = [record.record_id for record in records]
    entries = [{"record_id": one, "held": True, "undecided": ""} for one in ids]
    facts = {"full": True, "rules": rules.digest, "sandbox": "docker", "confirmed": ids, "entries": entries}
    return {"competition": rules.name, **facts, **changes}


def state_of_site(folder: Path, results: Path, document: object, name: str = "confirm-spring") -> str:
    """`Confirmed` or `Provisional`, as the page says."""
    (results / name).mkdir(exist_ok=True)
    (results / name / "confirmed.json").write_text(json.dumps(document))
    publish(results, folder / "spring.toml", folder / "s")
    (state,) = re.findall(
        r"(Confirmed|Provisional): spring", (folder / "s" / "index.html").read_text("utf-8")
    )
    return str(state)


def test_a_site_is_confirmed_only_by_a_document_of_its_own_podium(results: Path, tmp_path: Path) -> None:
    rules = load_competition(str(tmp_path / "spring.toml"))
    first, second = sorted(
        (one for one in load_records(results) if str(one.submission.name).startswith("entry")),
        key=lambda one: str(one.submission.name),
    )
    whole = confirmation([first], rules)
    assert state_of_site(tmp_path, results, whole) == "Confirmed"
    fell = {"record_id": first.record_id, "held": False, "undecided": ""}
    for document, state in (
        ({"full": True}, "Provisional"),
        (["full"], "Provisional"),
        (whole | {"full": "true"}, "Provisional"),
        (whole | {"sandbox": "process"}, "Provisional"),
        (whole | {"rules": "0" * 64}, "Provisional"),
        (whole | {"confirmed": 1}, "Provisional"),
        # The second entry was confirmed when it was the first.
        (confirmation([second], rules), "Provisional"),
        # It was confirmed because the first did not hold.
        (confirmation([second], rules, entries=[fell]), "Confirmed"),
    ):
        assert state_of_site(tmp_path, results, document) == state, document


def test_an_entry_that_comes_after_the_confirmation_is_provisional(results: Path, tmp_path: Path) -> None:
    rules = load_competition(str(tmp_path / "spring.toml"))
    (first,) = (one for one in load_records(results) if one.submission.name == "entry 0")
    document = confirmation([first], rules)
    better = received(make_record(name="better", training=make_training(10**10)), rules.closes, rules)
    Store(results).add(better)
    assert state_of_site(tmp_path, results, document) == "Provisional"


def test_a_rehearsal_confirms_nothing(results: Path, tmp_path: Path) -> None:
    rules = load_competition(str(tmp_path / "spring.toml"))
    (first,) = (one for one in load_records(results) if one.submission.name == "entry 0")
    name = confirmation_folder("spring", "process")
    assert state_of_site(tmp_path, results, confirmation([first], rules), name) == "Provisional"


def test_a_withdrawn_record_is_gone_from_the_site(site: Path, results: Path, tmp_path: Path) -> None:
    (mine := site / "records" / "note.txt").write_text("mine")
    (gone,) = (path for path in results.glob("*entry-0*.json"))
    gone.unlink()
    named = ("--competition", str(tmp_path / "spring.toml"))
    done = run("leaderboard", str(results), *named, "--site", str(site))
    assert done.exit_code == 0, done.stderr
    assert len(list((site / "entries").iterdir())) == 3
    assert {path.name for path in (site / "records").iterdir()} == {
        mine.name,
        *(path.name for path in results.glob("*.json")),
    }
    assert f"{site / 'records' / gone.name}: removed" in done.stderr
    assert f"{mine}: left" in done.stderr


def test_writing_a_site_again_gives_the_same_pages_of_entries(
    site: Path, results: Path, tmp_path: Path
) -> None:
    names = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    named = ("--competition", str(tmp_path / "spring.toml"))
    assert run("leaderboard", str(results), *named, "--site", str(site)).exit_code == 0
    assert sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file()) == names
