"""The literals that weigh most in a source."""

from haet_eval.check.literals import heaviest_literals
from haet_eval.check.source import parse_sources


def found(code: str) -> list[tuple[int, int]]:
    """Line and length of each literal that is shown."""
    files = {"submission.py": code.encode()}
    sources, _ = parse_sources(files)
    return [(one.line, one.bytes) for one in heaviest_literals(sources, files)]


def test_texts_and_collections_are_literals() -> None:
    numbers = ", ".join(map(str, range(200)))
    code = f'WEIGHTS = "{"a1b2c3d4" * 50}"\nTABLE = [{numbers}]\nSIGNS = ({", ".join(["-1"] * 100)})\n'
    assert sorted(found(code)) == [(1, 402), (2, len(numbers) + 2), (3, 400)]


def test_docstrings_and_small_literals_are_left_out() -> None:
    assert found(f'"""{"words " * 100}"""\nWIDTHS = (64, 128, 256)\n') == []


def test_the_literal_inside_a_computed_value_is_reported() -> None:
    assert found(f'x = decode("{"q7" * 200}", key)\n') == [(1, 402)]


def test_a_literal_over_several_lines_is_measured_whole() -> None:
    rows = ",\n".join(["    [1.25, -2.5, 3.75]"] * 40)
    assert found(f"TABLE = [\n{rows}\n]\n") == [(1, len(rows) + 4)]


def test_the_heaviest_after_compression_comes_first() -> None:
    varied = "".join(chr(33 + (7 * n * n) % 57) for n in range(600)).replace('"', "a").replace("\\", "b")
    assert [line for line, _ in found(f'A = "{"x" * 5000}"\nB = "{varied}"\n')] == [2, 1]
