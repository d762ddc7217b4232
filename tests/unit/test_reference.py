"""The generated pages of the reference say what the code says."""

from scripts.export_reference import PAGE, record_page


def test_the_page_of_the_record_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == record_page(), "run `python -m scripts.export_reference`"
