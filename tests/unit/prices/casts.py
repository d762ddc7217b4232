"""The table of free casts in the counting standard: `python -m tests.unit.prices.casts` prints it."""

from haet_eval.operators.dtypes import RANGES, may_change


def table() -> list[str]:
    """A row for each dtype: those that hold all of its values. Complex dtypes go by their parts."""
    rows = ["| from | free to |", "|---|---|"]
    for source in RANGES:
        free = [f"`{target}`" for target in RANGES if target != source and not may_change(source, target)]
        rows.append(f"| `{source}` | {', '.join(free) or 'none'} |")
    return rows


if __name__ == "__main__":
    print("\n".join(table()))  # noqa: T201
